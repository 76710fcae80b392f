#include "core/async/steps.h"

static void step_done(struct tt_op *finished, void *arg)
{
    struct tx_steps *steps = arg;
    struct tt_op *op = steps->op;
    steps->waiting = NULL;
    tt_op_retain(op); /* the step may finish it, and its owner let go of it */
    steps->next(op, finished);
    tt_op_release(finished);
    tt_op_release(op);
}

void tx_then(struct tx_steps *steps, struct tt_op *op, struct tt_op *child, tx_step *next)
{
    steps->op = op;
    steps->waiting = child;
    steps->next = next;
    tt_op_await(child, step_done, steps);
    /* it was cancelled between two steps */
    if (op->cancelled && child->scope == op->scope) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "%s was cancelled", op->class_->name);
        tt_op_cancel(child, why);
        tt_error_free(why);
    }
}

void tx_steps_cancel(struct tx_steps *steps, const struct tt_error *why)
{
    if (steps->waiting && steps->waiting->scope == steps->op->scope)
        tt_op_cancel(steps->waiting, why);
}
