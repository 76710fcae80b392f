/* Reads a whole file of this machine into memory: configuration, keys. Blocks: for worker threads.
 */
#ifndef TT_WHOLE_H
#define TT_WHOLE_H

#include "core/base/buf.h"
#include "core/base/error.h"

/* Appends the file's bytes, at most `max`; more is an error of kind `io`. A file that is not there
 * is `not_found`. */
int tt_read_whole(const char *path, size_t max, struct tt_buf *into, struct tt_error **err);

#endif
