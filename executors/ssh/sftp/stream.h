/* Files of an ssh host as streams, read ahead and written behind, and the removal of trees.
 * Only these files of this folder include it: open_write.c finds what stands there and makes the
 * temporary, write.c fills it and renames it over. Loop thread. */
#ifndef TX_SSH_STREAM_H
#define TX_SSH_STREAM_H

#include "executors/ssh/sftp/operation.h"

struct tt_op *tx_ssh_open_read(struct tt_env *env, struct tt_scope *scope, const char *path);
struct tt_op *tx_ssh_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                const struct tt_write_options *options);
struct tt_op *tx_ssh_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                            bool recursive);

/* What stands in a file that is open already, size bytes; the handle is only lent. */
struct tt_file *tx_stream_read_back(struct tt_env *env, struct tx_sftp *sftp, const char *path,
                                    const struct tt_buf *handle, uint64_t size);

/* The file that an operation has opened (its handle is taken) to be written and then renamed from
 * temporary to final; both are taken; temporary NULL: in place. mode: to set, or -1; size:
 * announced, or -1. */
struct tt_file *tx_stream_writer(struct tx_operation *opening, char *final, char *temporary,
                                 int mode, int64_t size);

/* A name for a temporary beside path; allocated. */
char *tx_stream_temporary(const char *path, struct tt_loop *loop);
/* Renames over what stands there. Servers without posix-rename@openssh.com refuse that when
 * something stands there, and say so. */
void tx_stream_rename(struct tx_operation *operation, const char *from, const char *to,
                      tx_sftp_done *done);

#endif
