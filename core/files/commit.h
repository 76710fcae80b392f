/* The end of a copied file: what arrived is compared with what was sent, and made visible. Compared
 * first, where the environment can hash a file that is not yet visible. */
#ifndef TT_COMMIT_H
#define TT_COMMIT_H

#include "core/files/files.h"

/* Commits `file`, which was written to its end and lies at `path` in file->env. `sha256` is that of
 * the sent content; NULL: `source` is asked for it (tt_file_stream_class.digest) while the written
 * file is hashed. When file->compares, nothing is hashed. Both files stay the caller's and outlive
 * the operation. Errors are those of the files; content that differs is no error: ask
 * tt_commit_damaged. */
struct tt_op *tt_commit(struct tt_file *file, const char *path, const char *sha256,
                        struct tt_file *source, struct tt_scope *scope);
/* Of a finished one: the checksum of what arrived differs from that of what was sent. */
bool tt_commit_damaged(struct tt_op *op);

#endif
