/* tx_http_call: a whole exchange with a bounded reply. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/http/http.h"

#include <stdlib.h>
#include <string.h>

enum { piece = 64 << 10 };

struct call {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_exchange *exchange;
    struct tx_reply reply;
    size_t max;
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
    tx_exchange_free(call->exchange);
    tt_buf_free(&call->reply.body);
    free(call->reply.date);
    free(call);
}

static void finish(struct call *call, struct tt_error *err)
{
    tx_exchange_free(call->exchange);
    call->exchange = NULL;
    tt_op_finish(&call->op, err);
}

static void on_piece(struct tt_op *op, struct tt_op *read)
{
    struct call *call = call_of(op);
    if (read->error) {
        finish(call, tt_error_copy(read->error));
        return;
    }
    const struct tt_bytes *bytes = tt_bytes_of(read);
    if (!bytes->length) {
        finish(call, NULL);
        return;
    }
    char *to = bytes->length <= call->max - call->reply.body.length
                   ? tt_buf_reserve(&call->reply.body, bytes->length)
                   : NULL;
    if (!to) {
        finish(call,
               tt_error_new(TT_OUTPUT_LIMIT, "the reply is longer than %zu bytes", call->max));
        return;
    }
    memcpy(to, bytes->data, bytes->length);
    call->reply.body.length += bytes->length;
    tt_then(&call->chain, op, tx_exchange_read(call->exchange, op->scope, piece), on_piece);
}

static void on_head(struct tt_op *op, struct tt_op *head)
{
    struct call *call = call_of(op);
    if (head->error) {
        finish(call, tt_error_copy(head->error));
        return;
    }
    call->reply.status = tx_exchange_status(call->exchange);
    call->reply.date = tx_exchange_header(call->exchange, "Date");
    tt_then(&call->chain, op, tx_exchange_read(call->exchange, op->scope, piece), on_piece);
}

struct tt_op *tx_http_call(struct tx_http *http, struct tt_scope *scope,
                           const struct tx_http_request *request, size_t max)
{
    static const struct tt_op_class class_ = {"http", call_cancel, call_free};
    struct call *call = tt_zalloc(sizeof *call);
    call->max = max;
    tt_op_init(&call->op, &class_, scope);
    if (tt_op_finished(&call->op))
        return &call->op;
    struct tt_error *err = NULL;
    if (tx_exchange_start(&call->exchange, http, request, &err) < 0)
        tt_op_finish(&call->op, err);
    else
        tt_then(&call->chain, &call->op, tx_exchange_head(call->exchange, scope), on_head);
    return &call->op;
}

const struct tx_reply *tx_reply_of(struct tt_op *op)
{
    return op->error ? NULL : &call_of(op)->reply;
}
