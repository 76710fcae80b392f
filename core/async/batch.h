/* A batch: an operation that runs many others, at most `at_once` of them at a time. The one bounded
 * runner of the tree.
 *
 * It asks `next` for an operation while fewer than `at_once` run, and again whenever one has ended.
 * It finishes when `next` has none and none runs. At the first error nothing more is begun and what
 * runs is cancelled; once all of that has ended, the batch finishes with the error. Cancelling the
 * batch does the same with the reason. Loop thread. */
#ifndef TT_BATCH_H
#define TT_BATCH_H

#include "core/async/op.h"

/* The next operation, begun in `scope`; the batch takes the reference. NULL: none can be begun now.
 * `next` is asked again after one that runs has ended and was released. */
typedef struct tt_op *tt_batch_next(void *arg, struct tt_scope *scope);

/* `arg` is passed to `next` and outlives the batch. `at_once` is 1 or more. */
struct tt_op *tt_batch(struct tt_scope *scope, unsigned at_once, tt_batch_next *next, void *arg);

#endif
