/* A command's streams: the caller's reads, writes and signals, and how long reads go on after the
 * command ended. */
#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/env/parts.h"

#include <stdlib.h>

enum { silence_ms = 200, drain_ms = 2000, late_bytes = 4 << 20 };

/* --- draining: after the end, who still holds the streams is not waited for --- */

static int64_t since_end(const struct tt_proc *proc, const struct stream *s)
{
    return s->since > proc->ended_at ? s->since : proc->ended_at;
}

/* When the read that runs is given up. Time without a read is a slow reader's, and does not count:
 * what was written before the end waits for it. */
static int64_t gives_up_at(const struct tt_proc *proc, const struct stream *s)
{
    int64_t silent = since_end(proc, s) + silence_ms;
    int64_t last = proc->ended_at + drain_ms + s->idle_ms;
    return silent < last ? silent : last;
}

static void on_silence(struct tt_timer *timer)
{
    struct tt_proc *proc = tt_owner(timer, struct tt_proc, drain);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the command ended; its stream did not");
    for (int i = 0; i < 2; i++) {
        struct stream *s = &proc->streams[i];
        if (s->pending && !s->given_up && !tt_op_finished(s->pending->inner) &&
            gives_up_at(proc, s) <= tt_loop_now(proc->loop)) {
            s->given_up = true;
            tt_op_cancel(s->pending->inner, why);
        }
    }
    tt_error_free(why);
    tt_proc_watch_silence(proc);
}

void tt_proc_watch_silence(struct tt_proc *proc)
{
    int64_t at = TT_NEVER;
    for (int i = 0; i < 2; i++) {
        const struct stream *s = &proc->streams[i];
        if (s->pending && !s->given_up && gives_up_at(proc, s) < at)
            at = gives_up_at(proc, s);
    }
    if (proc->state == ENDED && at != TT_NEVER)
        tt_timer_start(proc->loop, &proc->drain, at, on_silence);
    else
        tt_timer_stop(proc->loop, &proc->drain);
}

/* --- the executor's operations, seen by the caller --- */

static void relay_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct relay *relay = (struct relay *)(void *)op;
    tt_op_cancel(relay->inner, why);
}

static void relay_free(struct tt_op *op)
{
    struct relay *relay = (struct relay *)(void *)op;
    tt_op_release(relay->inner);
    tt_proc_release(relay->proc);
    tt_bytes_op_free(op);
}

static struct relay *relay_new(struct tt_proc *proc, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"a command's stream", relay_cancel, relay_free};
    struct relay *relay = tt_zalloc(sizeof *relay);
    relay->proc = proc;
    tt_proc_retain(proc);
    tt_op_init(&relay->base.op, &class_, scope);
    return relay;
}

static void on_relayed(struct tt_op *inner, void *arg)
{
    struct relay *relay = arg;
    tt_op_finish(&relay->base.op, tt_error_copy(inner->error));
}

static struct tt_op *relayed(struct relay *relay, struct tt_op *inner)
{
    relay->inner = inner;
    tt_op_await(inner, on_relayed, relay);
    return &relay->base.op;
}

struct tt_op *tt_proc_write(struct tt_proc *proc, struct tt_scope *scope, const void *data,
                            size_t length)
{
    struct relay *relay = relay_new(proc, scope);
    if (tt_op_finished(&relay->base.op))
        return &relay->base.op;
    return relayed(relay, proc->process->class_->write(proc->process, proc->inner, data, length));
}

struct tt_op *tt_proc_close_stdin(struct tt_proc *proc, struct tt_scope *scope)
{
    struct relay *relay = relay_new(proc, scope);
    if (tt_op_finished(&relay->base.op))
        return &relay->base.op;
    return relayed(relay, proc->process->class_->close_stdin(proc->process, proc->inner));
}

struct tt_op *tt_proc_signal(struct tt_proc *proc, struct tt_scope *scope, int signal)
{
    struct relay *relay = relay_new(proc, scope);
    if (tt_op_finished(&relay->base.op))
        return &relay->base.op;
    if (proc->state == ENDED) {
        tt_op_finish(&relay->base.op, tt_error_new(TT_NOT_FOUND, "the command has ended"));
        return &relay->base.op;
    }
    return relayed(relay, proc->process->class_->signal(proc->process, proc->inner, signal));
}

static void on_read(struct tt_op *inner, void *arg)
{
    struct relay *relay = arg;
    struct tt_proc *proc = relay->proc;
    struct stream *s = relay->stream;
    struct tt_bytes *got = &((struct tt_bytes_op *)(void *)inner)->bytes;
    s->pending = NULL;
    if (!inner->error) {
        relay->base.bytes = *got;
        *got = (struct tt_bytes){0};
    }
    s->since = tt_loop_now(proc->loop);
    if (proc->state == ENDED && s->since >= proc->ended_at + drain_ms)
        s->late += relay->base.bytes.length;
    if (s->given_up || s->late > late_bytes || (!inner->error && !relay->base.bytes.length))
        s->ended = true;
    tt_op_finish(&relay->base.op, s->given_up ? NULL : tt_error_copy(inner->error));
    s->given_up = false;
    tt_proc_let_waiters_go(proc);
}

struct tt_op *tt_proc_read(struct tt_proc *proc, struct tt_scope *scope, enum tt_stream stream,
                           size_t max)
{
    struct relay *relay = relay_new(proc, scope);
    struct stream *s = &proc->streams[stream];
    if (tt_op_finished(&relay->base.op))
        return &relay->base.op;
    if (s->pending || s->ended) {
        tt_op_finish(&relay->base.op,
                     s->pending ? tt_error_new(TT_INVALID, "this stream is being read already")
                                : NULL);
        return &relay->base.op;
    }
    relay->stream = s;
    s->pending = relay;
    if (proc->state == ENDED)
        s->idle_ms += tt_loop_now(proc->loop) - since_end(proc, s);
    s->since = tt_loop_now(proc->loop);
    relay->inner = proc->process->class_->read(proc->process, proc->inner, stream, max);
    tt_op_await(relay->inner, on_read, relay);
    if (proc->state == ENDED)
        tt_proc_watch_silence(proc);
    return &relay->base.op;
}
