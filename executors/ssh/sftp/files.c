#include "executors/ssh/sftp/files.h"

#include "core/base/alloc.h"
#include "executors/remote/shell_files.h"
#include "executors/ssh/sftp/digest.h"
#include "executors/ssh/sftp/stream.h"
#include "executors/ssh/sftp/task.h"

#include <stdlib.h>
#include <string.h>

/* --- stat --- */

static void stat_free(struct tt_op *op)
{
    tx_task_clear((struct tx_task *)(void *)op);
    tt_stat_op_free(op);
}

static void on_stat_target(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (!tx_task_expects(task, reply, TX_SFTP_NAME))
        return;
    task->as.stat.stat.target = tx_reply_name(reply);
    tx_task_finish(task, task->as.stat.stat.target
                             ? NULL
                             : tt_error_new(TT_IO, "%s: the link cannot be read", task->path));
}

static void on_stat(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    struct tx_cursor body = reply->body;
    if (reply->type == TX_SFTP_STATUS && reply->status == TX_SFTP_NO_SUCH_FILE) {
        tx_task_finish(task, NULL);
    } else if (tx_task_expects(task, reply, TX_SFTP_ATTRS)) {
        if (!tx_sftp_get_attrs(&body, &task->as.stat.stat)) {
            tx_task_finish(
                task, tt_error_new(TT_IO, "%s: the server does not say what it is", task->path));
            return;
        }
        task->as.stat.exists = true;
        if (task->as.stat.stat.type == TT_FILE_SYMLINK)
            tx_task_ask_path(task, TX_SFTP_READLINK, task->path, on_stat_target);
        else
            tx_task_finish(task, NULL);
    }
}

static void stat_go(struct tx_task *task)
{
    tx_task_ask_path(task, task->flag ? TX_SFTP_STAT : TX_SFTP_LSTAT, task->path, on_stat);
}

static struct tt_op *ssh_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                              bool follow)
{
    static const struct tt_op_class class_ = {"looking at a file", tx_task_cancel, stat_free};
    struct tx_task *task = tx_task_new(env, scope, &class_, "look at", path, stat_go);
    task->flag = follow;
    if (!*path && !tt_op_finished(&task->as.op)) {
        tt_op_finish(&task->as.op, NULL); /* nothing has no name */
        return &task->as.op;
    }
    return tx_task_begin(task);
}

/* --- list --- */

static void list_free(struct tt_op *op)
{
    tx_task_clear((struct tx_task *)(void *)op);
    tt_entries_op_free(op);
}

static void list_done(struct tx_task *task)
{
    if (task->waiting)
        return;
    tt_entries_sort(&task->as.entries.entries);
    tx_task_finish(task, NULL);
}

static void on_list_target(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    struct tt_entries *entries = &task->as.entries.entries;
    if (reply->status == TX_SFTP_LOST) {
        tx_task_finish(task, tx_sftp_error(reply, task->what, task->path));
        return;
    }
    size_t number = reply->id - task->first_id, i = 0;
    for (;; i++)
        if (entries->items[i].stat.type == TT_FILE_SYMLINK && number-- == 0)
            break;
    /* a link that went meanwhile has no target */
    if (reply->type == TX_SFTP_NAME)
        entries->items[i].stat.target = tx_reply_name(reply);
    if (!entries->items[i].stat.target)
        entries->items[i].stat.target = tt_strdup("");
    task->waiting--;
    list_done(task);
}

static void ask_targets(struct tx_task *task)
{
    struct tt_entries *entries = &task->as.entries.entries;
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->items[i].stat.type != TT_FILE_SYMLINK)
            continue;
        char *whole = tt_path_join(task->path, entries->items[i].path);
        uint32_t id = tx_task_ask_path(task, TX_SFTP_READLINK, whole, on_list_target);
        if (task->waiting++ == 0)
            task->first_id = id;
        free(whole);
    }
    list_done(task);
}

static void on_names(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    struct tx_cursor body = reply->body;
    if (reply->type == TX_SFTP_STATUS && reply->status == TX_SFTP_EOF) {
        ask_targets(task);
        return;
    }
    if (!tx_task_expects(task, reply, TX_SFTP_NAME))
        return;
    for (uint32_t count = tx_get_u32(&body); count > 0; count--) {
        struct tx_span name = tx_get_string(&body);
        struct tt_stat stat;
        tx_get_string(&body); /* the line of ls */
        if (!tx_sftp_get_attrs(&body, &stat) || memchr(name.bytes, 0, name.length) ||
            memchr(name.bytes, '/', name.length)) {
            tx_task_finish(
                task, tt_error_new(TT_IO, "cannot list %s: the server makes no sense", task->path));
            return;
        }
        if (!tx_span_is(name, ".") && !tx_span_is(name, ".."))
            tt_entries_add(&task->as.entries.entries,
                           tt_strndup((const char *)name.bytes, name.length), &stat);
    }
    tx_task_ask_handle(task, TX_SFTP_READDIR, on_names);
}

