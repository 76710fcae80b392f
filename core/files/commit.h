/* The end of a copied file: what arrived is compared with what was sent, before it is made visible
 * where that can be found out before. */
#ifndef TT_COMMIT_H
#define TT_COMMIT_H

#include "core/files/files.h"

/* Commits a file that was written to its end. sha256 is that of the content, or NULL: then that of
 * the source is taken, while the other side takes its own; neither is looked at when
 * file->compares. The files stay the caller's and outlive the operation; path is the file's in
 * file->env. Errors are the file's; that the content differs is none, but tt_commit_damaged. */
struct tt_op *tt_commit(struct tt_file *file, const char *path, const char *sha256,
                        struct tt_file *source, struct tt_scope *scope);
/* The checksum there differs from that of the content. */
bool tt_commit_damaged(struct tt_op *op);

#endif
