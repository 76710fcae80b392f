/* One file being read or written by way of a shell.
 *
 * Reading: the question that finds out what the file is brings a small content along; a large one
 * is the output of a `cat`. Writing: a small content is kept until it is committed, a large one
 * goes into the temporary file through a `cat`; committing gives the temporary file the old one's
 * mode and owner, compares its size, and renames it. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "executors/remote/shell_agent.h"
#include "executors/remote/shell_files.h"
#include "executors/remote/shim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { small = tx_agent_input_max, answer_max = 4 << 20, background_ms = 10000 };

struct shell_file {
    struct tt_file file;
    struct tt_loop *loop;
    char *path;               /* as given, for messages */
    char *target, *temporary; /* of a file being written */
    struct tt_buf content;    /* not yet read, or not yet sent */
    struct tt_process *process;
    uint64_t written;
    int64_t size; /* to come; -1: not known */
    int mode;
    bool committed, ended; /* ended: the process did */
};

static struct shell_file *of(struct tt_file *file)
{
    return (struct shell_file *)(void *)file;
}

/* An operation on such a file, or the opening of one. */
struct file_op {
    union {
        struct tt_op op;
        struct tt_file_op file;
        struct tt_bytes_op bytes;
    } base;
    struct tt_chain chain;
    struct shell_file *shell;
    struct tt_env *env; /* held while opening */
    size_t max;
    struct tt_buf data; /* to be written once the process runs */
};

static struct file_op *file_op_of(struct tt_op *op)
{
    return (struct file_op *)(void *)op;
}

static void file_op_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&file_op_of(op)->chain, why);
}

static void opening_free(struct tt_op *op)
{
    tt_env_release(file_op_of(op)->env);
    tt_file_op_free(op);
}

static void reading_free(struct tt_op *op)
{
    tt_bytes_op_free(op);
}

static void plain_free(struct tt_op *op)
{
    tt_buf_free(&file_op_of(op)->data);
    free(op);
}

static const struct tt_op_class opening_class = {"open", file_op_cancel, opening_free};
static const struct tt_op_class reading_class = {"read", file_op_cancel, reading_free};
static const struct tt_op_class plain_class = {"write", file_op_cancel, plain_free};

static struct file_op *new_op(const struct tt_op_class *class_, struct tt_scope *scope,
                              struct shell_file *shell)
{
    struct file_op *op = tt_zalloc(sizeof *op);
    op->shell = shell;
    tt_op_init(&op->base.op, class_, scope);
    return op;
}

static struct tt_op *start_cat(struct tt_env *env, struct tt_scope *scope, const char *script,
                               bool in)
{
    struct tt_command command = {.stdin_open = in};
    /* the agent's quoting knows the newline as $N */
    command.shell = tt_format("N='\n';%s", script);
    struct tt_op *op = env->class_->start(env, scope, &command);
    tt_command_clear(&command);
    return op;
}

/* --- letting go --- */

struct disposal {
    struct tt_scope *scope;
    struct tt_process *process;
    struct tt_env *env; /* held */
    char *temporary;
};

static void on_removed(struct tt_op *op, void *arg)
{
    struct disposal *disposal = arg;
    tt_op_release(op);
    tt_scope_release(disposal->scope);
    tt_env_release(disposal->env);
    free(disposal->temporary);
    free(disposal);
}

static void on_killed(struct tt_op *op, void *arg)
{
    struct disposal *disposal = arg;
    struct tt_buf script = {0};
    tt_op_release(op);
    if (disposal->process)
        disposal->process->class_->free(disposal->process);
    if (disposal->temporary)
        tx_shell_add(&script, "rm -f -- %s", disposal->temporary);
    tt_op_await(script.length
                    ? tx_agent_ask(disposal->env, disposal->scope, script.data, NULL, 0, answer_max)
                    : tt_op_finished_new(disposal->scope, NULL),
                on_removed, disposal);
    tt_buf_free(&script);
}

static void file_free(struct tt_file *file)
{
    struct shell_file *shell = of(file);
    if (shell->process) {
        struct disposal *disposal = tt_zalloc(sizeof *disposal);
        disposal->scope = tt_scope_shielded(
            shell->loop, tt_deadline_after(tt_loop_now(shell->loop), background_ms));
        disposal->process = shell->process;
        disposal->env = file->env;
        tt_env_retain(file->env);
        if (!shell->committed && shell->temporary)
            disposal->temporary = tt_strdup(shell->temporary);
        tt_op_await(shell->ended
                        ? tt_op_finished_new(disposal->scope, NULL)
                        : shell->process->class_->signal(shell->process, disposal->scope, SIGKILL),
                    on_killed, disposal);
    }
    tt_buf_free(&shell->content);
    tt_env_release(file->env);
    free(shell->path);
    free(shell->target);
    free(shell->temporary);
    free(shell);
}

