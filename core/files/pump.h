/* The pump: moves content from one open file to another, and hashes it on the way if asked.
 * Reading, hashing and writing overlap; at most two chunks are in memory. All but small chunks are
 * hashed on a worker thread. */
#ifndef TT_PUMP_H
#define TT_PUMP_H

#include "core/base/digest.h"
#include "core/files/files.h"

struct tt_pump_op {
    struct tt_op op;
    char sha256[tt_digest_hex_size]; /* "" when not asked to hash */
    uint64_t size;                   /* bytes moved */
};

/* Moves everything up to the end of `from`, but at most `max` bytes, so that what the file has
 * grown by since it was opened stays behind. `hashed`: computes the SHA-256. Does not commit `to`.
 * Both files stay the caller's and outlive the operation; errors are those of reading and writing.
 * Finishes as a struct tt_pump_op. */
struct tt_op *tt_pump(struct tt_file *from, struct tt_file *to, uint64_t max, bool hashed,
                      struct tt_scope *scope);
/* What a file's stat says of its size: for tt_write_options.size (-1: not known) and for `max` of
 * tt_pump (UINT64_MAX: not known). Not known of a file that claims to be empty, for one of /proc
 * may not be. */
int64_t tt_pump_promise(const struct tt_stat *stat);
uint64_t tt_pump_max(const struct tt_stat *stat);

#endif
