/* Many operations, only so many of them at once: the one bounded runner.
 *
 * The batch asks `next` for an operation as long as there is room, and again whenever one ended. It
 * is over when `next` has none and none runs. The first error ends it early: nothing more is begun,
 * what runs is cancelled, and the batch ends with that error once all of it has ended. Cancelling
 * the batch cancels what runs in the same way. */
#ifndef TT_BATCH_H
#define TT_BATCH_H

#include "core/async/op.h"

/* The next operation, begun in `scope`; the batch takes the reference. NULL: none can be begun now.
 * It is asked again when one that runs has ended, before which that one's reference is given up. */
typedef struct tt_op *tt_batch_next(void *arg, struct tt_scope *scope);

/* arg outlives the operation. `at_once` is 1 or more. */
struct tt_op *tt_batch(struct tt_scope *scope, unsigned at_once, tt_batch_next *next, void *arg);

#endif
