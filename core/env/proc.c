/* A command's whole life: its start, its end, what is made of that, and who waits for it. Its
 * streams are in streams.c, its termination in ladder.c. */
#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/env/parts.h"

#include <stdlib.h>

struct start {
    struct tt_op op;
    struct tt_proc *proc; /* NULL once taken */
};

struct waiter {
    struct tt_op op;
    struct tt_proc *proc;
    struct waiter *next;
};

void tt_proc_unref(struct tt_proc *proc)
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
    tt_proc_unref(proc);
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
void tt_proc_let_waiters_go(struct tt_proc *proc)
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
    tt_proc_let_waiters_go(proc);
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

void tt_proc_ended(struct tt_proc *proc)
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
    tt_proc_watch_silence(proc);
    tt_proc_let_waiters_go(proc);
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
        tt_proc_ended(proc);
    tt_proc_unref(proc);
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
            tt_proc_ended(proc);
        }
    }
    tt_proc_unref(proc);
}

/* --- the start --- */

static void life_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_proc_terminate((struct tt_proc *)(void *)op, why);
}

static void life_free(struct tt_op *op)
{
    tt_proc_unref((struct tt_proc *)(void *)op);
}

static void on_started(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_start = NULL;
    proc->process = tt_process_of(op);
    if (!proc->process) {
        proc->failed = op->error ? tt_error_copy(op->error)
                                 : tt_error_new(TT_IO, "the command was started, and taken");
        tt_proc_ended(proc);
    } else {
        proc->state = RUNNING;
        proc->refs++;
        proc->env_wait = proc->process->class_->wait(proc->process, proc->inner);
        tt_op_await(proc->env_wait, on_wait, proc);
        if (proc->why) {
            tt_proc_climb(proc);
        } else if (proc->start) {
            struct start *start = proc->start;
            proc->start = NULL;
            tt_op_finish(&start->op, NULL);
        }
    }
    tt_op_release(op);
    tt_proc_unref(proc);
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
        tt_proc_ended(proc);
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
