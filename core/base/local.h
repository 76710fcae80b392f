/* This machine's files for tutti itself, by blocking calls: its settings, its state. Any thread.
 * What belongs to an environment is moved by core/files. */
#ifndef TT_LOCAL_H
#define TT_LOCAL_H

#include "core/base/buf.h"
#include "core/base/error.h"

/* Adds all of a file to `into`. One of more than `max` bytes is an error; so is what cannot be
 * opened, with its errno and the path as its message. */
int tt_read_whole(const char *path, size_t max, struct tt_buf *into, struct tt_error **err);
/* Makes a directory with its missing parents. One that exists is fine, also where nothing may be
 * written; a file in the way is an error that names the file. */
int tt_make_directories(const char *path, struct tt_error **err);

#endif
