/* SHA-256 of files of an ssh host: by the tools there; where there are none, and for what is small,
 * from the content read back. */
#ifndef TX_SSH_DIGEST_H
#define TX_SSH_DIGEST_H

#include "core/files/files.h"

enum { tx_digest_read_back_max = 256 << 10 }; /* smaller: reading it back is cheaper */

/* The file at that path: tt_digest_of. */
struct tt_op *tx_ssh_digest(struct tt_env *env, struct tt_scope *scope, const char *path);
/* What that file gives when it is read: tt_digest_of. Takes the file. */
struct tt_op *tx_digest_read(struct tt_file *file, struct tt_scope *scope);

#endif
