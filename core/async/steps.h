/* An operation made of others, awaited one after the other.
 *
 * A composed operation embeds struct tx_steps beside its struct tt_op and goes from step to step:
 *
 *     static void on_created(struct tt_op *op, struct tt_op *created) { … tx_then(…, on_started); }
 *
 * Each step gets the finished operation and may look at its result and error; it is released after
 * the step returned. Cancelling the composed operation cancels what it awaits, whose end then
 * reaches the next step as an error; an awaited operation of another scope (cleaning up) is left
 * alone. The class's cancel must be tx_steps_cancel, with the offset of the steps from the op. */
#ifndef TX_STEPS_H
#define TX_STEPS_H

#include "core/async/op.h"

typedef void tx_step(struct tt_op *op, struct tt_op *finished);

struct tx_steps {
    struct tt_op *op;      /* the composed one */
    struct tt_op *waiting; /* what it awaits; held */
    tx_step *next;
};

/* Awaits `child` (its reference is taken), then calls `next`. */
void tx_then(struct tx_steps *steps, struct tt_op *op, struct tt_op *child, tx_step *next);
/* For the cancel of a class: cancels what is awaited when it lives in the same scope. */
void tx_steps_cancel(struct tx_steps *steps, const struct tt_error *why);

#endif
