/* A blocking call on a worker thread for an operation of a class of your own; tt_work in
 * core/async/op.h is the ready-made one. Such an operation embeds a struct tt_call, all zero, calls
 * tt_call_start after tt_op_init, and tt_call_cancel from its class's `cancel`. Loop thread, but
 * for `work` and tt_call_check. */
#ifndef TT_CALL_H
#define TT_CALL_H

#include "core/async/op.h"

#include <stdatomic.h>

struct tt_call {
    uv_work_t request;
    struct tt_op *op;
    int (*work)(struct tt_op *op, struct tt_error **err);
    struct tt_error *error;
    struct tt_error *why; /* why it was cancelled while it ran */
    atomic_bool stop;
};

/* Runs work(op, &err) on a worker thread, then finishes op with its error. Until then nobody else
 * may touch what `work` uses. `name` is for messages. */
void tt_call_start(struct tt_call *call, struct tt_op *op, const char *name,
                   int (*work)(struct tt_op *op, struct tt_error **err));
/* Work that still waits for a thread is taken back: true. Work that runs is asked to stop: false.
 */
bool tt_call_cancel(struct tt_call *call, const struct tt_error *why);

/* For long work to call now and then, on the worker thread: 0 to go on, or an error of kind
 * `cancelled` when it was asked to stop. When `work` returns that error, the operation finishes
 * with the reason that tt_call_cancel was given. `stop` is &call->stop; NULL: never asked. */
int tt_call_check(const atomic_bool *stop, struct tt_error **err);

#endif
