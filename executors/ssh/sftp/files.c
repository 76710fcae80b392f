#include "executors/ssh/sftp/files.h"

#include "core/base/alloc.h"
#include "executors/remote/shell_files.h"
#include "executors/ssh/sftp/digest.h"
#include "executors/ssh/sftp/operation.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

/* --- stat --- */

static void stat_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    tt_stat_op_free(op);
}

static void on_stat_target(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (!tx_operation_expects(operation, reply, TX_SFTP_NAME))
        return;
    operation->as.stat.stat.target = tx_reply_name(reply);
    tx_operation_finish(operation,
                        operation->as.stat.stat.target
                            ? NULL
                            : tt_error_new(TT_IO, "%s: the link cannot be read", operation->path));
}

static void on_stat(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tx_cursor body = reply->body;
    if (reply->type == TX_SFTP_STATUS && reply->status == TX_SFTP_NO_SUCH_FILE) {
        tx_operation_finish(operation, NULL);
    } else if (tx_operation_expects(operation, reply, TX_SFTP_ATTRS)) {
        if (!tx_sftp_get_attrs(&body, &operation->as.stat.stat)) {
            tx_operation_finish(
                operation,
                tt_error_new(TT_IO, "%s: the server does not say what it is", operation->path));
            return;
        }
        operation->as.stat.exists = true;
        if (operation->as.stat.stat.type == TT_FILE_SYMLINK)
            tx_operation_ask_path(operation, TX_SFTP_READLINK, operation->path, on_stat_target);
        else
            tx_operation_finish(operation, NULL);
    }
}

static void stat_go(struct tx_operation *operation)
{
    tx_operation_ask_path(operation, operation->flag ? TX_SFTP_STAT : TX_SFTP_LSTAT,
                          operation->path, on_stat);
}

static struct tt_op *ssh_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                              bool follow)
{
    static const struct tt_op_class class_ = {"looking at a file", tx_operation_cancel, stat_free};
    struct tx_operation *operation =
        tx_operation_new(env, scope, &class_, "look at", path, stat_go);
    operation->flag = follow;
    if (!*path && !tt_op_finished(&operation->as.op)) {
        tt_op_finish(&operation->as.op, NULL); /* nothing has no name */
        return &operation->as.op;
    }
    return tx_operation_begin(operation);
}

/* --- list --- */

static void list_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    tt_entries_op_free(op);
}

static void list_done(struct tx_operation *operation)
{
    if (operation->waiting)
        return;
    tt_entries_sort(&operation->as.entries.entries);
    tx_operation_finish(operation, NULL);
}

static void on_list_target(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tt_entries *entries = &operation->as.entries.entries;
    if (reply->status == TX_SFTP_LOST) {
        tx_operation_finish(operation, tx_sftp_error(reply, operation->what, operation->path));
        return;
    }
    size_t number = reply->id - operation->first_id, i = 0;
    for (;; i++)
        if (entries->items[i].stat.type == TT_FILE_SYMLINK && number-- == 0)
            break;
    /* a link that went meanwhile has no target */
    if (reply->type == TX_SFTP_NAME)
        entries->items[i].stat.target = tx_reply_name(reply);
    if (!entries->items[i].stat.target)
        entries->items[i].stat.target = tt_strdup("");
    operation->waiting--;
    list_done(operation);
}

static void ask_targets(struct tx_operation *operation)
{
    struct tt_entries *entries = &operation->as.entries.entries;
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->items[i].stat.type != TT_FILE_SYMLINK)
            continue;
        char *whole = tt_path_join(operation->path, entries->items[i].path);
        uint32_t id = tx_operation_ask_path(operation, TX_SFTP_READLINK, whole, on_list_target);
        if (operation->waiting++ == 0)
            operation->first_id = id;
        free(whole);
    }
    list_done(operation);
}

static void on_names(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tx_cursor body = reply->body;
    if (reply->type == TX_SFTP_STATUS && reply->status == TX_SFTP_EOF) {
        ask_targets(operation);
        return;
    }
    if (!tx_operation_expects(operation, reply, TX_SFTP_NAME))
        return;
    for (uint32_t count = tx_get_u32(&body); count > 0; count--) {
        struct tx_span name = tx_get_string(&body);
        struct tt_stat stat;
        tx_get_string(&body); /* the line of ls */
        if (!tx_sftp_get_attrs(&body, &stat) || memchr(name.bytes, 0, name.length) ||
            memchr(name.bytes, '/', name.length)) {
            tx_operation_finish(
                operation,
                tt_error_new(TT_IO, "cannot list %s: the server makes no sense", operation->path));
            return;
        }
        if (!tx_span_is(name, ".") && !tx_span_is(name, ".."))
            tt_entries_add(&operation->as.entries.entries,
                           tt_strndup((const char *)name.bytes, name.length), &stat);
    }
    tx_operation_ask_handle(operation, TX_SFTP_READDIR, on_names);
}

static void on_directory(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (!tx_operation_expects(operation, reply, TX_SFTP_HANDLE))
        return;
    tx_operation_take_handle(operation, reply);
    tx_operation_ask_handle(operation, TX_SFTP_READDIR, on_names);
}

static void list_go(struct tx_operation *operation)
{
    tx_operation_ask_path(operation, TX_SFTP_OPENDIR, operation->path, on_directory);
}

