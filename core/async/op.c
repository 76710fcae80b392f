#include "core/async/op.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef TT_FAULTS
static struct tt_op *all;

static void note_made(struct tt_op *op)
{
    op->all_prev = NULL;
    op->all_next = all;
    if (all)
        all->all_prev = op;
    all = op;
}

static void note_freed(struct tt_op *op)
{
    if (op->all_prev)
        op->all_prev->all_next = op->all_next;
    else
        all = op->all_next;
    if (op->all_next)
        op->all_next->all_prev = op->all_prev;
}

size_t tt_op_report_leaks(void)
{
    size_t count = 0;
    for (struct tt_op *op = all; op; op = op->all_next, count++)
        fprintf(stderr, "tutti: left alive: operation %s (%s, %u references)\n", op->class_->name,
                op->state == TT_OP_RUNNING ? "running" : "finished", op->refs);
    return count;
}
#else
static void note_made(struct tt_op *op)
{
    (void)op;
}

static void note_freed(struct tt_op *op)
{
    (void)op;
}

size_t tt_op_report_leaks(void)
{
    return 0;
}
#endif

static void deliver(struct tt_job *job)
{
    struct tt_op *op = tt_owner(job, struct tt_op, job);
    op->state = TT_OP_DELIVERED;
    tt_op_done *done = op->done;
    op->done = NULL;
    if (done)
        done(op, op->arg);
    tt_op_release(op);
}

void tt_op_init(struct tt_op *op, const struct tt_op_class *class_, struct tt_scope *scope)
{
    op->class_ = class_;
    op->loop = tt_scope_loop(scope);
    op->scope = scope;
    op->refs = 2;
    op->job.run = deliver;
    tt_scope_add_op(scope, op);
    tt_loop_count_op(op->loop, 1);
    note_made(op);
    struct tt_error *why = NULL;
    if (tt_scope_check(scope, &why) < 0)
        tt_op_finish(op, why);
}

void tt_op_finish(struct tt_op *op, struct tt_error *err)
{
    if (op->state != TT_OP_RUNNING) {
        fprintf(stderr, "tutti: operation %s finished twice\n", op->class_->name);
        abort();
    }
    op->state = TT_OP_FINISHED;
    op->error = err;
    tt_scope_remove_op(op->scope, op);
    tt_loop_post(op->loop, &op->job);
}

void tt_op_await(struct tt_op *op, tt_op_done *done, void *arg)
{
    op->done = done;
    op->arg = arg;
    if (op->state == TT_OP_DELIVERED) {
        op->refs++; /* as the operation's own: the second delivery ends it */
        op->state = TT_OP_FINISHED;
        tt_loop_post(op->loop, &op->job);
    }
}

void tt_op_unawait(struct tt_op *op)
{
    op->done = NULL;
}

void tt_op_drop(struct tt_op **op, const struct tt_error *why)
{
    struct tt_op *dropped = *op;
    if (!dropped)
        return;
    *op = NULL;
    tt_op_unawait(dropped);
    if (why)
        tt_op_cancel(dropped, why);
    tt_op_release(dropped);
}

void tt_op_drop_because(struct tt_op **op, const char *text)
{
    struct tt_error *why = *op ? tt_error_new(TT_CANCELLED, "%s", text) : NULL;
    tt_op_drop(op, why);
    tt_error_free(why);
}

void tt_op_cancel(struct tt_op *op, const struct tt_error *why)
{
    if (op->cancelled || op->state != TT_OP_RUNNING)
        return;
    op->cancelled = true;
    op->class_->cancel(op, why);
}

void tt_op_retain(struct tt_op *op)
{
    op->refs++;
}

void tt_op_release(struct tt_op *op)
{
    if (!op || --op->refs > 0)
        return;
    struct tt_scope *scope = op->scope;
    tt_loop_count_op(op->loop, -1);
    note_freed(op);
    tt_error_free(op->error);
    op->error = NULL;
    op->class_->free(op);
    tt_scope_release(scope);
}

void tt_op_cancel_now(struct tt_op *op, const struct tt_error *why)
{
    tt_op_finish(op, tt_error_copy(why));
}

void tt_op_free(struct tt_op *op)
{
    free(op);
}

struct tt_op *tt_op_finished_new(struct tt_scope *scope, struct tt_error *err)
{
    static const struct tt_op_class class_ = {"nothing", tt_op_cancel_now, tt_op_free};
    struct tt_op *op = tt_zalloc(sizeof *op);
    tt_op_init(op, &class_, scope);
    if (tt_op_finished(op))
        tt_error_free(err);
    else
        tt_op_finish(op, err);
    return op;
}

struct sleep_op {
    struct tt_op op;
    struct tt_timer timer;
};

static void on_awake(struct tt_timer *timer)
{
    struct sleep_op *sleep = tt_owner(timer, struct sleep_op, timer);
    tt_op_finish(&sleep->op, NULL);
}

static void sleep_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_timer_stop(op->loop, &((struct sleep_op *)(void *)op)->timer);
    tt_op_finish(op, tt_error_copy(why));
}

struct tt_op *tt_sleep(struct tt_scope *scope, int64_t ms)
{
    static const struct tt_op_class class_ = {"sleep", sleep_cancel, tt_op_free};
    struct sleep_op *sleep = tt_zalloc(sizeof *sleep);
    tt_op_init(&sleep->op, &class_, scope);
    if (!tt_op_finished(&sleep->op))
        tt_timer_start(sleep->op.loop, &sleep->timer,
                       tt_deadline_after(tt_loop_now(sleep->op.loop), ms), on_awake);
    return &sleep->op;
}
