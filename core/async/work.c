/* Blocking calls on libuv's worker threads, as operations. */
#include "core/async/work.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <stdlib.h>

/* --- inside somebody's operation --- */

static void on_thread(uv_work_t *request)
{
    struct tt_call *call = request->data;
    call->work(call->op, &call->error);
}

static void on_back(uv_work_t *request, int status)
{
    struct tt_call *call = request->data;
    struct tt_error *err = call->error, *why = call->why;
    call->error = call->why = NULL;
    tt_loop_busy(call->op->loop, -1);
    if (status < 0 && !err)
        err = tt_error_new(TT_CANCELLED, "%s was cancelled", call->op->class_->name);
    if (why && err && err->kind == TT_CANCELLED) {
        tt_error_free(err);
        err = why;
        why = NULL;
    }
    tt_error_free(why);
    tt_op_finish(call->op, err);
}

void tt_call_start(struct tt_call *call, struct tt_op *op, const char *name,
                   int (*work)(struct tt_op *op, struct tt_error **err))
{
    call->op = op;
    call->work = work;
    call->request.data = call;
    int rc = TT_FAULT("work.queue")
                 ? UV_EIO
                 : uv_queue_work(tt_loop_uv(op->loop), &call->request, on_thread, on_back);
    if (rc == 0)
        tt_loop_busy(op->loop, 1);
    else
        tt_op_finish(op, tt_error_new(TT_IO, "%s: no worker thread: %s", name, uv_strerror(rc)));
}

bool tt_call_cancel(struct tt_call *call, const struct tt_error *why)
{
    if (uv_cancel((uv_req_t *)&call->request) == 0) {
        call->error = tt_error_copy(why);
        return true;
    }
    call->why = tt_error_copy(why);
    atomic_store(&call->stop, true);
    return false;
}

int tt_call_check(const atomic_bool *stop, struct tt_error **err)
{
    if (!stop || !atomic_load_explicit(stop, memory_order_relaxed))
        return 0;
    return tt_fail(err, TT_CANCELLED, "stopped");
}

/* --- ready-made --- */

struct work_op {
    struct tt_op op;
    struct tt_call call;
    int (*work)(void *arg, struct tt_error **err);
    void *arg;
    void (*drop)(void *arg);
    void (*interrupt)(void *arg);
};

static int run_work(struct tt_op *op, struct tt_error **err)
{
    struct work_op *work = (struct work_op *)(void *)op;
    return work->work(work->arg, err);
}

static void work_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct work_op *work = (struct work_op *)(void *)op;
    if (!tt_call_cancel(&work->call, why) && work->interrupt)
        work->interrupt(work->arg);
}

static void work_free(struct tt_op *op)
{
    struct work_op *work = (struct work_op *)(void *)op;
    if (work->drop)
        work->drop(work->arg);
    free(work);
}

struct tt_op *tt_work(struct tt_scope *scope, const char *name,
                      int (*work)(void *arg, struct tt_error **err), void *arg,
                      void (*drop)(void *arg))
{
    static const struct tt_op_class class_ = {"work", work_cancel, work_free};
    struct work_op *made = tt_zalloc(sizeof *made);
    made->work = work;
    made->arg = arg;
    made->drop = drop;
    tt_op_init(&made->op, &class_, scope);
    if (!tt_op_finished(&made->op))
        tt_call_start(&made->call, &made->op, name, run_work);
    return &made->op;
}

void *tt_work_arg(struct tt_op *op)
{
    return ((struct work_op *)(void *)op)->arg;
}

void tt_work_on_cancel(struct tt_op *op, void (*interrupt)(void *arg))
{
    ((struct work_op *)(void *)op)->interrupt = interrupt;
}
