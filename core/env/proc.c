/* A command's whole life.
 *
 * Two scopes: `scope`, below the caller's, carries the deadline and holds `life`, an operation that
 * ends with the command, so that whoever waits for the scope waits for the command. `inner` is a
 * root of its own: what runs in it (the executor's wait, reads, signals) goes on while the command
 * is being terminated.
 *
 * References: `users` counts holders and their operations; without any, a command that still runs
 * is terminated. `refs` counts those, the life, and internal operations that are not delivered. */
#include "core/env/proc.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/pool/limits.h"

#include <stdlib.h>
#include <string.h>

enum { silence_ms = 200, drain_ms = 2000, late_bytes = 4 << 20 };

enum state {
    QUEUED, /* waits for a place */
    STARTING,
    RUNNING,
    LEAVING, /* being terminated; the command ended, others of its group may live */
    ENDED,
};

struct stream {
    struct relay *pending; /* the read that runs */
    int64_t since;         /* when it began, or when the last one finished */
    int64_t idle_ms;       /* after the command's end, without a read */
    size_t late;           /* bytes read after the drain's two seconds */
    bool ended;            /* every further read finds the end */
    bool given_up;         /* `pending` was cancelled because the drain is over */
};

struct tt_proc {
    struct tt_op life;
    unsigned refs, users;
    struct tt_loop *loop;
    struct tt_scope *scope, *inner;
    struct tt_process *process; /* NULL until it runs */
    struct tt_result *result;
    struct tt_error *why;    /* it is being terminated for this */
    struct tt_error *failed; /* it did not start */
    enum state state;
    bool killed; /* KILL was sent */
    int64_t began, ended_at, grace;
    struct tt_claim claim;    /* of a place in the environment's limit */
    struct tt_env *queued_in; /* held, with the command, while it waits for one */
    struct tt_command queued;
    int64_t timeout;
    struct start *start;     /* the caller's operation while starting */
    struct tt_op *env_start; /* the executor's */
    struct tt_op *env_wait, *env_gone;
    struct tt_op *env_term, *env_kill; /* signals on their way */
    struct tt_timer ladder, drain;
    struct stream streams[2];
    struct waiter *waiters;
};

/* The caller's view of one operation of the executor. */
struct relay {
    struct tt_bytes_op base;
    struct tt_proc *proc;
    struct tt_op *inner;
    struct stream *stream; /* NULL unless it reads */
};

struct start {
    struct tt_op op;
    struct tt_proc *proc; /* NULL once taken */
};

struct waiter {
    struct tt_op op;
    struct tt_proc *proc;
    struct waiter *next;
};

static void unref(struct tt_proc *proc)
{
    if (--proc->refs > 0)
        return;
    tt_timer_stop(proc->loop, &proc->ladder);
    tt_timer_stop(proc->loop, &proc->drain);
    if (proc->process)
        proc->process->class_->free(proc->process);
    tt_result_release(proc->result);
    tt_error_free(proc->why);
    tt_error_free(proc->failed);
    tt_scope_release(proc->inner);
    free(proc);
}

void tt_proc_retain(struct tt_proc *proc)
{
    proc->users++;
    proc->refs++;
}

void tt_proc_release(struct tt_proc *proc)
{
    if (!proc)
        return;
    if (--proc->users == 0 && proc->state != ENDED) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "nobody holds the command any more");
        tt_proc_terminate(proc, why);
        tt_error_free(why);
    }
    unref(proc);
}

/* --- the result --- */

static void say(struct tt_result *result, enum tt_kind kind, char *message)
{
    free(result->message);
    result->kind = kind;
    result->message = message;
}

static void judge_code(struct tt_result *result, int code, int signal)
{
    result->code = signal ? 128 + signal : code;
    if (signal || (code >= 129 && code <= 159)) {
        result->signal = signal ? signal : code - 128;
        say(result, TT_SIGNAL, tt_format("ended by signal %s", tt_signal_name(result->signal)));
    } else if (code == 127) {
        say(result, TT_NOT_FOUND, tt_strdup("command not found (code 127)"));
    } else if (code == 126) {
        say(result, TT_PERMISSION, tt_strdup("command cannot be executed (code 126)"));
    } else if (code != 0) {
        say(result, TT_EXIT, tt_format("ended with code %d", code));
    }
}