/* --- reading --- */

static void take(struct file_op *op, struct tt_buf *from)
{
    struct tt_bytes *bytes = &op->base.bytes.bytes;
    bytes->length = from->length < op->max ? from->length : op->max;
    if (bytes->length) {
        bytes->data = tt_alloc(bytes->length + 1);
        memcpy(bytes->data, from->data, bytes->length);
        bytes->data[bytes->length] = 0;
        tt_buf_drop(from, bytes->length);
    }
    tt_op_finish(&op->base.op, NULL);
}

static struct tt_error *process_error(struct shell_file *shell)
{
    const struct tt_exit *end = &shell->process->exit;
    if (end->kind != TT_OK)
        return tt_error_new(end->kind, "%s: %s", shell->path, end->message ? end->message : "");
    if (end->code != 0)
        return tt_error_new(TT_IO, "%s: moving its content ended with code %d", shell->path,
                            end->code);
    return NULL;
}

static void on_cat_end(struct tt_op *op, struct tt_op *waited)
{
    struct shell_file *shell = file_op_of(op)->shell;
    shell->ended = !waited->error;
    tt_op_finish(op, waited->error ? tt_error_copy(waited->error) : process_error(shell));
}

static void on_cat_bytes(struct tt_op *op, struct tt_op *read)
{
    struct file_op *reading = file_op_of(op);
    struct tt_process *process = reading->shell->process;
    struct tt_bytes *bytes = &reading->base.bytes.bytes;
    const struct tt_bytes *got = tt_bytes_of(read);
    if (read->error) {
        tt_op_finish(op, tt_error_copy(read->error));
    } else if (!got->length) {
        tt_then(&reading->chain, op, process->class_->wait(process, op->scope), on_cat_end);
    } else {
        bytes->length = got->length;
        bytes->data = tt_alloc(got->length + 1);
        memcpy(bytes->data, got->data, got->length);
        bytes->data[got->length] = 0;
        tt_op_finish(op, NULL);
    }
}

static struct tt_op *file_read(struct tt_file *file, struct tt_scope *scope, size_t max)
{
    struct shell_file *shell = of(file);
    struct file_op *op = new_op(&reading_class, scope, shell);
    op->max = max;
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    if (!shell->process || shell->ended)
        take(op, &shell->content);
    else
        tt_then(&op->chain, &op->base.op,
                shell->process->class_->read(shell->process, scope, TT_STDOUT, max), on_cat_bytes);
    return &op->base.op;
}

/* --- writing --- */

static void on_put(struct tt_op *op, struct tt_op *put)
{
    tt_op_finish(op, tt_error_copy(put->error));
}

static void on_writer(struct tt_op *op, struct tt_op *started)
{
    struct file_op *writing = file_op_of(op);
    struct shell_file *shell = writing->shell;
    if (started->error) {
        tt_op_finish(op, tt_error_copy(started->error));
        return;
    }
    shell->process = tt_process_of(started);
    tt_then(&writing->chain, op,
            shell->process->class_->write(shell->process, op->scope, shell->content.data,
                                          shell->content.length),
            on_put);
    tt_buf_free(&shell->content);
}

static struct tt_op *file_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                size_t length)
{
    struct shell_file *shell = of(file);
    struct file_op *op = new_op(&plain_class, scope, shell);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    shell->written += length;
    if (shell->process) {
        tt_then(&op->chain, &op->base.op,
                shell->process->class_->write(shell->process, scope, data, length), on_put);
        return &op->base.op;
    }
    tt_buf_add(&shell->content, data, length);
    if (shell->content.length <= small) {
        tt_op_finish(&op->base.op, NULL);
        return &op->base.op;
    }
    struct tt_buf script = {0};
    tx_shell_add(&script, "umask 077;exec cat >%s", shell->temporary);
    tt_then(&op->chain, &op->base.op, start_cat(file->env, scope, script.data, true), on_writer);
    tt_buf_free(&script);
    return &op->base.op;
}

static void on_committed(struct tt_op *op, struct tt_op *ask)
{
    struct shell_file *shell = file_op_of(op)->shell;
    struct tt_error *err = tt_error_copy(ask->error);
    if (!err && tx_agent_code(ask) != 0)
        err = tx_shell_error(shell->path, tx_agent_answer(ask));
    shell->committed = !err;
    tt_op_finish(op, err);
}

