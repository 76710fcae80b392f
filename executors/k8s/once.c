/* What an exec in a pod is addressed with, what its end says, and small commands of our own. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/number.h"
#include "executors/http/ws.h"
#include "executors/k8s/exec.h"

#include <stdlib.h>
#include <string.h>

enum { error_channel = 3, max_status = 64 << 10, piece = 16 << 10 };

const char tx_pod_protocols[] = "v5.channel.k8s.io, v4.channel.k8s.io";

char *tx_pod_path(const struct tx_pod *pod, const char *suffix)
{
    return tt_format("/api/v1/namespaces/%s/pods/%s%s", pod->name_space, pod->name, suffix);
}

char *tx_pod_exec_path(const struct tx_pod *pod, const char *const *argv, bool in, bool pty)
{
    struct tt_buf path = {0};
    tt_buf_format(&path, "/api/v1/namespaces/%s/pods/%s/exec?stdin=%s&stdout=true&stderr=%s&tty=%s",
                  pod->name_space, pod->name, in ? "true" : "false", pty ? "false" : "true",
                  pty ? "true" : "false");
    if (pod->container)
        tt_buf_format(&path, "&container=%s", pod->container);
    for (; *argv; argv++) {
        tt_buf_text(&path, "&command=");
        tx_url_escape(&path, *argv);
    }
    return tt_buf_take(&path);
}

/* --- its end --- */

static int exit_code(const json_t *status)
{
    size_t index;
    const json_t *cause;
    json_array_foreach(tx_json_at(status, "details.causes"), index,
                       cause) if (strcmp(tx_json_text(cause, "reason"), "ExitCode") == 0)
    {
        int code = tt_number(tx_json_text(cause, "message"));
        return code > 0 && code <= 255 ? code : -1;
    }
    return -1;
}

static enum tt_kind kind_of_message(const char *text)
{
    if (strstr(text, "executable file not found") || strstr(text, "no such file or directory"))
        return TT_NOT_FOUND;
    if (strstr(text, "permission denied"))
        return TT_PERMISSION;
    if (strstr(text, "container not found") || strstr(text, "not running"))
        return TT_CONNECT;
    return TT_LOST;
}

void tx_pod_status_read(struct tx_pod_status *status, const char *text, size_t length)
{
    json_t *json = NULL;
    *status = (struct tx_pod_status){.code = -1};
    tt_json_parse(&json, text, length, "the exec's status", &status->error);
    if (json && strcmp(tx_json_text(json, "status"), "Success") == 0)
        status->code = 0;
    else if (json)
        status->code = exit_code(json);
    const char *message = tx_json_text(json, "message");
    if (status->code < 0 && !status->error)
        status->error = tt_error_new(kind_of_message(message), "%s",
                                     *message ? message : "the API reported a failure");
    json_decref(json);
}

/* --- one command --- */

struct once {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_stream *stream;
    struct tx_ws *ws;
    struct tt_buf status;
    int code;
};

static struct once *once_of(struct tt_op *op)
{
    return (struct once *)(void *)op;
}

static void once_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&once_of(op)->chain, why);
}

static void once_free(struct tt_op *op)
{
    struct once *once = once_of(op);
    tx_ws_free(once->ws);
    tx_stream_free(once->stream);
    tt_buf_free(&once->status);
    free(once);
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    struct once *once = arg;
    if (channel == error_channel && once->status.length < max_status)
        tt_buf_add(&once->status, bytes, length);
}

static void finish(struct once *once, struct tt_error *err)
{
    if (once->status.length) {
        struct tx_pod_status status;
        tt_error_free(err);
        tx_pod_status_read(&status, once->status.data, once->status.length);
        once->code = status.code;
        err = status.error;
    } else if (!err) {
        err = tt_error_new(TT_LOST, "the end of a command in the pod was not observed");
    }
    tt_op_finish(&once->op, err);
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct once *once = once_of(op);
    struct tt_error *err = tt_error_copy(read->error);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    bool over = err || !bytes->length;
    if (!over && tx_ws_feed(once->ws, bytes->data, bytes->length, &err) < 0)
        over = true;
    if (over || tx_ws_closed(once->ws))
        finish(once, err);
    else
        tt_then(&once->chain, op, tx_stream_read(once->stream, op->scope, piece), on_bytes);
}

static void on_open(struct tt_op *op, struct tt_op *opened)
{
    struct once *once = once_of(op);
    struct tt_error *err = tt_error_copy(opened->error);
    once->stream = tx_kube_socket_of(opened);
    if (!err)
        tx_ws_new(&once->ws, on_piece, once, &err);
    if (err)
        tt_op_finish(op, err);
    else
        tt_then(&once->chain, op, tx_stream_read(once->stream, op->scope, piece), on_bytes);
}

struct tt_op *tx_pod_once(const struct tx_pod *pod, struct tt_scope *scope, const char *const *argv)
{
    static const struct tt_op_class class_ = {"exec in a pod", once_cancel, once_free};
    struct once *once = tt_zalloc(sizeof *once);
    tt_op_init(&once->op, &class_, scope);
    if (tt_op_finished(&once->op))
        return &once->op;
    char *path = tx_pod_exec_path(pod, argv, false, false);
    tt_then(&once->chain, &once->op, tx_kube_open_socket(pod->kube, scope, path, tx_pod_protocols),
            on_open);
    free(path);
    return &once->op;
}

int tx_pod_once_code(struct tt_op *op)
{
    return once_of(op)->code;
}
