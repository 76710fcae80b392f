#include "core/async/chain.h"

static void link_done(struct tt_op *finished, void *arg)
{
    struct tt_chain *chain = arg;
    struct tt_op *op = chain->op;
    chain->waiting = NULL;
    tt_op_retain(op); /* the step may finish it, and its owner let go of it */
    chain->next(op, finished);
    tt_op_release(finished);
    tt_op_release(op);
}

void tt_then(struct tt_chain *chain, struct tt_op *op, struct tt_op *child, tt_chain_step *next)
{
    chain->op = op;
    chain->waiting = child;
    chain->next = next;
    tt_op_await(child, link_done, chain);
    /* it was cancelled between two steps */
    if (op->cancelled && child->scope == op->scope) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "%s was cancelled", op->class_->name);
        tt_op_cancel(child, why);
        tt_error_free(why);
    }
}

bool tt_chain_fails(struct tt_op *op, struct tt_op *step)
{
    struct tt_error *err = step->error;
    step->error = NULL;
    if (err)
        tt_op_finish(op, err);
    return err != NULL;
}

void tt_chain_cancel(struct tt_chain *chain, const struct tt_error *why)
{
    if (chain->waiting && chain->waiting->scope == chain->op->scope)
        tt_op_cancel(chain->waiting, why);
}