/* What makes the temporary file the real one. `t` is its name, `p` the file's. */
static void add_finish(struct tt_buf *script, const struct shell_file *shell)
{
    tt_buf_format(script,
                  "{ [ \"$(stat -c %%s -- \"$t\")\" = %llu ]||{ echo the size differs;false;};}&&",
                  (unsigned long long)shell->written);
    tt_buf_text(script, "{ if [ -e \"$p\" ];then o=$(stat -c %u:%g -- \"$p\")&&"
                        "{ [ \"$(stat -c %u:%g -- \"$t\")\" = \"$o\" ]||chown \"$o\" \"$t\";}&&");
    if (shell->mode >= 0)
        tt_buf_format(script, "chmod %04o \"$t\";else chmod %04o \"$t\";fi;}&&",
                      (unsigned)shell->mode & 07777, (unsigned)shell->mode & 07777);
    else
        tt_buf_text(script, "chmod \"$(stat -c %a -- \"$p\")\" \"$t\";"
                            "else chmod \"$(printf %o $((0666&~0$u)))\" \"$t\";fi;}&&");
    tt_buf_text(script, "mv -f -- \"$t\" \"$p\"||{ rm -f -- \"$t\";exit 1;}");
}

static void finish_file(struct file_op *op)
{
    struct shell_file *shell = op->shell;
    struct tt_buf script = {0};
    bool sent = shell->process != NULL;
    tx_shell_add(&script, "p=%s;t=%s;u=$(umask);umask 077;", shell->target, shell->temporary);
    if (!sent && shell->content.length)
        tt_buf_format(&script, "dd bs=%zu count=1 iflag=fullblock 2>/dev/null|{ cat >\"$t\"&&",
                      shell->content.length);
    else if (!sent)
        tt_buf_text(&script, ":>\"$t\"&&");
    add_finish(&script, shell);
    if (!sent && shell->content.length)
        tt_buf_text(&script, ";}");
    tt_then(&op->chain, &op->base.op,
            tx_agent_ask(shell->file.env, op->base.op.scope, script.data, shell->content.data,
                         sent ? 0 : shell->content.length, answer_max),
            on_committed);
    tt_buf_free(&script);
}

static void on_writer_end(struct tt_op *op, struct tt_op *waited)
{
    struct shell_file *shell = file_op_of(op)->shell;
    struct tt_error *err = tt_error_copy(waited->error);
    shell->ended = !err;
    if (!err)
        err = process_error(shell);
    if (err)
        tt_op_finish(op, err);
    else
        finish_file(file_op_of(op));
}

static void on_stdin_closed(struct tt_op *op, struct tt_op *closed)
{
    struct tt_process *process = file_op_of(op)->shell->process;
    if (closed->error)
        tt_op_finish(op, tt_error_copy(closed->error));
    else
        tt_then(&file_op_of(op)->chain, op, process->class_->wait(process, op->scope),
                on_writer_end);
}

static struct tt_op *file_commit(struct tt_file *file, struct tt_scope *scope)
{
    struct shell_file *shell = of(file);
    struct file_op *op = new_op(&plain_class, scope, shell);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    if (shell->size >= 0 && (uint64_t)shell->size != shell->written)
        tt_op_finish(&op->base.op,
                     tt_error_new(TT_IO, "%s: %llu bytes were written, %lld announced", shell->path,
                                  (unsigned long long)shell->written, (long long)shell->size));
    else if (shell->process)
        tt_then(&op->chain, &op->base.op,
                shell->process->class_->close_stdin(shell->process, scope), on_stdin_closed);
    else
        finish_file(op);
    return &op->base.op;
}

/* --- opening --- */

static const struct tt_file_stream_class stream_class = {
    .read = file_read,
    .write = file_write,
    .digest = tt_file_no_digest,
    .commit = file_commit,
    .free = file_free,
};

static struct shell_file *new_file(struct tt_env *env, struct tt_loop *loop, const char *path)
{
    struct shell_file *shell = tt_zalloc(sizeof *shell);
    shell->file.class_ = &stream_class;
    shell->file.env = env;
    tt_env_retain(env);
    shell->loop = loop;
    shell->path = tt_strdup(path);
    shell->size = -1;
    return shell;
}

static void on_reader(struct tt_op *op, struct tt_op *started)
{
    file_op_of(op)->shell->process = tt_process_of(started);
    tt_op_finish(op, tt_error_copy(started->error));
}

