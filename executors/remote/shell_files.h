/* Files of an environment that has a shell and the usual tools (stat, find, dd, mv …; busybox's are
 * enough), by questions to a shell in it (executors/remote/shell_agent.h): pods, and containers.
 * Contents of more than 256 KiB move through a command of their own; whole trees through `tar`,
 * where there is one. */
#ifndef TX_SHELL_FILES_H
#define TX_SHELL_FILES_H

#include "core/base/buf.h"
#include "core/files/files.h"

extern const struct tt_file_class tx_shell_files;

/* The `close` of an environment that uses them: ends its shell. */
struct tt_op *tx_shell_files_close(struct tt_env *env, struct tt_scope *scope);

/* --- shared by shell_files.c, shell_file.c and shell_tree.c --- */

struct tt_op *tx_shell_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                                const char *there);
struct tt_op *tx_shell_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                                const char *here);

struct tt_op *tx_shell_open_read(struct tt_env *env, struct tt_scope *scope, const char *path);
struct tt_op *tx_shell_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  const struct tt_write_options *options);
/* A path that no tool takes for an option, without slashes at the end. Allocated. */
char *tx_shell_path(const char *path);
/* What a tool's complaint about a path means. */
struct tt_error *tx_shell_error(const char *path, const struct tt_buf *said);
/* "%f %s %Y %u %g" of stat; the number of bytes used, or -1. */
long tx_shell_stat_read(struct tt_stat *stat, const char *text, size_t length);
/* Appends a script: formats with %s quoted for it. */
void tx_shell_add(struct tt_buf *script, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
