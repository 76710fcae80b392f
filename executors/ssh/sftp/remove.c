/* Removing a remote file or tree, never through a symlink. Directories are listed one after the
 * other, what is in them is removed with many requests in flight, and at last the directories
 * themselves, the innermost first. */
#include "core/base/alloc.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

static void plain_free(struct tt_op *op)
{
    tx_task_clear((struct tx_task *)(void *)op);
    free(op);
}

static void list_next(struct tx_task *task);

static void note(struct tx_task *task, const struct tx_sftp_reply *reply)
{
    /* what is gone needs no removing */
    if (reply->status != TX_SFTP_OK && reply->status != TX_SFTP_NO_SUCH_FILE && !task->failed)
        task->failed = tx_sftp_error(reply, task->what, task->path);
    task->waiting--;
}

static void end_if_done(struct tx_task *task)
{
    if (task->waiting)
        return;
    struct tt_error *err = task->failed;
    task->failed = NULL;
    tx_task_finish(task, err);
}

static void remove_directory(struct tx_task *task);

/* One after the other: no server is bound to take requests in order. */
static void on_directory_gone(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    note(task, reply);
    if (task->at > 0 && !task->failed)
        remove_directory(task);
    else
        end_if_done(task);
}

static void remove_directory(struct tx_task *task)
{
    task->waiting = 1;
    task->at--;
    tx_task_ask_path(task, TX_SFTP_RMDIR, task->names.items[task->at], on_directory_gone);
}

static void on_file_gone(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    note(task, reply);
    if (!task->waiting && task->sub == NULL && task->flag)
        list_next(task);
}

/* names: the directories found so far, parents first; at: the next one to list. */
static void on_listed(struct tt_op *op, void *arg)
{
    struct tx_task *task = arg;
    if (op->error && op->error->kind != TT_NOT_FOUND) {
        tx_task_finish(task, tt_error_copy(op->error));
        return;
    }
    const struct tt_entries *entries = op->error ? NULL : tt_entries_of(op);
    const char *directory = task->names.items[task->at++];
    for (size_t i = 0; entries && i < entries->count; i++) {
        char *path = tt_path_join(directory, entries->items[i].path);
        if (entries->items[i].stat.type == TT_FILE_DIRECTORY) {
            tx_texts_add(&task->names, path);
            directory = task->names.items[task->at - 1];
        } else {
            task->waiting++;
            tx_task_ask_path(task, TX_SFTP_REMOVE, path, on_file_gone);
        }
        free(path);
    }
    task->sub = NULL;
    tt_op_release(op);
    if (!task->waiting)
        list_next(task);
}

static void list_next(struct tx_task *task)
{
    if (task->failed) {
        end_if_done(task);
        return;
    }
    if (task->at < task->names.count) {
        task->sub = task->env->class_->files->list(task->env, task->as.op.scope,
                                                   task->names.items[task->at]);
        tt_op_await(task->sub, on_listed, task);
        return;
    }
    remove_directory(task);
}

static void on_what(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (!tx_task_expects(task, reply, TX_SFTP_ATTRS))
        return;
    if (!tx_sftp_get_attrs(&body, &stat)) {
        tx_task_finish(task, tt_error_new(TT_IO, "cannot remove %s: what is it?", task->path));
    } else if (stat.type != TT_FILE_DIRECTORY) {
        task->waiting = 1;
        tx_task_ask_path(task, TX_SFTP_REMOVE, task->path, on_directory_gone);
    } else {
        tx_texts_add(&task->names, task->path);
        task->at = task->flag ? 0 : 1;
        if (task->flag)
            list_next(task);
        else
            remove_directory(task);
    }
}

static void remove_go(struct tx_task *task)
{
    tx_task_ask_path(task, TX_SFTP_LSTAT, task->path, on_what);
}

struct tt_op *tx_ssh_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                            bool recursive)
{
    static const struct tt_op_class class_ = {"removing a file", tx_task_cancel, plain_free};
    struct tx_task *task = tx_task_new(env, scope, &class_, "remove", path, remove_go);
    task->flag = recursive;
    return tx_task_begin(task);
}
