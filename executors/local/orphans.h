/* Process 1 of a container is given every process whose parent is gone, and has to reap it. */
#ifndef TX_ORPHANS_H
#define TX_ORPHANS_H

#include "core/async/loop.h"

struct tx_orphans;

/* NULL unless this is process 1. Reaps children that tutti did not start: what is started otherwise
 * than by tx_spawn would be taken for an orphan. */
struct tx_orphans *tx_orphans_watch(struct tt_loop *loop);
void tx_orphans_free(struct tx_orphans *orphans);

#endif
