/* An operation made of others, awaited one after the other.
 *
 * A composed operation embeds struct tt_chain beside its struct tt_op and goes from step to step:
 *
 *     static void on_created(struct tt_op *op, struct tt_op *created) { … tt_then(…, on_started); }
 *
 * Each step gets the finished operation and may look at its result and error; it is released after
 * the step returned. Cancelling the composed operation cancels what it awaits, whose end then
 * reaches the next step as an error; an awaited operation of another scope (cleaning up) is left
 * alone. The class's cancel must call tt_chain_cancel. */
#ifndef TT_CHAIN_H
#define TT_CHAIN_H

#include "core/async/op.h"

typedef void tt_chain_step(struct tt_op *op, struct tt_op *finished);

struct tt_chain {
    struct tt_op *op;      /* the composed one */
    struct tt_op *waiting; /* what it awaits; held */
    tt_chain_step *next;
};

/* Awaits `child` (its reference is taken), then calls `next`. */
void tt_then(struct tt_chain *chain, struct tt_op *op, struct tt_op *child, tt_chain_step *next);
/* False when the step went well; else it has ended op with its error, which it has lost by that. */
bool tt_chain_fails(struct tt_op *op, struct tt_op *step);
/* For the cancel of a class: cancels what is awaited when it lives in the same scope. */
void tt_chain_cancel(struct tt_chain *chain, const struct tt_error *why);

#endif
