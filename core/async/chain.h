/* An operation made of others, which it awaits one after the other.
 *
 * A composed operation embeds struct tt_chain beside its struct tt_op and goes from step to step:
 *
 *     static void on_created(struct tt_op *op, struct tt_op *created) { … tt_then(…, on_started); }
 *
 * A step is called with the awaited operation once that has finished, and may read its result and
 * error; after the step returned, the chain releases it. The `cancel` of the composed operation's
 * class must call tt_chain_cancel: it cancels what is awaited, and the next step gets that as an
 * error. An awaited operation of another scope (cleaning up) is left alone. Loop thread. */
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
/* False when `step` succeeded. Else true: op has been finished with the error of `step`, taken from
 * it. */
bool tt_chain_fails(struct tt_op *op, struct tt_op *step);
/* For the cancel of a class: cancels what is awaited when it lives in the same scope. */
void tt_chain_cancel(struct tt_chain *chain, const struct tt_error *why);

#endif
