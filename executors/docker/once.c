#include "executors/docker/once.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/docker/stream.h"
#include "executors/http/stream.h"

#include <stdlib.h>
#include <string.h>

enum { max_output = 64 << 10, piece = 16 << 10 };

/* --- the calls --- */

struct tt_op *tx_docker_exec_create(struct tx_docker *docker, struct tt_scope *scope,
                                    const char *container, json_t *config)
{
    struct tt_buf path = {0};
    tt_buf_text(&path, "/containers/");
    tx_url_escape(&path, container);
    tt_buf_text(&path, "/exec");
    struct tt_op *op = tx_api_call(tx_docker_http(docker), scope, "POST", path.data, config, NULL);
    tt_buf_free(&path);
    return op;
}

struct tt_op *tx_docker_exec_start(struct tx_docker *docker, struct tt_scope *scope, const char *id,
                                   bool tty)
{
    static const char *const headers[] = {"Content-Type: application/json", "Connection: Upgrade",
                                          "Upgrade: tcp", NULL};
    const char *body = tty ? "{\"Detach\":false,\"Tty\":true}" : "{\"Detach\":false,\"Tty\":false}";
    char *path = tt_format("/exec/%s/start", id);
    struct tx_http_request request = {
        .method = "POST", .path = path, .headers = headers, .body = body, .length = strlen(body)};
    struct tt_op *op = tx_stream_open(tx_docker_http(docker), scope, &request);
    free(path);
    return op;
}

struct tt_op *tx_docker_exec_inspect(struct tx_docker *docker, struct tt_scope *scope,
                                     const char *id)
{
    char *path = tt_format("/exec/%s/json", id);
    struct tt_op *op = tx_api_call(tx_docker_http(docker), scope, "GET", path, NULL, NULL);
    free(path);
    return op;
}

struct tt_error *tx_docker_create_error(struct tt_op *created)
{
    struct tt_error *err = tt_error_copy(created->error);
    if (err->kind == TT_LOST || tx_api_status(created) == 409)
        err->kind = TT_CONNECT;
    return err;
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

struct tt_error *tx_docker_launch_error(const char *bytes, size_t length)
{
    char *text = tt_strndup(bytes, length);
    text[strcspn(text, "\r\n")] = 0;
    enum tt_kind kind = TT_IO;
    if (has(text, "chdir to cwd") || has(text, "mkdir to cwd") || has(text, "Cwd must be"))
        kind = TT_CWD;
    else if (has(text, "unable to find user") || has(text, "unable to find group"))
        kind = TT_PERMISSION;
    else if (has(text, "executable file not found") || has(text, "no such file or directory"))
        kind = TT_NOT_FOUND;
    else if (has(text, "permission denied") || has(text, "is a directory"))
        kind = TT_PERMISSION;
    struct tt_error *err = tt_error_new(kind, "%s", text);
    free(text);
    return err;
}

/* --- one command --- */

struct once {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker;
    struct tx_stream *stream;
    struct tx_docker_frames frames;
    struct tt_buf output;
    char *id;
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
    tx_stream_free(once->stream);
    tx_docker_release(once->docker);
    tt_buf_free(&once->output);
    free(once->id);
    free(once);
}

static void on_inspected(struct tt_op *op, struct tt_op *inspected)
{
    struct once *once = once_of(op);
    struct tt_error *err = tt_error_copy(inspected->error);
    const json_t *exec = err ? NULL : tx_api_json(inspected);
    if (!err && !json_integer_value(json_object_get(exec, "Pid")))
        err =
            tx_docker_launch_error(once->output.data ? once->output.data : "", once->output.length);
    else if (!err && !json_is_false(json_object_get(exec, "Running")))
        err = tt_error_new(TT_LOST, "the end of a command in the container was not observed");
    once->code = (int)json_integer_value(json_object_get(exec, "ExitCode"));
    tt_op_finish(op, err);
}

static int take(struct once *once, const struct tt_bytes *bytes, struct tt_error **err)
{
    for (size_t at = 0; at < bytes->length;) {
        struct tx_docker_piece got;
        long used =
            tx_docker_frames_next(&once->frames, bytes->data + at, bytes->length - at, &got, err);
        if (used < 0)
            return (int)used;
        at += (size_t)used;
        size_t room = max_output - once->output.length;
        if (got.length)
            tt_buf_add(&once->output, got.bytes, got.length < room ? got.length : room);
    }
    return 0;
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct once *once = once_of(op);
    struct tt_error *err = tt_error_copy(read->error);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    if (!err)
        take(once, bytes, &err);
    if (err)
        tt_op_finish(op, err);
    else if (bytes->length)
        tt_then(&once->chain, op, tx_stream_read(once->stream, op->scope, piece), on_bytes);
    else
        tt_then(&once->chain, op, tx_docker_exec_inspect(once->docker, op->scope, once->id),
                on_inspected);
}

static void on_started(struct tt_op *op, struct tt_op *started)
{
    struct once *once = once_of(op);
    struct tt_error *err = tt_error_copy(started->error);
    if (!err) {
        once->stream = tx_stream_of(started);
        const struct tt_buf *body = tx_stream_body(once->stream);
        err = tx_api_refusal(tx_stream_status(once->stream) == 101 ? 200
                                                                   : tx_stream_status(once->stream),
                             body->data, body->length);
    }
    if (err)
        tt_op_finish(op, err);
    else
        tt_then(&once->chain, op, tx_stream_read(once->stream, op->scope, piece), on_bytes);
}

static void on_created(struct tt_op *op, struct tt_op *created)
{
    struct once *once = once_of(op);
    if (created->error) {
        tt_op_finish(op, tx_docker_create_error(created));
        return;
    }
    once->id = tt_strdup(tx_json_text(tx_api_json(created), "Id"));
    tt_then(&once->chain, op, tx_docker_exec_start(once->docker, op->scope, once->id, false),
            on_started);
}

struct tt_op *tx_docker_once(struct tx_docker *docker, struct tt_scope *scope,
                             const char *container, json_t *argv)
{
    static const struct tt_op_class class_ = {"docker exec", once_cancel, once_free};
    struct once *once = tt_zalloc(sizeof *once);
    once->docker = docker;
    tx_docker_retain(docker);
    tt_op_init(&once->op, &class_, scope);
    if (tt_op_finished(&once->op)) {
        json_decref(argv);
        return &once->op;
    }
    json_t *config = json_pack("{s:o, s:b, s:b, s:s}", "Cmd", argv, "AttachStdout", 1,
                               "AttachStderr", 1, "User", "0");
    tt_then(&once->chain, &once->op, tx_docker_exec_create(docker, scope, container, config),
            on_created);
    return &once->op;
}

int tx_docker_once_code(struct tt_op *op)
{
    return once_of(op)->code;
}

const struct tt_buf *tx_docker_once_output(struct tt_op *op)
{
    return &once_of(op)->output;
}
