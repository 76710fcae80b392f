/* Files of this machine as streams: core/files/files.h's open_read and open_write for
 * files.c. */
#ifndef TX_LOCAL_STREAM_H
#define TX_LOCAL_STREAM_H

#include "core/files/files.h"

struct tt_op *tx_local_open_read(struct tt_env *env, struct tt_scope *scope, const char *path);
struct tt_op *tx_local_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  const struct tt_write_options *options);

#endif
