/* Whole trees by `tar` in the environment: one stream, whatever the number of files.
 *
 * Going up, the archive is made first, in a file without a name; there it is unpacked beside the
 * place, compared, and then renamed. Coming down, the same the other way round. What is compared
 * are the SHA-256 of all contents, sorted. Whatever stands in the way (no tar, a place that is
 * taken, a file that may not be read, a full disk) is `unsupported`: file by file it goes, or
 * says what is wrong. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/local.h"
#include "core/env/proc.h"
#include "core/files/fd_file.h"
#include "core/files/tree.h"
#include "executors/remote/shell_files.h"
#include "executors/remote/shim.h"
#include "executors/remote/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { piece = 64 << 10, head_max = 256, background_ms = 10000 };

/* The sum of what is below the current directory there: what tx_tar_sums_total says here. GNU's
 * sha256sum puts a backslash before the line of a name that it escaped; where it does not, a name
 * with a newline in it can only make the sum differ. */
static const char sum_line[] = "{ find . -type f -exec sha256sum -- {} +|"
                               "tr -d '\\\\'|cut -c 1-64|sort|sha256sum;}";

struct moving {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_env *env; /* held */
    char *here, *there;
    char *temporary; /* of the side where it arrives */
    int archive;
    off_t at;
    unsigned mode; /* of the tree's top */
    char sum[tt_digest_hex_size];
    struct tt_buf head; /* what came before the archive */
    struct tt_process *process;
    bool ended; /* the process did */
    bool left;  /* there may be a temporary there */
};

static struct moving *of(struct tt_op *op)
{
    return (struct moving *)(void *)op;
}

static void moving_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

/* --- letting go --- */

struct disposal {
    struct tt_scope *scope;
    struct tt_process *process;
    struct tt_env *env; /* held */
    char *temporary;    /* NULL: nothing is there */
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
    char *argv[] = {"rm", "-rf", "--", disposal->temporary, NULL};
    struct tt_command command = {.argv = argv};
    struct tt_capture_options options;
    tt_op_release(op);
    disposal->process->class_->free(disposal->process);
    tt_capture_defaults(&options);
    tt_op_await(disposal->temporary ? tt_capture(disposal->env, disposal->scope, &command, &options)
                                    : tt_op_finished_new(disposal->scope, NULL),
                on_removed, disposal);
}

static void moving_free(struct tt_op *op)
{
    struct moving *moving = of(op);
    if (moving->process) {
        struct disposal *disposal = tt_zalloc(sizeof *disposal);
        disposal->scope =
            tt_scope_shielded(op->loop, tt_deadline_after(tt_loop_now(op->loop), background_ms));
        disposal->process = moving->process;
        disposal->env = moving->env;
        tt_env_retain(moving->env);
        disposal->temporary = moving->left ? tt_strdup(moving->temporary) : NULL;
        tt_op_await(moving->ended ? tt_op_finished_new(disposal->scope, NULL)
                                  : moving->process->class_->signal(moving->process,
                                                                    disposal->scope, SIGKILL),
                    on_killed, disposal);
    }
    if (moving->archive >= 0)
        close(moving->archive);
    tt_env_release(moving->env);
    free(moving->here);
    free(moving->there);
    free(moving->temporary);
    tt_buf_free(&moving->head);
    free(moving);
}

static void not_this_way(struct tt_op *op, const char *why)
{
    tt_op_finish(
        op, tt_error_new(TT_UNSUPPORTED, "%s does not go in one stream: %s", of(op)->there, why));
}

/* What went wrong here is left for the other way to say, unless nothing more can be done. */
static void gave_up(struct tt_op *op, const struct tt_error *why)
{
    if (why->kind == TT_CANCELLED || why->kind == TT_TIMEOUT || op->cancelled)
        tt_op_finish(op, tt_error_copy(why));
    else
        not_this_way(op, why->message);
}

