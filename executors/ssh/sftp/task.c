#include "executors/ssh/sftp/task.h"

#include "core/base/alloc.h"
#include "executors/ssh/host/internal.h"

#include <stdlib.h>
#include <string.h>

void tx_task_init(struct tx_task *task, struct tt_env *env, struct tt_scope *scope,
                  const struct tt_op_class *class_, const char *what, const char *path,
                  void (*go)(struct tx_task *task))
{
    task->env = env;
    tt_env_retain(env);
    task->what = what;
    task->path = tt_strdup(path);
    task->go = go;
    task->mode = -1;
    tt_op_init(&task->as.op, class_, scope);
}

struct tx_task *tx_task_new(struct tt_env *env, struct tt_scope *scope,
                            const struct tt_op_class *class_, const char *what, const char *path,
                            void (*go)(struct tx_task *task))
{
    struct tx_task *task = tt_zalloc(sizeof *task);
    tx_task_init(task, env, scope, class_, what, path, go);
    return task;
}

static void on_client(struct tt_op *op, void *arg)
{
    struct tx_task *task = arg;
    struct tt_error *err = tt_error_copy(op->error);
    task->sub = NULL;
    if (!err)
        task->sftp = tx_sftp_of(op);
    tt_op_release(op);
    if (err) {
        enum tt_kind kind = err->kind;
        tt_fail(&err, kind, "cannot %s %s", task->what, task->path);
        tx_task_finish(task, err);
    } else {
        task->go(task);
    }
}

/* The first request of an operation changes nothing that a second one would not find as it wants it
 * (the temporaries have random names): a pooled connection that had ended unseen is replaced. */
static void on_first(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_task *task = arg;
    if (reply->status != TX_SFTP_LOST || task->retried) {
        task->first_done(arg, reply);
        return;
    }
    task->retried = true;
    task->asked = false;
    tx_texts_clear(&task->names);
    task->at = 0;
    tx_sftp_forget(task->sftp, task);
    tx_sftp_release(task->sftp);
    task->sftp = NULL;
    tx_task_begin(task);
}

struct tt_op *tx_task_begin(struct tx_task *task)
{
    struct tt_op *op = &task->as.op;
    if (tt_op_finished(op))
        return op;
    if (!*task->path) {
        tx_task_finish(task, tt_error_new(TT_NOT_FOUND, "an empty path names no file"));
        return op;
    }
    task->sub = tx_sftp_get(tx_ssh_host(task->env), op->scope);
    tt_op_await(task->sub, on_client, task);
    return op;
}

void tx_task_finish(struct tx_task *task, struct tt_error *err)
{
    tt_op_drop(&task->sub, err);
    if (task->sftp) {
        tx_sftp_forget(task->sftp, task);
        if (task->handle.length)
            tx_sftp_close_quietly(task->sftp, &task->handle);
        tx_sftp_release(task->sftp);
        task->sftp = NULL;
    }
    tt_op_finish(&task->as.op, err);
}

void tx_task_cancel(struct tt_op *op, const struct tt_error *why)
{
    tx_task_finish((struct tx_task *)(void *)op, tt_error_copy(why));
}

void tx_task_clear(struct tx_task *task)
{
    free(task->path);
    free(task->other);
    tt_buf_free(&task->handle);
    tt_error_free(task->failed);
    tx_texts_clear(&task->names);
    tt_env_release(task->env);
}

uint32_t tx_task_ask(struct tx_task *task, enum tx_sftp_type type, struct tt_buf *payload,
                     tx_sftp_done *done)
{
    if (!task->asked) {
        task->asked = true;
        task->first_done = done;
        done = on_first;
    }
    uint32_t id = tx_sftp_send(task->sftp, type, payload, done, task);
    tt_buf_free(payload);
    return id;
}

uint32_t tx_task_ask_path(struct tx_task *task, enum tx_sftp_type type, const char *path,
                          tx_sftp_done *done)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, path);
    return tx_task_ask(task, type, &payload, done);
}

void tx_task_ask_handle(struct tx_task *task, enum tx_sftp_type type, tx_sftp_done *done)
{
    struct tt_buf payload = {0};
    tx_put_string(&payload, task->handle.data, task->handle.length);
    tx_task_ask(task, type, &payload, done);
}

bool tx_task_expects(struct tx_task *task, const struct tx_sftp_reply *reply, uint8_t type)
{
    if (reply->type == type && reply->status == TX_SFTP_OK)
        return true;
    tx_task_finish(task, tx_sftp_error(reply, task->what, task->path));
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

void tx_task_take_handle(struct tx_task *task, const struct tx_sftp_reply *reply)
{
    struct tx_cursor body = reply->body;
    struct tx_span handle = tx_get_string(&body);
    tt_buf_add(&task->handle, handle.bytes, handle.length);
}
