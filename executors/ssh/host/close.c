#include "executors/ssh/host/parts.h"

#include "core/base/alloc.h"

#include <stdlib.h>

/* Waits until what is done for a host has ended, then until the same is true of its jump. */
struct tx_closing {
    struct tt_op op;
    struct tx_host *host; /* held */
    struct tx_closing *next;
    struct tt_op *jump;
};

static void on_jump_closed(struct tt_op *op, void *arg)
{
    struct tx_closing *closing = arg;
    tt_op_finish(&closing->op, tt_error_copy(op->error));
}

static void on_life_idle(void *arg)
{
    struct tx_host *host = arg;
    while (host->closings) {
        struct tx_closing *closing = host->closings;
        host->closings = closing->next;
        if (!host->jump) {
            tt_op_finish(&closing->op, NULL);
            continue;
        }
        closing->jump = tx_host_close_idle(host->jump, closing->op.scope);
        tt_op_await(closing->jump, on_jump_closed, closing);
    }
}

static void closing_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tx_closing *closing = (struct tx_closing *)(void *)op;
    if (closing->jump) {
        tt_op_cancel(closing->jump, why);
        return;
    }
    struct tx_closing **at = &closing->host->closings;
    while (*at != closing)
        at = &(*at)->next;
    *at = closing->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void closing_free(struct tt_op *op)
{
    struct tx_closing *closing = (struct tx_closing *)(void *)op;
    tt_op_release(closing->jump);
    tx_host_release(closing->host);
    free(closing);
}

struct tt_op *tx_host_close_idle(struct tx_host *host, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"closing connections", closing_cancel, closing_free};
    struct tx_closing *closing = tt_zalloc(sizeof *closing);
    closing->host = host;
    tx_host_retain(host);
    tt_op_init(&closing->op, &class_, scope);
    if (tt_op_finished(&closing->op))
        return &closing->op;
    for (struct tx_link *link = host->links, *next; link; link = next) {
        next = link->next;
        if (!link->users)
            tx_link_leave(link);
    }
    if (!host->requests) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "the connection is not wanted any more");
        tx_host_stop_reaching(host, why);
        tt_error_free(why);
    }
    if (host->links || host->requests) {
        tt_op_finish(&closing->op, NULL); /* what is in use goes on */
        return &closing->op;
    }
    closing->next = host->closings;
    host->closings = closing;
    tt_scope_on_idle(host->life, on_life_idle, host);
    return &closing->op;
}
