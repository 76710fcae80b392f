/* Terminating a command: TERM, grace, KILL, and at last giving up. */
#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/env/parts.h"

#include <stdlib.h>

/* KILL was given to the group: those that outlived the command itself are gone, too. */
static void on_killed(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_kill = NULL;
    tt_op_release(op);
    if (proc->state == LEAVING)
        tt_proc_ended(proc);
    tt_proc_unref(proc);
}

static void on_asked(struct tt_op *op, void *arg)
{
    struct tt_proc *proc = arg;
    proc->env_term = NULL;
    tt_op_release(op);
    tt_proc_unref(proc);
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
    tt_proc_ended(proc);
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

void tt_proc_climb(struct tt_proc *proc)
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
        tt_proc_ended(proc);
    } else if (proc->state == STARTING) {
        tt_op_cancel(proc->env_start, why);
    } else {
        tt_proc_climb(proc);
    }
}
