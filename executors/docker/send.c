#include "executors/docker/send.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/docker/pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { piece = 64 << 10, max_refusal = 64 << 10 };

struct sending {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker; /* held */
    struct tx_exchange *exchange;
    int body;
    off_t at;
    struct tt_buf refusal;
};

static struct sending *sending_of(struct tt_op *op)
{
    return (struct sending *)(void *)op;
}

static void sending_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&sending_of(op)->chain, why);
}

static void sending_free(struct tt_op *op)
{
    struct sending *sending = sending_of(op);
    tx_exchange_free(sending->exchange);
    tx_docker_release(sending->docker);
    tt_buf_free(&sending->refusal);
    if (sending->body >= 0)
        close(sending->body);
    free(sending);
}

static void on_refusal(struct tt_op *op, struct tt_op *read)
{
    struct sending *sending = sending_of(op);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    if (!read->error && bytes->length && sending->refusal.length < max_refusal) {
        tt_buf_add(&sending->refusal, bytes->data, bytes->length);
        tt_then(&sending->chain, op, tx_exchange_read(sending->exchange, op->scope, piece),
                on_refusal);
        return;
    }
    struct tt_error *err =
        tx_api_refusal(tx_exchange_status(sending->exchange),
                       sending->refusal.data ? sending->refusal.data : "", sending->refusal.length);
    if (err->kind == TT_IO)
        err->kind = tx_docker_progress_kind(err->message);
    tt_op_finish(op, err);
}

static void on_head(struct tt_op *op, struct tt_op *head)
{
    struct sending *sending = sending_of(op);
    if (head->error)
        tt_op_finish(op, tt_error_copy(head->error));
    else if (tx_exchange_status(sending->exchange) >= 300)
        tt_then(&sending->chain, op, tx_exchange_read(sending->exchange, op->scope, piece),
                on_refusal);
    else
        tt_op_finish(op, NULL);
}

static void send_more(struct tt_op *op, struct tt_op *written)
{
    struct sending *sending = sending_of(op);
    struct tx_exchange *exchange = sending->exchange;
    char *bytes = NULL;
    ssize_t got = 0;
    bool refused = written && written->error;
    if (refused && written->error->errnum != EPIPE) {
        tt_op_finish(op, tt_error_copy(written->error));
        return;
    }
    if (sending->body >= 0 && !refused) {
        bytes = tt_alloc(piece);
        got = TT_FAULT("docker_answer.read") ? -1 : pread(sending->body, bytes, piece, sending->at);
    }
    if (got < 0) {
        struct tt_error *err = NULL;
        tt_fail_errno(&err, errno, "reading what is to be sent");
        tt_op_finish(op, err);
    } else if (got > 0) {
        sending->at += got;
        tt_then(&sending->chain, op, tx_exchange_write(exchange, op->scope, bytes, (size_t)got),
                send_more);
    } else {
        tx_exchange_end(exchange);
        tt_then(&sending->chain, op, tx_exchange_head(exchange, op->scope), on_head);
    }
    free(bytes);
}

struct tt_op *tx_docker_send(struct tx_docker *docker, struct tt_scope *scope,
                             const struct tx_docker_request *request)
{
    static const struct tt_op_class class_ = {"docker", sending_cancel, sending_free};
    struct sending *sending = tt_zalloc(sizeof *sending);
    sending->body = request->body;
    sending->docker = docker;
    tx_docker_retain(docker);
    tt_op_init(&sending->op, &class_, scope);
    if (tt_op_finished(&sending->op))
        return &sending->op;
    char *type =
        request->content_type ? tt_format("Content-Type: %s", request->content_type) : NULL;
    const char *headers[] = {type ? type : request->header, type ? request->header : NULL, NULL};
    struct tx_http_request http = {.method = request->method,
                                   .path = request->path,
                                   .headers = headers,
                                   .streamed = request->body >= 0,
                                   .patience = request->patience};
    struct tt_error *err = NULL;
    if (tx_exchange_start(&sending->exchange, tx_docker_http(docker), &http, &err) < 0)
        tt_op_finish(&sending->op, err);
    else if (request->body >= 0)
        send_more(&sending->op, NULL);
    else
        tt_then(&sending->chain, &sending->op, tx_exchange_head(sending->exchange, scope), on_head);
    free(type);
    return &sending->op;
}

struct tx_exchange *tx_docker_sent(struct tt_op *op)
{
    struct tx_exchange *exchange = op->error ? NULL : sending_of(op)->exchange;
    if (exchange)
        sending_of(op)->exchange = NULL;
    return exchange;
}
