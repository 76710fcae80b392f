/* The end of a copied file: what arrived is compared with what was sent, before it is made visible
 * where that can be found out before. */
#ifndef TT_COMMIT_H
#define TT_COMMIT_H

#include "core/files.h"

/* Commits a file that was written to its end; sha256 is that of the content, and not looked at
 * when file->compares. The file stays the caller's and outlives the operation; path is the file's
 * in file->env. Errors are the file's; that the content differs is none, but tt_commit_damaged. */
struct tt_op *tt_commit(struct tt_file *file, const char *path, const char *sha256,
                        struct tt_scope *scope);
/* The checksum there differs from that of the content. */
bool tt_commit_damaged(struct tt_op *op);

#endif
