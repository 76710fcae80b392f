/* Who is left of a process group here, after its leader was reaped. */
#ifndef TX_LOCAL_GROUP_H
#define TX_LOCAL_GROUP_H

#include "core/async/op.h"
#include "executors/local/watch.h"

/* Finishes once no living process of the group is left. Reads /proc when some is. */
struct tt_op *tx_group_gone(pid_t group, struct tx_watcher *watcher, struct tt_scope *scope);

#endif
