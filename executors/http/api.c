#include "executors/http/api.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { default_max = 32 << 20, longest_message = 2000 };

struct call {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_buf body; /* the reply's */
    json_t *json;
    char *date;
    int status;
    bool raw;
};

static struct call *call_of(struct tt_op *op)
{
    return (struct call *)(void *)op;
}

static void call_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&call_of(op)->chain, why);
}

static void call_free(struct tt_op *op)
{
    struct call *call = call_of(op);
    tt_buf_free(&call->body);
    json_decref(call->json);
    free(call->date);
    free(call);
}

static const struct tt_op_class call_class = {"API call", call_cancel, call_free};

static enum tt_kind kind_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return TT_INVALID;
    case 401:
        return TT_AUTH;
    case 403:
        return TT_PERMISSION;
    case 404:
        return TT_NOT_FOUND;
    case 429:
    case 503:
        return TT_CONNECT;
    default:
        return TT_IO;
    }
}

struct tt_error *tx_api_refusal(int status, const char *body, size_t length)
{
    if (status < 300 && status != 0)
        return NULL;
    json_t *json = NULL;
    const char *message = "";
    if (length && tt_json_parse(&json, body, length, "reply", NULL) == 0)
        message = tx_json_text(json, "message");
    char *text = *message ? tt_strdup(message)
                          : tt_strndup(length ? body : "",
                                       length < longest_message ? length : longest_message);
    text[strcspn(text, "\r\n")] = 0;
    struct tt_error *err =
        *text ? tt_error_new(kind_of_status(status), "%s", text)
              : tt_error_new(kind_of_status(status), "the API answered %d", status);
    free(text);
    json_decref(json);
    return err;
}

static void on_reply(struct tt_op *op, struct tt_op *reply_op)
{
    struct call *call = call_of(op);
    if (reply_op->error) {
        tt_op_finish(op, tt_error_copy(reply_op->error));
        return;
    }
    const struct tx_reply *reply = tx_reply_of(reply_op);
    struct tt_error *err = tx_api_refusal(reply->status, reply->body.data, reply->body.length);
    call->status = reply->status;
    call->date = reply->date ? tt_strdup(reply->date) : NULL;
    if (!err && call->raw)
        tt_buf_add(&call->body, reply->body.data, reply->body.length);
    else if (!err && reply->body.length)
        tt_json_parse(&call->json, reply->body.data, reply->body.length, "the API's reply", &err);
    if (err && call->status < 300)
        err->kind = TT_IO;
    tt_op_finish(op, err);
}

static size_t count_of(const char *const *lines)
{
    size_t count = 0;
    while (lines && lines[count])
        count++;
    return count;
}

struct tt_op *tx_api_send(struct tx_http *http, struct tt_scope *scope, const char *method,
                          const char *path, const void *body, size_t length,
                          const struct tx_api_options *options)
{
    static const struct tx_api_options none = {0};
    options = options ? options : &none;
    struct call *call = tt_zalloc(sizeof *call);
    call->raw = options->raw;
    tt_op_init(&call->op, &call_class, scope);
    if (tt_op_finished(&call->op))
        return &call->op;
    size_t count = count_of(options->headers), at = 0;
    const char **headers = tt_reallocarray(NULL, count + 3, sizeof *headers);
    char *type = NULL;
    headers[at++] = "Accept: application/json";
    if (body) {
        type = tt_format("Content-Type: %s",
                         options->content_type ? options->content_type : "application/json");
        headers[at++] = type;
    }
    for (size_t i = 0; i < count; i++)
        headers[at++] = options->headers[i];
    headers[at] = NULL;
    struct tx_http_request request = {.method = method,
                                      .path = path,
                                      .headers = headers + (options->raw ? 1 : 0),
                                      .body = body,
                                      .length = length,
                                      .patience = options->patience};
    tt_then(&call->chain, &call->op,
            tx_http_call(http, scope, &request, options->max ? options->max : default_max),
            on_reply);
    free(type);
    free(headers);
    return &call->op;
}

static struct tt_op *failed(struct tt_scope *scope, struct tt_error *err)
{
    struct call *call = tt_zalloc(sizeof *call);
    tt_op_init(&call->op, &call_class, scope);
    if (tt_op_finished(&call->op))
        tt_error_free(err);
    else
        tt_op_finish(&call->op, err);
    return &call->op;
}

struct tt_op *tx_api_call(struct tx_http *http, struct tt_scope *scope, const char *method,
                          const char *path, json_t *body, const struct tx_api_options *options)
{
    if (!body)
        return tx_api_send(http, scope, method, path, NULL, 0, options);
    struct tt_buf text = {0};
    struct tt_error *err = NULL;
    struct tt_op *op;
    if (tt_json_dump(&text, body, 0, &err) < 0)
        op = failed(scope, err);
    else
        op = tx_api_send(http, scope, method, path, text.data, text.length, options);
    if (text.data)
        explicit_bzero(text.data, text.length);
    tt_buf_free(&text);
    json_decref(body);
    return op;
}

const json_t *tx_api_json(struct tt_op *op)
{
    return call_of(op)->json;
}

const struct tt_buf *tx_api_body(struct tt_op *op)
{
    return &call_of(op)->body;
}

int tx_api_status(struct tt_op *op)
{
    return call_of(op)->status;
}

const char *tx_api_date(struct tt_op *op)
{
    return call_of(op)->date;
}

const char *tx_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const json_t *tx_json_at(const json_t *value, const char *path)
{
    while (value && *path) {
        size_t length = strcspn(path, ".");
        char *key = tt_strndup(path, length);
        value = json_object_get(value, key);
        free(key);
        path += length + (path[length] == '.');
    }
    return value;
}
