/* A blocking call on a worker thread inside an operation of one's own (tt_work in core/async/op.h
 * is the ready-made operation around it). The operation embeds a struct tt_call, starts it once it
 * is initialised, and forwards its class's cancel to tt_call_cancel. */
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

/* Runs work(op, &err) on a worker thread and then finishes op with its error. Until then nobody
 * else touches what work uses. All zero before. */
void tt_call_start(struct tt_call *call, struct tt_op *op, const char *name,
                   int (*work)(struct tt_op *op, struct tt_error **err));
/* Takes back what still waits for a thread (true then); asks what runs to stop. */
bool tt_call_cancel(struct tt_call *call, const struct tt_error *why);

/* For long work, on the worker thread: 0, or kind `cancelled` when it was asked to stop; failing
 * with that finishes the operation with the reason given to tt_call_cancel. NULL: never stops. */
int tt_call_check(const atomic_bool *stop, struct tt_error **err);

#endif