static struct moving *moving_new(struct tt_env *env, struct tt_scope *scope, const char *here,
                                 const char *there)
{
    static const struct tt_op_class class_ = {"a tree", moving_cancel, moving_free};
    struct moving *moving = tt_zalloc(sizeof *moving);
    moving->env = env;
    tt_env_retain(env);
    moving->here = tt_strdup(here);
    moving->there = tx_shell_path(there);
    moving->archive = -1;
    tt_op_init(&moving->op, &class_, scope);
    return moving;
}

/* A command of the environment's shell; takes the script. */
static struct tt_op *start(struct moving *moving, struct tt_buf *script, bool in)
{
    struct tt_command command = {.stdin_open = in};
    /* the agent's quoting knows the newline as $N */
    command.shell = tt_format("N='\n';LC_ALL=C;export LC_ALL;%s", script->data);
    struct tt_op *op = moving->env->class_->start(moving->env, moving->op.scope, &command);
    tt_command_clear(&command);
    tt_buf_free(script);
    return op;
}

/* How the command there ended: 0 is the only good end. */
static bool ended_well(struct tt_op *op, struct tt_op *waited)
{
    struct moving *moving = of(op);
    const struct tt_exit *end = &moving->process->exit;
    if (waited->error) {
        tt_op_finish(op, tt_error_copy(waited->error));
        return false;
    }
    moving->ended = true;
    if (end->kind != TT_OK) {
        tt_op_finish(
            op, tt_error_new(end->kind, "%s: %s", moving->there, end->message ? end->message : ""));
        return false;
    }
    if (end->code != 0)
        not_this_way(op, "tar could not be used there");
    return end->code == 0;
}

/* --- up --- */

static int pack(void *arg, struct tt_error **err)
{
    struct moving *moving = arg;
    struct tx_tar_sums sums = {0};
    struct stat info = {0};
    char *root = tt_format("%s/.", moving->here); /* a symlink to it is followed */
    int rc = stat(root, &info) < 0 ? tt_fail_errno(err, errno, "%s", root) : 0;
    if (rc == 0)
        rc = moving->archive = tx_tar_file(err);
    if (rc >= 0)
        rc = tx_tar_tree(moving->archive, root, NULL, NULL, &sums, err);
    if (rc == 0 && sums.other)
        rc = tt_fail(err, TT_UNSUPPORTED, "%s has more than files in it", moving->here);
    if (rc == 0)
        rc = tx_tar_sums_total(&sums, moving->sum, err);
    moving->mode = info.st_mode & 07777;
    tx_tar_sums_clear(&sums);
    free(root);
    return rc;
}

static void on_unpacked_there(struct tt_op *op, struct tt_op *waited)
{
    if (!ended_well(op, waited))
        return;
    of(op)->left = false;
    tt_op_finish(op, NULL);
}

static void wait_for_end(struct tt_op *op, struct tt_op *closed)
{
    struct tt_process *process = of(op)->process;
    (void)closed; /* the command's end says more */
    tt_then(&of(op)->chain, op, process->class_->wait(process, op->scope), on_unpacked_there);
}

static void send_more(struct tt_op *op, struct tt_op *written)
{
    struct moving *moving = of(op);
    struct tt_process *process = moving->process;
    bool refused = written && written->error;
    if (refused && op->cancelled) {
        tt_op_finish(op, tt_error_copy(written->error));
        return;
    }
    char *bytes = tt_alloc(piece);
    ssize_t got = refused                       ? 0
                  : TT_FAULT("shell_tree.read") ? -1
                                                : pread(moving->archive, bytes, piece, moving->at);
    if (got < 0) {
        not_this_way(op, "the archive cannot be read");
    } else if (got > 0) {
        moving->at += got;
        tt_then(&moving->chain, op, process->class_->write(process, op->scope, bytes, (size_t)got),
                send_more);
    } else {
        tt_then(&moving->chain, op, process->class_->close_stdin(process, op->scope), wait_for_end);
    }
    free(bytes);
}