static void judge(struct tt_proc *proc)
{
    struct tt_result *result = proc->result;
    result->duration = (double)(proc->ended_at - proc->began) / 1000;
    if (!proc->process) {
        const struct tt_error *reason = proc->failed;
        say(result, reason->kind, tt_error_text(reason));
        return;
    }
    const struct tt_exit *end = &proc->process->exit;
    free(result->env);
    result->env = tt_strdup(proc->process->where);
    result->usage = end->usage;
    if (end->kind == TT_OK)
        judge_code(result, end->code, end->signal);
    else
        say(result, end->kind,
            end->message ? tt_strdup(end->message)
                         : tt_format("the command's end: %s", tt_kind_name(end->kind)));
    if (proc->why && end->kind == TT_OK)
        say(result, proc->why->kind, tt_error_text(proc->why));
}

/* --- waiting --- */

/* An operation is done with what it held. */
static void let_waiters_go(struct tt_proc *proc)
{
    if (proc->state != ENDED || proc->streams[0].pending || proc->streams[1].pending)
        return;
    while (proc->waiters) {
        struct waiter *waiter = proc->waiters;
        proc->waiters = waiter->next;
        tt_op_finish(&waiter->op, NULL);
    }
}

static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct waiter *waiter = (struct waiter *)(void *)op;
    struct waiter **at = &waiter->proc->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void waiter_free(struct tt_op *op)
{
    struct waiter *waiter = (struct waiter *)(void *)op;
    tt_proc_release(waiter->proc);
    free(waiter);
}

struct tt_op *tt_proc_wait(struct tt_proc *proc, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"waiting for a command", waiter_cancel, waiter_free};
    struct waiter *waiter = tt_zalloc(sizeof *waiter);
    waiter->proc = proc;
    tt_proc_retain(proc);
    tt_op_init(&waiter->op, &class_, scope);
    if (tt_op_finished(&waiter->op))
        return &waiter->op;
    waiter->next = proc->waiters;
    proc->waiters = waiter;
    let_waiters_go(proc);
    return &waiter->op;
}

struct tt_result *tt_proc_result(struct tt_proc *proc)
{
    return proc->result;
}

const char *tt_proc_ref(const struct tt_proc *proc)
{
    return proc->process->ref;
}

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

static void watch_silence(struct tt_proc *proc);

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
    watch_silence(proc);
}

static void watch_silence(struct tt_proc *proc)
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
    let_waiters_go(proc);
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
        watch_silence(proc);
    return &relay->base.op;
}

/* --- the end --- */

static void start_failed(struct tt_proc *proc)
{
    struct start *start = proc->start;
    proc->start = NULL;
    tt_op_finish(&start->op,
                 proc->failed ? tt_error_copy(proc->failed) : tt_result_error(proc->result));
}

static void leave_queue(struct tt_proc *proc)
{
    tt_command_clear(&proc->queued);
    if (proc->queued_in)
        tt_env_release(proc->queued_in);
    proc->queued_in = NULL;
}

static void ended(struct tt_proc *proc)
{
    leave_queue(proc);
    tt_claim_release(&proc->claim);
    proc->state = ENDED;
    proc->ended_at = tt_loop_now(proc->loop);
    tt_timer_stop(proc->loop, &proc->ladder);
    /* a signal that is still on its way reaches nobody any more */
    if (proc->env_term)
        tt_op_cancel(proc->env_term, proc->why);
    if (proc->env_kill)
        tt_op_cancel(proc->env_kill, proc->why);
    judge(proc);
    if (proc->start)
        start_failed(proc);
    watch_silence(proc);
    let_waiters_go(proc);
    struct tt_scope *scope = proc->scope;
    proc->scope = NULL;
    tt_op_finish(&proc->life, NULL);
    tt_scope_release(scope);
}

