/* Tar archives, by libarchive, which is loaded on first use. Blocking: for worker threads. Archives
 * are files without a name, so that nothing of any size is held in memory. */
#ifndef TX_TAR_H
#define TX_TAR_H

#include "core/base/buf.h"
#include "core/base/digest.h"

#include <stdbool.h>
#include <stdint.h>

/* A new file without a name for an archive or a content. Returns the descriptor. */
int tx_tar_file(struct tt_error **err);

/* Which paths (relative, without "./" in front) go in. */
typedef bool tx_tar_wanted(void *arg, const char *path);

/* What went through, for a comparison with the other side that does not depend on the order. All
 * zero is its beginning. */
struct tx_tar_sums {
    struct tt_digest *digest;
    struct tt_buf lines; /* of each file: its SHA-256 in hex, a newline */
    bool other;          /* there were sockets, devices or pipes, which do not go along */
};
/* The SHA-256 of the sorted lines. */
int tx_tar_sums_total(struct tx_tar_sums *sums, char hex[tt_digest_hex_size],
                      struct tt_error **err);
void tx_tar_sums_clear(struct tx_tar_sums *sums);

/* Writes the tree below `root` to fd: modes, symlinks, empty directories; owners become root.
 * `wanted` may be NULL, and `sums`. A directory that is not wanted is still looked into. */
int tx_tar_tree(int fd, const char *root, tx_tar_wanted *wanted, void *arg,
                struct tx_tar_sums *sums, struct tt_error **err);
/* Unpacks into the new, empty directory `folder`: only below it, whatever the names and links in
 * the archive are; owners and times are not taken over. The directory keeps its own mode. */
int tx_tar_unpack(int fd, const char *folder, struct tx_tar_sums *sums, struct tt_error **err);

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