static void on_tar_there(struct tt_op *op, struct tt_op *started)
{
    struct moving *moving = of(op);
    if (started->error) {
        tt_op_finish(op, tt_error_copy(started->error));
        return;
    }
    moving->process = tt_process_of(started);
    moving->left = true;
    send_more(op, NULL);
}

static void on_packed(struct tt_op *op, struct tt_op *packed)
{
    struct moving *moving = of(op);
    struct tt_buf script = {0};
    char nonce[tx_nonce_size];
    struct tt_error *err = NULL;
    if (packed->error) {
        gave_up(op, packed->error);
        return;
    }
    if (tx_shim_nonce(nonce, &err) < 0) {
        tt_op_finish(op, err);
        return;
    }
    moving->temporary = tt_format("%s.tutti-%s", moving->there, nonce);
    tx_shell_add(&script, "exec >/dev/null 2>&1;p=%s;t=%s;", moving->there, moving->temporary);
    tt_buf_text(&script, "w=$PWD;f(){ cd \"$w\";rm -rf -- \"$t\";exit 1;};"
                         "[ ! -e \"$p\" ]&&[ ! -L \"$p\" ]&&command -v tar&&"
                         "mkdir -p -- \"${p%/*}/\"||exit 1;"
                         "(umask 077;mkdir -- \"$t\")&&cd \"$t\"&&tar -xpmf -||f;");
    tt_buf_format(&script, "s=$(%s)&&[ \"${s%%%% *}\" = %s ]&&chmod %04o .&&cd \"$w\"&&", sum_line,
                  moving->sum, moving->mode);
    tt_buf_text(&script, "mv -T -- \"$t\" \"$p\"||{ cd \"$w\";f;}");
    tt_then(&moving->chain, op, start(moving, &script, true), on_tar_there);
}

struct tt_op *tx_shell_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                                const char *there)
{
    struct moving *moving = moving_new(env, scope, here, there);
    if (!tt_op_finished(&moving->op))
        tt_then(&moving->chain, &moving->op, tt_work(scope, "pack a tree", pack, moving, NULL),
                on_packed);
    return &moving->op;
}

/* --- down --- */

/* Makes the directory beside the place and renames it when it is whole. */
static int unpack(void *arg, struct tt_error **err)
{
    struct moving *moving = arg;
    struct tx_tar_sums sums = {0};
    char sum[tt_digest_hex_size];
    char *last = strrchr(moving->here, '/');
    char *parent = last && last > moving->here
                       ? tt_strndup(moving->here, (size_t)(last - moving->here))
                       : NULL;
    bool made = false;
    moving->temporary = tt_temporary_beside(moving->here);
    int rc = parent ? tt_make_directories(parent, err) : 0;
    if (rc == 0 && (TT_FAULT("shell_tree.mkdir") || mkdir(moving->temporary, 0700) < 0))
        rc = tt_fail_errno(err, errno, "%s", moving->temporary);
    made = rc == 0;
    if (rc == 0)
        rc = tx_tar_unpack(moving->archive, moving->temporary, &sums, err);
    if (rc == 0)
        rc = tx_tar_sums_total(&sums, sum, err);
    if (rc == 0 && strcmp(sum, moving->sum) != 0)
        rc = tt_fail(err, TT_IO, "%s arrived damaged", moving->here);
    if (rc == 0 &&
        (chmod(moving->temporary, moving->mode) < 0 ||
         renameat2(AT_FDCWD, moving->temporary, AT_FDCWD, moving->here, RENAME_NOREPLACE) < 0))
        rc = tt_fail_errno(err, errno, "%s", moving->here);
    if (rc < 0 && made)
        tt_tree_remove(moving->temporary, true, NULL, NULL);
    tx_tar_sums_clear(&sums);
    free(parent);
    return rc;
}

