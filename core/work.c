/* tt_work: blocking calls on libuv's worker threads, as operations. */
#include "core/alloc.h"
#include "core/fault.h"
#include "core/op.h"

#include <stdlib.h>

struct work_op {
    struct tt_op op;
    uv_work_t request;
    int (*work)(void *arg, struct tt_error **err);
    void *arg;
    void (*drop)(void *arg);
    void (*interrupt)(void *arg);
    struct tt_error *error;
};

static void on_thread(uv_work_t *request)
{
    struct work_op *work = request->data;
    work->work(work->arg, &work->error);
}

static void on_back(uv_work_t *request, int status)
{
    struct work_op *work = request->data;
    struct tt_error *err = work->error;
    work->error = NULL;
    if (status < 0 && !err)
        err = tt_error_new(TT_CANCELLED, "%s was cancelled", work->op.class_->name);
    tt_op_finish(&work->op, err);
}

/* What has begun is awaited; what still waits for a thread is taken back. */
static void work_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct work_op *work = (struct work_op *)(void *)op;
    if (uv_cancel((uv_req_t *)&work->request) == 0)
        work->error = tt_error_copy(why);
    else if (work->interrupt)
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
    made->request.data = made;
    tt_op_init(&made->op, &class_, scope);
    if (tt_op_finished(&made->op))
        return &made->op;
    int rc = TT_FAULT("work.queue")
                 ? UV_EIO
                 : uv_queue_work(tt_loop_uv(made->op.loop), &made->request, on_thread, on_back);
    if (rc < 0)
        tt_op_finish(&made->op,
                     tt_error_new(TT_IO, "%s: no worker thread: %s", name, uv_strerror(rc)));
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
