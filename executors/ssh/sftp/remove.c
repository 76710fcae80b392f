/* Removing a remote file or tree, never through a symlink. Directories are listed one after the
 * other, what is in them is removed with many requests in flight, and at last the directories
 * themselves, the innermost first. */
#include "core/base/alloc.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

static void plain_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    free(op);
}

static void list_next(struct tx_operation *operation);

static void note(struct tx_operation *operation, const struct tx_sftp_reply *reply)
{
    /* what is gone needs no removing */
    if (reply->status != TX_SFTP_OK && reply->status != TX_SFTP_NO_SUCH_FILE && !operation->failed)
        operation->failed = tx_sftp_error(reply, operation->what, operation->path);
    operation->waiting--;
}

static void end_if_done(struct tx_operation *operation)
{
    if (operation->waiting)
        return;
    struct tt_error *err = operation->failed;
    operation->failed = NULL;
    tx_operation_finish(operation, err);
}

static void remove_directory(struct tx_operation *operation);

/* One after the other: no server is bound to take requests in order. */
static void on_directory_gone(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    note(operation, reply);
    if (operation->at > 0 && !operation->failed)
        remove_directory(operation);
    else
        end_if_done(operation);
}

static void remove_directory(struct tx_operation *operation)
{
    operation->waiting = 1;
    operation->at--;
    tx_operation_ask_path(operation, TX_SFTP_RMDIR, operation->names.items[operation->at],
                          on_directory_gone);
}

static void on_file_gone(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    note(operation, reply);
    if (!operation->waiting && operation->sub == NULL && operation->flag)
        list_next(operation);
}

/* names: the directories found so far, parents first; at: the next one to list. */
static void on_listed(struct tt_op *op, void *arg)
{
    struct tx_operation *operation = arg;
    if (op->error && op->error->kind != TT_NOT_FOUND) {
        tx_operation_finish(operation, tt_error_copy(op->error));
        return;
    }
    const struct tt_entries *entries = op->error ? NULL : tt_entries_of(op);
    const char *directory = operation->names.items[operation->at++];
    for (size_t i = 0; entries && i < entries->count; i++) {
        char *path = tt_path_join(directory, entries->items[i].path);
        if (entries->items[i].stat.type == TT_FILE_DIRECTORY) {
            tx_texts_add(&operation->names, path);
            directory = operation->names.items[operation->at - 1];
        } else {
            operation->waiting++;
            tx_operation_ask_path(operation, TX_SFTP_REMOVE, path, on_file_gone);
        }
        free(path);
    }
    operation->sub = NULL;
    tt_op_release(op);
    if (!operation->waiting)
        list_next(operation);
}

static void list_next(struct tx_operation *operation)
{
    if (operation->failed) {
        end_if_done(operation);
        return;
    }
    if (operation->at < operation->names.count) {
        operation->sub = operation->env->class_->files->list(operation->env, operation->as.op.scope,
                                                             operation->names.items[operation->at]);
        tt_op_await(operation->sub, on_listed, operation);
        return;
    }
    remove_directory(operation);
}

static void on_what(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (!tx_operation_expects(operation, reply, TX_SFTP_ATTRS))
        return;
    if (!tx_sftp_get_attrs(&body, &stat)) {
        tx_operation_finish(operation,
                            tt_error_new(TT_IO, "cannot remove %s: what is it?", operation->path));
    } else if (stat.type != TT_FILE_DIRECTORY) {
        operation->waiting = 1;
        tx_operation_ask_path(operation, TX_SFTP_REMOVE, operation->path, on_directory_gone);
    } else {
        tx_texts_add(&operation->names, operation->path);
        operation->at = operation->flag ? 0 : 1;
        if (operation->flag)
            list_next(operation);
        else
            remove_directory(operation);
    }
}

static void remove_go(struct tx_operation *operation)
{
    tx_operation_ask_path(operation, TX_SFTP_LSTAT, operation->path, on_what);
}

struct tt_op *tx_ssh_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                            bool recursive)
{
    static const struct tt_op_class class_ = {"removing a file", tx_operation_cancel, plain_free};
    struct tx_operation *operation =
        tx_operation_new(env, scope, &class_, "remove", path, remove_go);
    operation->flag = recursive;
    return tx_operation_begin(operation);
}
