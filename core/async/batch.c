#include "core/async/batch.h"

#include "core/base/alloc.h"

#include <stdlib.h>

struct batch {
    struct tt_op op;
    struct tt_scope *steps; /* cancelled with the operation, and by its first error */
    tt_batch_next *next;
    void *arg;
    unsigned at_once, running;
    struct tt_error *error;
};

static void batch_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct batch *)(void *)op)->steps, why);
}

static void batch_free(struct tt_op *op)
{
    struct batch *batch = (struct batch *)(void *)op;
    tt_scope_release(batch->steps);
    tt_error_free(batch->error);
    free(batch);
}

static void go_on(struct batch *batch);

static void on_ended(struct tt_op *step, void *arg)
{
    struct batch *batch = arg;
    batch->running--;
    if (step->error && !batch->error) {
        batch->error = step->error;
        step->error = NULL;
        tt_scope_cancel(batch->steps, batch->error);
    }
    tt_op_release(step);
    go_on(batch);
}

static void go_on(struct batch *batch)
{
    while (!batch->error && batch->running < batch->at_once) {
        struct tt_op *step = batch->next(batch->arg, batch->steps);
        if (!step)
            break;
        batch->running++;
        tt_op_await(step, on_ended, batch);
    }
    if (batch->running > 0)
        return;
    struct tt_error *err = batch->error;
    batch->error = NULL;
    tt_op_finish(&batch->op, err);
}

struct tt_op *tt_batch(struct tt_scope *scope, unsigned at_once, tt_batch_next *next, void *arg)
{
    static const struct tt_op_class class_ = {"a batch", batch_cancel, batch_free};
    struct batch *batch = tt_zalloc(sizeof *batch);
    batch->next = next;
    batch->arg = arg;
    batch->at_once = at_once;
    batch->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(&batch->op, &class_, scope);
    if (!tt_op_finished(&batch->op))
        go_on(batch);
    return &batch->op;
}