static void on_unpacked(struct tt_op *op, struct tt_op *unpacked)
{
    if (unpacked->error)
        gave_up(op, unpacked->error);
    else
        tt_op_finish(op, NULL);
}

static void on_packed_there(struct tt_op *op, struct tt_op *waited)
{
    if (ended_well(op, waited))
        tt_then(&of(op)->chain, op, tt_work(op->scope, "unpack a tree", unpack, of(op), NULL),
                on_unpacked);
}

/* The line before the archive: "MODE SUM  -". False when there is something else. */
static bool read_head(struct moving *moving, const char *line)
{
    char *end = NULL;
    moving->mode = (unsigned)strtoul(line, &end, 8) & 07777;
    if (end == line || *end != ' ' || strlen(end + 1) < tt_digest_hex_size - 1)
        return false;
    snprintf(moving->sum, sizeof moving->sum, "%s", end + 1);
    return tt_digest_valid(moving->sum);
}

/* Takes that line from what arrived; 0 while it is not complete, -1 when it is none. */
static ssize_t take_head(struct moving *moving, const struct tt_bytes *bytes)
{
    const char *newline = memchr(bytes->data, '\n', bytes->length);
    size_t length = newline ? (size_t)(newline + 1 - bytes->data) : bytes->length;
    tt_buf_add(&moving->head, bytes->data, length);
    if (!newline)
        return moving->head.length > head_max ? -1 : 0;
    return read_head(moving, moving->head.data) ? (ssize_t)length : -1;
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct moving *moving = of(op);
    struct tt_process *process = moving->process;
    const struct tt_bytes *bytes = tt_bytes_of(read);
    ssize_t used = 0;
    if (read->error) {
        tt_op_finish(op, tt_error_copy(read->error));
        return;
    }
    if (!bytes->length) {
        tt_then(&moving->chain, op, process->class_->wait(process, op->scope), on_packed_there);
        return;
    }
    if (!*moving->sum)
        used = take_head(moving, bytes);
    size_t rest = *moving->sum && used >= 0 ? bytes->length - (size_t)used : 0;
    if (used < 0)
        not_this_way(op, "tar could not be used there");
    else if (rest && (TT_FAULT("shell_tree.spool") ||
                      write(moving->archive, bytes->data + used, rest) != (ssize_t)rest))
        not_this_way(op, "there is no room for the archive");
    else
        tt_then(&moving->chain, op, process->class_->read(process, op->scope, TT_STDOUT, piece),
                on_bytes);
}

static void on_tar_started(struct tt_op *op, struct tt_op *started)
{
    struct moving *moving = of(op);
    if (started->error) {
        tt_op_finish(op, tt_error_copy(started->error));
        return;
    }
    struct tt_process *process = moving->process = tt_process_of(started);
    tt_then(&moving->chain, op, process->class_->read(process, op->scope, TT_STDOUT, piece),
            on_bytes);
}

struct tt_op *tx_shell_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                                const char *here)
{
    struct moving *moving = moving_new(env, scope, here, there);
    struct tt_error *err = NULL;
    if (tt_op_finished(&moving->op))
        return &moving->op;
    moving->archive = tx_tar_file(&err);
    if (moving->archive < 0) {
        gave_up(&moving->op, err);
        tt_error_free(err);
        return &moving->op;
    }
    struct tt_buf script = {0};
    size_t length = strlen(moving->here);
    while (length > 1 && moving->here[length - 1] == '/')
        moving->here[--length] = 0;
    tx_shell_add(&script, "exec 2>/dev/null;cd %s&&command -v tar >/dev/null&&", moving->there);
    tt_buf_text(&script, "[ -z \"$(find . ! -type f ! -type d ! -type l|head -n 1)\" ]&&"
                         "printf '%s ' \"$(stat -c %a .)\"&&");
    tt_buf_format(&script, "%s&&exec tar -cf - .", sum_line);
    tt_then(&moving->chain, &moving->op, start(moving, &script, false), on_tar_started);
    return &moving->op;
}
