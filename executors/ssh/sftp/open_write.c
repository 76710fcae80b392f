/* Opening a remote file to write it: follows links, looks at what stands there, and makes the
 * temporary beside it, with its owner. */
#include "core/base/alloc.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { flag_read = 1, flag_write = 2, flag_create = 8, flag_exclusive = 32 };

struct opening {
    struct tx_operation operation;
    int64_t size;
    bool exists, followed;
    struct tt_stat old, made; /* made: the temporary */
    char *final, *temporary;
};

static void opening_free(struct tt_op *op)
{
    struct opening *o = (struct opening *)(void *)op;
    free(o->final);
    free(o->temporary);
    tx_operation_clear(&o->operation);
    tt_file_op_free(op);
}

/* The server may just have made a temporary that nobody will write. */
static void opening_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct opening *o = (struct opening *)(void *)op;
    if (o->temporary && o->operation.sftp)
        tx_sftp_remove_quietly(o->operation.sftp, o->temporary);
    tx_operation_cancel(op, why);
}

static void opened(struct opening *o)
{
    struct tx_operation *operation = &o->operation;
    int mode = operation->mode >= 0 ? operation->mode : o->exists ? (int)o->old.mode : -1;
    operation->as.file.file = tx_stream_writer(operation, o->final, o->temporary, mode, o->size);
    o->final = o->temporary = NULL;
    tx_operation_finish(operation, NULL);
}

static void fail_opening(struct opening *o, struct tt_error *err)
{
    if (o->temporary && o->operation.handle.length)
        tx_sftp_remove_quietly(o->operation.sftp, o->temporary);
    tx_operation_finish(&o->operation, err);
}

static void on_owner_kept(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    if (reply->status == TX_SFTP_OK) {
        opened(o);
        return;
    }
    fail_opening(o, tx_sftp_error(reply, "keep the owner of", o->operation.path));
}

static void take_owner(struct opening *o)
{
    struct tt_buf payload = {0};
    if (o->made.uid == o->old.uid && o->made.gid == o->old.gid) {
        opened(o);
        return;
    }
    tx_put_string(&payload, o->operation.handle.data, o->operation.handle.length);
    tx_sftp_put_owner(&payload, o->old.uid, o->old.gid);
    tx_operation_ask(&o->operation, TX_SFTP_FSETSTAT, &payload, on_owner_kept);
}

static void on_probed(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    if (reply->type != TX_SFTP_HANDLE) {
        fail_opening(o, tx_sftp_error(reply, "write", o->operation.path));
        return;
    }
    struct tx_cursor body = reply->body;
    struct tx_span handle = tx_get_string(&body);
    struct tt_buf copy = {0};
    tt_buf_add(&copy, handle.bytes, handle.length);
    tx_sftp_close_quietly(o->operation.sftp, &copy);
    tt_buf_free(&copy);
    take_owner(o);
}

/* A file that may not be written may not be replaced either. */
static void probe(struct opening *o)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, o->final);
    tx_put_u32(&payload, flag_write);
    tx_put_u32(&payload, 0);
    tx_operation_ask(&o->operation, TX_SFTP_OPEN, &payload, on_probed);
}

static void on_made_stat(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    struct tx_cursor body = reply->body;
    if (reply->type != TX_SFTP_ATTRS || !tx_sftp_get_attrs(&body, &o->made))
        fail_opening(o, tx_sftp_error(reply, "write", o->operation.path));
    else if (o->made.uid == o->old.uid && o->old.mode & S_IWUSR)
        take_owner(o);
    else
        probe(o);
}

static void on_temporary(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    if (!tx_operation_expects(&o->operation, reply, TX_SFTP_HANDLE))
        return;
    tx_operation_take_handle(&o->operation, reply);
    if (o->exists && o->temporary)
        tx_operation_ask_handle(&o->operation, TX_SFTP_FSTAT, on_made_stat);
    else
        opened(o);
}

static void make_temporary(struct opening *o)
{
    struct tt_buf payload = {0};
    bool device = o->exists && o->old.type != TT_FILE_REGULAR;
    if (!device)
        o->temporary = tx_stream_temporary(o->final, o->operation.as.op.loop);
    tx_put_text(&payload, device ? o->final : o->temporary);
    tx_put_u32(&payload,
               device ? flag_write : flag_read | flag_write | flag_create | flag_exclusive);
    /* not readable by others before it has the mode that it shall have */
    tx_sftp_put_mode(&payload, device ? -1 : o->exists || o->operation.mode >= 0 ? 0600 : 0666);
    tx_operation_ask(&o->operation, TX_SFTP_OPEN, &payload, on_temporary);
}

static void on_link_target(void *arg, const struct tx_sftp_reply *reply);

static void on_old(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    struct tx_cursor body = reply->body;
    if (reply->type == TX_SFTP_STATUS && reply->status == TX_SFTP_NO_SUCH_FILE) {
        make_temporary(o);
        return;
    }
    if (!tx_operation_expects(&o->operation, reply, TX_SFTP_ATTRS))
        return;
    if (!tx_sftp_get_attrs(&body, &o->old)) {
        tx_operation_finish(&o->operation, tt_error_new(TT_IO,
                                                        "cannot write %s: the server does not say "
                                                        "what it is",
                                                        o->operation.path));
        return;
    }
    if (o->old.type == TT_FILE_SYMLINK && !o->followed) {
        o->followed = true;
        tx_operation_ask_path(&o->operation, TX_SFTP_REALPATH, o->final, on_link_target);
        return;
    }
    o->exists = true;
    if (o->old.type == TT_FILE_DIRECTORY)
        tx_operation_finish(&o->operation, tt_error_new(TT_IO, "cannot write %s: it is a directory",
                                                        o->operation.path));
    else
        make_temporary(o);
}

static void on_link_target(void *arg, const struct tx_sftp_reply *reply)
{
    struct opening *o = arg;
    if (!tx_operation_expects(&o->operation, reply, TX_SFTP_NAME))
        return;
    free(o->final);
    o->final = tx_reply_name(reply);
    if (!o->final) {
        tx_operation_finish(
            &o->operation,
            tt_error_new(TT_IO, "cannot write %s: the link cannot be followed", o->operation.path));
        return;
    }
    tx_operation_ask_path(&o->operation, TX_SFTP_LSTAT, o->final, on_old);
}

static void opening_go(struct tx_operation *operation)
{
    struct opening *o = (struct opening *)(void *)operation;
    size_t length = strlen(operation->path);
    if (operation->path[length - 1] == '/') {
        tx_operation_finish(
            operation, tt_error_new(TT_IO, "cannot write %s: a directory's name", operation->path));
        return;
    }
    free(o->final);
    o->final = tt_strdup(operation->path);
    tx_operation_ask_path(operation, TX_SFTP_LSTAT, o->final, on_old);
}

struct tt_op *tx_ssh_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                const struct tt_write_options *options)
{
    static const struct tt_op_class class_ = {"opening a file", opening_cancel, opening_free};
    struct opening *o = tt_zalloc(sizeof *o);
    tx_operation_init(&o->operation, env, scope, &class_, "write", path, opening_go);
    o->operation.mode = options->mode >= 0 ? options->mode & 07777 : -1;
    o->size = options->size;
    return tx_operation_begin(&o->operation);
}