static void on_looked(struct tt_op *op, struct tt_op *ask)
{
    struct file_op *opening = file_op_of(op);
    struct shell_file *shell = opening->shell;
    struct tt_buf *said = tx_agent_answer(ask);
    struct tt_stat *stat = &shell->file.stat;
    struct tt_error *err = tt_error_copy(ask->error);
    if (!err && tx_agent_code(ask) != 0)
        err = tx_shell_error(shell->path, said);
    long used = err ? -1 : tx_shell_stat_read(stat, said->data ? said->data : "", said->length);
    if (!err && used < 0)
        err = tt_error_new(TT_IO, "%s: stat said what is not understood", shell->path);
    if (err) {
        tt_op_finish(op, err);
        return;
    }
    if (stat->type == TT_FILE_REGULAR && stat->size <= small) {
        tt_buf_add(&shell->content, said->data + used + 1, said->length - (size_t)used - 1);
        tt_op_finish(op, NULL);
        return;
    }
    struct tt_buf script = {0};
    tx_shell_add(&script, "exec cat -- %s", shell->target);
    tt_then(&opening->chain, op, start_cat(opening->env, op->scope, script.data, false), on_reader);
    tt_buf_free(&script);
}

static struct file_op *new_opening(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    struct file_op *op = new_op(&opening_class, scope, NULL);
    op->env = env;
    tt_env_retain(env);
    op->shell = new_file(env, tt_scope_loop(scope), path);
    op->base.file.file = &op->shell->file;
    return op;
}

struct tt_op *tx_shell_open_read(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    struct file_op *op = new_opening(env, scope, path);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    struct tt_buf script = {0};
    char *p = op->shell->target = tx_shell_path(path);
    tx_shell_add(&script, "[ -d %s ]&&{ echo Is a directory;exit 1;};", p);
    tx_shell_add(&script, "stat -L -c '%%f %%s %%Y %%u %%g' -- %s||exit 1;", p);
    tx_shell_add(&script, "[ -r %s ]||{ echo Permission denied;exit 1;};", p);
    tx_shell_add(&script, "if [ -f %s ]&&[ \"$(stat -L -c %%s -- %s)\" -le ", p, p);
    tt_buf_format(&script, "%d ];then cat -- ", small);
    tx_agent_quote(&script, p);
    tt_buf_text(&script, ";fi");
    tt_then(&op->chain, &op->base.op, tx_agent_ask(env, scope, script.data, NULL, 0, answer_max),
            on_looked);
    tt_buf_free(&script);
    return &op->base.op;
}

static void on_resolved(struct tt_op *op, struct tt_op *ask)
{
    struct file_op *opening = file_op_of(op);
    struct shell_file *shell = opening->shell;
    struct tt_buf *said = tx_agent_answer(ask);
    struct tt_error *err = tt_error_copy(ask->error);
    char nonce[tx_nonce_size];
    if (!err && tx_agent_code(ask) != 0)
        err = tx_shell_error(shell->path, said);
    if (!err && !said->length)
        err = tt_error_new(TT_IO, "%s: readlink said nothing", shell->path);
    if (!err && tx_shim_nonce(nonce, &err) == 0) {
        free(shell->target);
        shell->target = tt_strndup(said->data, said->length);
        const char *slash = strrchr(shell->target, '/');
        shell->temporary = tt_format("%.*s.tutti-%s", slash ? (int)(slash - shell->target + 1) : 0,
                                     shell->target, nonce);
    }
    tt_op_finish(op, err);
}

struct tt_op *tx_shell_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  const struct tt_write_options *options)
{
    struct file_op *op = new_opening(env, scope, path);
    op->shell->mode = options->mode;
    op->shell->size = options->size;
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    struct tt_buf script = {0};
    char *p = op->shell->target = tx_shell_path(path);
    /* the x keeps a newline at the end of a name */
    tx_shell_add(&script,
                 "p=%s;if [ -L \"$p\" ];then p=$(readlink -f -- \"$p\"&&echo x)||exit 1;"
                 "p=${p%%\"$N\"x};fi;",
                 p);
    tt_buf_text(&script, "[ -d \"$p\" ]&&{ echo Is a directory;exit 1;};d=${p%/*}/;"
                         "[ -d \"$d\" ]||{ echo No such file or directory;exit 1;};"
                         "[ -w \"$d\" ]||{ echo Permission denied;exit 1;};printf %s \"$p\"");
    tt_then(&op->chain, &op->base.op, tx_agent_ask(env, scope, script.data, NULL, 0, answer_max),
            on_resolved);
    tt_buf_free(&script);
    return &op->base.op;
}