static void on_gone(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_gone = NULL;
    tt_op_release(op);
    if (proc->state == LEAVING && !proc->killed)
        ended(proc);
    unref(proc);
}

static void on_wait(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_wait = NULL;
    tt_op_release(op);
    if (proc->state == RUNNING) {
        if (proc->why && !proc->killed && proc->process->exit.kind == TT_OK) {
            proc->state = LEAVING;
            proc->refs++;
            proc->env_gone = proc->process->class_->gone(proc->process, proc->inner);
            tt_op_await(proc->env_gone, on_gone, proc);
        } else if (proc->env_kill) {
            proc->state = LEAVING; /* others of its group have still to hear of KILL */
        } else {
            ended(proc);
        }
    }
    unref(proc);
}

/* --- terminating: TERM, grace, KILL, and at last giving up --- */

/* KILL was given to the group: those that outlived the command itself are gone, too. */
static void on_killed(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_kill = NULL;
    tt_op_release(op);
    if (proc->state == LEAVING)
        ended(proc);
    unref(proc);
}

static void on_asked(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_term = NULL;
    tt_op_release(op);
    unref(proc);
}

static void on_unconfirmed(struct tt_timer *timer)
{
    struct tt_proc *proc = tt_owner(timer, struct tt_proc, ladder);
    if (proc->state == RUNNING) {
        struct tt_exit *end = &proc->process->exit;
        char *why = tt_error_text(proc->why);
        free(end->message);
        *end = (struct tt_exit){.kind = TT_LOST, .code = -1, .usage = {-1, -1, -1, -1, -1}};
        end->message = tt_format("%s; no end was seen within %gs: it may still be running", why,
                                 (double)(proc->grace + tt_confirm_ms) / 1000);
        free(why);
        tt_op_cancel(proc->env_wait, proc->why);
    }
    ended(proc);
}

static void on_grace_over(struct tt_timer *timer)
{
    struct tt_proc *proc = tt_owner(timer, struct tt_proc, ladder);
    proc->killed = true;
    proc->refs++;
    proc->env_kill = proc->process->class_->signal(proc->process, proc->inner, 9);
    tt_op_await(proc->env_kill, on_killed, proc);
    if (proc->env_gone)
        tt_op_cancel(proc->env_gone, proc->why);
    tt_timer_start(proc->loop, &proc->ladder,
                   tt_deadline_after(tt_loop_now(proc->loop), tt_confirm_ms), on_unconfirmed);
}

static void climb(struct tt_proc *proc)
{
    proc->refs++;
    proc->env_term = proc->process->class_->signal(proc->process, proc->inner, 15);
    tt_op_await(proc->env_term, on_asked, proc);
    tt_timer_start(proc->loop, &proc->ladder,
                   tt_deadline_after(tt_loop_now(proc->loop), proc->grace), on_grace_over);
}

void tt_proc_terminate(struct tt_proc *proc, const struct tt_error *why)
{
    if (proc->state == ENDED || proc->why)
        return;
    proc->why = tt_error_copy(why);
    if (proc->state == QUEUED) {
        proc->failed = tt_error_copy(why);
        ended(proc);
    } else if (proc->state == STARTING) {
        tt_op_cancel(proc->env_start, why);
    } else {
        climb(proc);
    }
}

static void life_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_proc_terminate((struct tt_proc *)(void *)op, why);
}

static void life_free(struct tt_op *op)
{
    unref((struct tt_proc *)(void *)op);
}

/* --- the start --- */

static void on_started(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_start = NULL;
    proc->process = tt_process_of(op);
    if (!proc->process) {
        proc->failed = op->error ? tt_error_copy(op->error)
                                 : tt_error_new(TT_IO, "the command was started, and taken");
        ended(proc);
    } else {
        proc->state = RUNNING;
        proc->refs++;
        proc->env_wait = proc->process->class_->wait(proc->process, proc->inner);
        tt_op_await(proc->env_wait, on_wait, proc);
        if (proc->why) {
            climb(proc);
        } else if (proc->start) {
            struct start *start = proc->start;
            proc->start = NULL;
            tt_op_finish(&start->op, NULL);
        }
    }
    tt_op_release(op);
    unref(proc);
}