static struct tt_op *ssh_list(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"listing a directory", tx_operation_cancel,
                                              list_free};
    return tx_operation_begin(tx_operation_new(env, scope, &class_, "list", path, list_go));
}

/* --- mkdir --- */

static void plain_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    free(op);
}

static void make_one(struct tx_operation *operation);

static void on_mode_set(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (tx_operation_expects(operation, reply, TX_SFTP_STATUS))
        tx_operation_finish(operation, NULL);
}

/* names: the directories still to be made, the innermost first. */
static void made_one(struct tx_operation *operation)
{
    bool last = operation->at == 0;
    if (!last) {
        operation->at--;
        make_one(operation);
    } else if (operation->mode >= 0) {
        struct tt_buf payload = {0};
        tx_put_text(&payload, operation->path);
        tx_sftp_put_mode(&payload, operation->mode);
        tx_operation_ask(operation, TX_SFTP_SETSTAT, &payload, on_mode_set);
    } else {
        tx_operation_finish(operation, NULL);
    }
}

static void on_there_already(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (reply->type == TX_SFTP_ATTRS && tx_sftp_get_attrs(&body, &stat) &&
        stat.type == TT_FILE_DIRECTORY) {
        made_one(operation);
    } else if (operation->failed) {
        struct tt_error *err = operation->failed;
        operation->failed = NULL;
        tx_operation_finish(operation, err);
    }
}

static void on_made(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    const char *path = operation->names.items[operation->at];
    if (reply->status == TX_SFTP_OK) {
        made_one(operation);
        return;
    }
    const char *slash = strrchr(path, '/');
    if (reply->status == TX_SFTP_NO_SUCH_FILE && slash && slash != path &&
        operation->at + 1 == operation->names.count) {
        char *parent = tt_strndup(path, (size_t)(slash - path));
        while (strlen(parent) > 1 && parent[strlen(parent) - 1] == '/')
            parent[strlen(parent) - 1] = '\0';
        tx_texts_add(&operation->names, parent);
        free(parent);
        operation->at++;
        make_one(operation);
        return;
    }
    /* it may be there: the status does not say */
    tt_error_free(operation->failed);
    operation->failed = tx_sftp_error(reply, operation->what, operation->path);
    tx_operation_ask_path(operation, TX_SFTP_STAT, path, on_there_already);
}

static void make_one(struct tx_operation *operation)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, operation->names.items[operation->at]);
    tx_sftp_put_mode(&payload, operation->at == 0 && operation->mode >= 0 ? operation->mode : 0777);
    tx_operation_ask(operation, TX_SFTP_MKDIR, &payload, on_made);
}

static void mkdir_go(struct tx_operation *operation)
{
    char *path = tt_strdup(operation->path);
    while (strlen(path) > 1 && path[strlen(path) - 1] == '/')
        path[strlen(path) - 1] = '\0';
    tx_texts_add(&operation->names, path);
    free(path);
    make_one(operation);
}

static struct tt_op *ssh_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                               int mode)
{
    static const struct tt_op_class class_ = {"making a directory", tx_operation_cancel,
                                              plain_free};
    struct tx_operation *operation =
        tx_operation_new(env, scope, &class_, "make the directory", path, mkdir_go);
    operation->mode = mode >= 0 ? mode & 07777 : -1;
    return tx_operation_begin(operation);
}

/* --- symlink: made beside, then renamed over --- */

static void on_link_renamed(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (reply->status != TX_SFTP_OK && reply->status != TX_SFTP_LOST)
        tx_sftp_remove_quietly(operation->sftp, operation->names.items[0]);
    if (tx_operation_expects(operation, reply, TX_SFTP_STATUS))
        tx_operation_finish(operation, NULL);
}

static void on_link_made(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (tx_operation_expects(operation, reply, TX_SFTP_STATUS))
        tx_stream_rename(operation, operation->names.items[0], operation->path, on_link_renamed);
}

static void symlink_go(struct tx_operation *operation)
{
    struct tt_buf payload = {0};
    char *temporary = tx_stream_temporary(operation->path, operation->as.op.loop);
    tx_texts_add(&operation->names, temporary);
    /* OpenSSH has the two the other way round than the draft, and everybody followed */
    tx_put_text(&payload, operation->other);
    tx_put_text(&payload, temporary);
    free(temporary);
    tx_operation_ask(operation, TX_SFTP_SYMLINK, &payload, on_link_made);
}

static struct tt_op *ssh_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                 const char *path)
{
    static const struct tt_op_class class_ = {"making a link", tx_operation_cancel, plain_free};
    struct tx_operation *operation =
        tx_operation_new(env, scope, &class_, "make the link", path, symlink_go);
    operation->other = tt_strdup(target);
    return tx_operation_begin(operation);
}

const struct tt_file_class tx_ssh_files = {
    .stat = ssh_stat,
    .list = ssh_list,
    .open_read = tx_ssh_open_read,
    .open_write = tx_ssh_open_write,
    .remove = tx_ssh_remove,
    .mkdir = ssh_mkdir,
    .symlink = ssh_symlink,
    .digest = tx_ssh_digest,
    .glob = tt_glob_by_listing,
    .put_tree = tx_shell_put_tree,
    .get_tree = tx_shell_get_tree,
};
