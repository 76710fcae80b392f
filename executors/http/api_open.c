/* tx_api_open: calls whose reply is a stream. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "executors/http/api.h"

#include <stdlib.h>

enum { piece = 16 << 10 };

struct opening {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_exchange *exchange;
};

static struct opening *of(struct tt_op *op)
{
    return (struct opening *)(void *)op;
}

static void opening_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void opening_free(struct tt_op *op)
{
    tx_exchange_free(of(op)->exchange);
    free(op);
}

static void on_refusal(struct tt_op *op, struct tt_op *read)
{
    const struct tt_bytes *bytes = tt_bytes_of(read);
    tt_op_finish(op,
                 tx_api_refusal(tx_exchange_status(of(op)->exchange),
                                read->error ? "" : bytes->data, read->error ? 0 : bytes->length));
}

static void on_head(struct tt_op *op, struct tt_op *head)
{
    if (head->error)
        tt_op_finish(op, tt_error_copy(head->error));
    else if (tx_exchange_status(of(op)->exchange) < 300)
        tt_op_finish(op, NULL);
    else
        tt_then(&of(op)->chain, op, tx_exchange_read(of(op)->exchange, op->scope, piece),
                on_refusal);
}

struct tt_op *tx_api_open(struct tx_http *http, struct tt_scope *scope,
                          const struct tx_http_request *request)
{
    static const struct tt_op_class class_ = {"API call", opening_cancel, opening_free};
    struct opening *opening = tt_zalloc(sizeof *opening);
    struct tt_error *err = NULL;
    tt_op_init(&opening->op, &class_, scope);
    if (tt_op_finished(&opening->op))
        return &opening->op;
    if (tx_exchange_start(&opening->exchange, http, request, &err) < 0)
        tt_op_finish(&opening->op, err);
    else
        tt_then(&opening->chain, &opening->op, tx_exchange_head(opening->exchange, scope), on_head);
    return &opening->op;
}

struct tx_exchange *tx_api_exchange_of(struct tt_op *op)
{
    struct tx_exchange *exchange = op->error ? NULL : of(op)->exchange;
    if (exchange)
        of(op)->exchange = NULL;
    return exchange;
}