static void start_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct start *start = (struct start *)(void *)op;
    tt_proc_terminate(start->proc, why);
}

static void start_free(struct tt_op *op)
{
    struct start *start = (struct start *)(void *)op;
    tt_proc_release(start->proc);
    free(start);
}

static struct tt_proc *proc_new(struct tt_env *env, struct tt_scope *scope,
                                const struct tt_proc_options *options)
{
    static const struct tt_op_class life_class = {"a command", life_cancel, life_free};
    struct tt_proc *proc = tt_zalloc(sizeof *proc);
    proc->loop = tt_scope_loop(scope);
    proc->scope = tt_scope_new(proc->loop, scope);
    proc->inner = tt_scope_new(proc->loop, NULL);
    proc->began = tt_loop_now(proc->loop);
    proc->timeout = options->timeout;
    proc->grace = options->grace;
    proc->result = tt_result_new();
    proc->result->env = tt_strdup(env->text);
    proc->users = 1;
    proc->refs = 2; /* the user's and the life's */
    tt_op_init(&proc->life, &life_class, proc->scope);
    tt_op_release(&proc->life);
    return proc;
}

static void begin(struct tt_proc *proc, struct tt_env *env, const struct tt_command *command)
{
    proc->state = STARTING;
    proc->began = tt_loop_now(proc->loop);
    if (proc->timeout != TT_NEVER)
        tt_scope_deadline(proc->scope, tt_deadline_after(proc->began, proc->timeout),
                          "the command");
    proc->refs++;
    proc->env_start = env->class_->start(env, proc->scope, command);
    tt_op_await(proc->env_start, on_started, proc);
}

static void on_place(struct tt_claim *claim)
{
    struct tt_proc *proc = tt_owner(claim, struct tt_proc, claim);
    begin(proc, proc->queued_in, &proc->queued);
    leave_queue(proc);
}

/* It waits for a place, and begins later. */
static int queue(struct tt_proc *proc, struct tt_env *env, const struct tt_command *command,
                 struct tt_error **err)
{
    struct tt_limits *limits = tt_limits_of(proc->loop);
    struct tt_pool_need place = {.key = env->identity, .amount = 1, .limit = (uint32_t)env->limit};
    uint32_t set;
    if (tt_limits_set(limits, &place, 1, &set, err) < 0)
        return -TT_INVALID;
    proc->queued_in = env;
    tt_env_retain(env);
    tt_command_copy(&proc->queued, command);
    proc->claim.granted = on_place;
    tt_claim_wait(limits, &proc->claim, set, TT_COMMAND_PRIORITY, tt_limits_order(limits));
    return 0;
}

struct tt_op *tt_proc_start(struct tt_env *env, struct tt_scope *scope,
                            const struct tt_command *command, const struct tt_proc_options *options)
{
    static const struct tt_op_class class_ = {"starting a command", start_cancel, start_free};
    struct start *start = tt_zalloc(sizeof *start);
    tt_op_init(&start->op, &class_, scope);
    if (tt_op_finished(&start->op))
        return &start->op;
    struct tt_error *err = NULL;
    if (tt_command_check(command, &err) < 0) {
        tt_op_finish(&start->op, err);
        return &start->op;
    }
    struct tt_proc *proc = start->proc = proc_new(env, scope, options);
    proc->start = start;
    if (!options->limited || env->limit <= 0)
        begin(proc, env, command);
    else if (queue(proc, env, command, &proc->failed) < 0)
        ended(proc);
    return &start->op;
}

struct tt_proc *tt_proc_of(struct tt_op *op)
{
    struct start *start = (struct start *)(void *)op;
    if (op->error || !start->proc)
        return NULL;
    struct tt_proc *proc = start->proc;
    start->proc = NULL;
    return proc;
}