static void on_directory(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (!tx_task_expects(task, reply, TX_SFTP_HANDLE))
        return;
    tx_task_take_handle(task, reply);
    tx_task_ask_handle(task, TX_SFTP_READDIR, on_names);
}

static void list_go(struct tx_task *task)
{
    tx_task_ask_path(task, TX_SFTP_OPENDIR, task->path, on_directory);
}

static struct tt_op *ssh_list(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"listing a directory", tx_task_cancel, list_free};
    return tx_task_begin(tx_task_new(env, scope, &class_, "list", path, list_go));
}

/* --- mkdir --- */

static void plain_free(struct tt_op *op)
{
    tx_task_clear((struct tx_task *)(void *)op);
    free(op);
}

static void make_one(struct tx_task *task);

static void on_mode_set(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (tx_task_expects(task, reply, TX_SFTP_STATUS))
        tx_task_finish(task, NULL);
}

/* names: the directories still to be made, the innermost first. */
static void made_one(struct tx_task *task)
{
    bool last = task->at == 0;
    if (!last) {
        task->at--;
        make_one(task);
    } else if (task->mode >= 0) {
        struct tt_buf payload = {0};
        tx_put_text(&payload, task->path);
        tx_sftp_put_mode(&payload, task->mode);
        tx_task_ask(task, TX_SFTP_SETSTAT, &payload, on_mode_set);
    } else {
        tx_task_finish(task, NULL);
    }
}

static void on_there_already(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (reply->type == TX_SFTP_ATTRS && tx_sftp_get_attrs(&body, &stat) &&
        stat.type == TT_FILE_DIRECTORY) {
        made_one(task);
    } else if (task->failed) {
        struct tt_error *err = task->failed;
        task->failed = NULL;
        tx_task_finish(task, err);
    }
}

static void on_made(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    const char *path = task->names.items[task->at];
    if (reply->status == TX_SFTP_OK) {
        made_one(task);
        return;
    }
    const char *slash = strrchr(path, '/');
    if (reply->status == TX_SFTP_NO_SUCH_FILE && slash && slash != path &&
        task->at + 1 == task->names.count) {
        char *parent = tt_strndup(path, (size_t)(slash - path));
        while (strlen(parent) > 1 && parent[strlen(parent) - 1] == '/')
            parent[strlen(parent) - 1] = '\0';
        tx_texts_add(&task->names, parent);
        free(parent);
        task->at++;
        make_one(task);
        return;
    }
    /* it may be there: the status does not say */
    tt_error_free(task->failed);
    task->failed = tx_sftp_error(reply, task->what, task->path);
    tx_task_ask_path(task, TX_SFTP_STAT, path, on_there_already);
}

static void make_one(struct tx_task *task)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, task->names.items[task->at]);
    tx_sftp_put_mode(&payload, task->at == 0 && task->mode >= 0 ? task->mode : 0777);
    tx_task_ask(task, TX_SFTP_MKDIR, &payload, on_made);
}

static void mkdir_go(struct tx_task *task)
{
    char *path = tt_strdup(task->path);
    while (strlen(path) > 1 && path[strlen(path) - 1] == '/')
        path[strlen(path) - 1] = '\0';
    tx_texts_add(&task->names, path);
    free(path);
    make_one(task);
}

static struct tt_op *ssh_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                               int mode)
{
    static const struct tt_op_class class_ = {"making a directory", tx_task_cancel, plain_free};
    struct tx_task *task = tx_task_new(env, scope, &class_, "make the directory", path, mkdir_go);
    task->mode = mode >= 0 ? mode & 07777 : -1;
    return tx_task_begin(task);
}

/* --- symlink: made beside, then renamed over --- */

static void on_link_renamed(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (reply->status != TX_SFTP_OK && reply->status != TX_SFTP_LOST)
        tx_sftp_remove_quietly(task->sftp, task->names.items[0]);
    if (tx_task_expects(task, reply, TX_SFTP_STATUS))
        tx_task_finish(task, NULL);
}

static void on_link_made(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (tx_task_expects(task, reply, TX_SFTP_STATUS))
        tx_stream_rename(task, task->names.items[0], task->path, on_link_renamed);
}

static void symlink_go(struct tx_task *task)
{
    struct tt_buf payload = {0};
    char *temporary = tx_stream_temporary(task->path, task->as.op.loop);
    tx_texts_add(&task->names, temporary);
    /* OpenSSH has the two the other way round than the draft, and everybody followed */
    tx_put_text(&payload, task->other);
    tx_put_text(&payload, temporary);
    free(temporary);
    tx_task_ask(task, TX_SFTP_SYMLINK, &payload, on_link_made);
}

static struct tt_op *ssh_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                 const char *path)
{
    static const struct tt_op_class class_ = {"making a link", tx_task_cancel, plain_free};
    struct tx_task *task = tx_task_new(env, scope, &class_, "make the link", path, symlink_go);
    task->other = tt_strdup(target);
    return tx_task_begin(task);
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
