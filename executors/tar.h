/* Tar archives, by libarchive, which is loaded on first use. Blocking: for worker threads. Archives
 * are files without a name, so that nothing of any size is held in memory. */
#ifndef TX_TAR_H
#define TX_TAR_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A new file without a name for an archive or a content. Returns the descriptor. */
int tx_tar_file(struct tt_error **err);

/* Which paths (relative, without "./" in front) go in. */
typedef bool tx_tar_wanted(void *arg, const char *path);

/* Writes the tree below `root` to fd: modes, symlinks, empty directories; owners become root.
 * `wanted` may be NULL. A directory that is not wanted is still looked into. */
int tx_tar_tree(int fd, const char *root, tx_tar_wanted *wanted, void *arg, struct tt_error **err);

struct tx_tar_entry {
    const char *path;
    char type; /* 'f', 'd', 'l' */
    unsigned mode;
    const char *target; /* of a symlink */
    int content;        /* of a file: a descriptor, read from its start */
    int64_t size;
};
/* Writes an archive with those entries to fd. */
int tx_tar_write(int fd, const struct tx_tar_entry *entries, unsigned count, struct tt_error **err);
/* Writes the content of the archive's first entry, a regular file, to `to`. */
int tx_tar_extract(int fd, int to, struct tt_error **err);
/* Tells each entry: path, type, mode, size, mtime in `entry`; no content. */
int tx_tar_list(int fd,
                void (*tell)(void *arg, const struct tx_tar_entry *entry, int64_t mtime,
                             unsigned uid, unsigned gid),
                void *arg, struct tt_error **err);

#endif
