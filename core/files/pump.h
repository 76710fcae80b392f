/* Content from one open file to another, hashed on the way where that is wanted. Reading, hashing
 * and writing overlap; at most two chunks are in memory. Hashing of more than a little happens on a
 * worker thread. */
#ifndef TT_PUMP_H
#define TT_PUMP_H

#include "core/base/digest.h"
#include "core/files/files.h"

struct tt_pump_op {
    struct tt_op op;
    char sha256[tt_digest_hex_size]; /* "" when not asked for */
    uint64_t size;
};

/* Moves everything up to the end of `from`, but at most `max` bytes: what a file has grown by since
 * it was opened does not come along. `hashed`: with its SHA-256. Commits nothing. Both files stay
 * the caller's and outlive the operation. Errors are theirs. */
struct tt_op *tt_pump(struct tt_file *from, struct tt_file *to, uint64_t max, bool hashed,
                      struct tt_scope *scope);
/* Content of that size can be promised to tt_pump's destination: -1 where it is not known (files
 * that claim to be empty, like those of /proc, may not be). */
int64_t tt_pump_promise(const struct tt_stat *stat);
uint64_t tt_pump_max(const struct tt_stat *stat);

#endif
