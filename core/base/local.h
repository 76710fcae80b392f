/* Files of this machine that tutti itself needs, its settings and its state. The calls block. Any
 * thread. Files of an environment are the business of core/files. */
#ifndef TT_LOCAL_H
#define TT_LOCAL_H

#include "core/base/buf.h"
#include "core/base/error.h"

/* Appends a whole file to `into`. Errors: a file of more than `max` bytes; one that cannot be
 * opened (with errno; the message is the path). */
int tt_read_whole(const char *path, size_t max, struct tt_buf *into, struct tt_error **err);
/* Makes a directory and its missing parents. A directory that exists is fine, even on a read-only
 * disk. A file in the way is an error that names the file. */
int tt_make_directories(const char *path, struct tt_error **err);

#endif
