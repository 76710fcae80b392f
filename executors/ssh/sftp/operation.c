#include "executors/ssh/sftp/operation.h"

#include "core/base/alloc.h"
#include "executors/ssh/host/host.h"

#include <stdlib.h>
#include <string.h>

void tx_operation_init(struct tx_operation *operation, struct tt_env *env, struct tt_scope *scope,
                       const struct tt_op_class *class_, const char *what, const char *path,
                       void (*go)(struct tx_operation *operation))
{
    operation->env = env;
    tt_env_retain(env);
    operation->what = what;
    operation->path = tt_strdup(path);
    operation->go = go;
    operation->mode = -1;
    tt_op_init(&operation->as.op, class_, scope);
}

struct tx_operation *tx_operation_new(struct tt_env *env, struct tt_scope *scope,
                                      const struct tt_op_class *class_, const char *what,
                                      const char *path, void (*go)(struct tx_operation *operation))
{
    struct tx_operation *operation = tt_zalloc(sizeof *operation);
    tx_operation_init(operation, env, scope, class_, what, path, go);
    return operation;
}

static void on_client(struct tt_op *op, void *arg)
{
    struct tx_operation *operation = arg;
    struct tt_error *err = tt_error_copy(op->error);
    operation->sub = NULL;
    if (!err)
        operation->sftp = tx_sftp_of(op);
    tt_op_release(op);
    if (err) {
        enum tt_kind kind = err->kind;
        tt_fail(&err, kind, "cannot %s %s", operation->what, operation->path);
        tx_operation_finish(operation, err);
    } else {
        operation->go(operation);
    }
}

/* The first request of an operation changes nothing that a second one would not find as it wants it
 * (the temporaries have random names): a pooled connection that had ended unseen is replaced. */
static void on_first(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (reply->status != TX_SFTP_LOST || operation->retried) {
        operation->first_done(arg, reply);
        return;
    }
    operation->retried = true;
    operation->asked = false;
    tx_texts_clear(&operation->names);
    operation->at = 0;
    tx_sftp_forget(operation->sftp, operation);
    tx_sftp_release(operation->sftp);
    operation->sftp = NULL;
    tx_operation_begin(operation);
}

struct tt_op *tx_operation_begin(struct tx_operation *operation)
{
    struct tt_op *op = &operation->as.op;
    if (tt_op_finished(op))
        return op;
    if (!*operation->path) {
        tx_operation_finish(operation, tt_error_new(TT_NOT_FOUND, "an empty path names no file"));
        return op;
    }
    operation->sub = tx_sftp_get(tx_host_of(operation->env), op->scope);
    tt_op_await(operation->sub, on_client, operation);
    return op;
}

void tx_operation_finish(struct tx_operation *operation, struct tt_error *err)
{
    tt_op_drop(&operation->sub, err);
    if (operation->sftp) {
        tx_sftp_forget(operation->sftp, operation);
        if (operation->handle.length)
            tx_sftp_close_quietly(operation->sftp, &operation->handle);
        tx_sftp_release(operation->sftp);
        operation->sftp = NULL;
    }
    tt_op_finish(&operation->as.op, err);
}

void tx_operation_cancel(struct tt_op *op, const struct tt_error *why)
{
    tx_operation_finish((struct tx_operation *)(void *)op, tt_error_copy(why));
}

void tx_operation_clear(struct tx_operation *operation)
{
    free(operation->path);
    free(operation->other);
    tt_buf_free(&operation->handle);
    tt_error_free(operation->failed);
    tx_texts_clear(&operation->names);
    tt_env_release(operation->env);
}

uint32_t tx_operation_ask(struct tx_operation *operation, enum tx_sftp_type type,
                          struct tt_buf *payload, tx_sftp_done *done)
{
    if (!operation->asked) {
        operation->asked = true;
        operation->first_done = done;
        done = on_first;
    }
    uint32_t id = tx_sftp_send(operation->sftp, type, payload, done, operation);
    tt_buf_free(payload);
    return id;
}

uint32_t tx_operation_ask_path(struct tx_operation *operation, enum tx_sftp_type type,
                               const char *path, tx_sftp_done *done)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, path);
    return tx_operation_ask(operation, type, &payload, done);
}

void tx_operation_ask_handle(struct tx_operation *operation, enum tx_sftp_type type,
                             tx_sftp_done *done)
{
    struct tt_buf payload = {0};
    tx_put_string(&payload, operation->handle.data, operation->handle.length);
    tx_operation_ask(operation, type, &payload, done);
}

bool tx_operation_expects(struct tx_operation *operation, const struct tx_sftp_reply *reply,
                          uint8_t type)
{
    if (reply->type == type && reply->status == TX_SFTP_OK)
        return true;
    tx_operation_finish(operation, tx_sftp_error(reply, operation->what, operation->path));
    return false;
}

char *tx_reply_name(const struct tx_sftp_reply *reply)
{
    struct tx_cursor body = reply->body;
    uint32_t count = tx_get_u32(&body);
    struct tx_span name = tx_get_string(&body);
    if (body.bad || count != 1 || memchr(name.bytes, 0, name.length))
        return NULL;
    return tt_strndup((const char *)name.bytes, name.length);
}

void tx_operation_take_handle(struct tx_operation *operation, const struct tx_sftp_reply *reply)
{
    struct tx_cursor body = reply->body;
    struct tx_span handle = tx_get_string(&body);
    tt_buf_add(&operation->handle, handle.bytes, handle.length);
}
