/* Compensation, one task at a time, the last to end first; and the run's end. */
#include "core/run/state.h"

static bool to_be_compensated(const struct tt_run *run, uint32_t task)
{
    if (run->failures.count == 0 && !run->interrupted)
        return false;
    switch (run->rollback) {
    case TT_ROLLBACK_ALL:
        return true;
    case TT_ROLLBACK_FAILED:
        return run->tasks[task].status == TT_TASK_FAILED;
    case TT_ROLLBACK_NONE:
        break;
    }
    return false;
}

static void finish(struct tt_run *run)
{
    if (run->interrupted_first)
        run->status = TT_RUN_CANCELLED;
    else
        run->status = run->failures.count ? TT_RUN_FAILED : TT_RUN_COMPLETED;
    run->ended = run->now;
    tt_run_emit(run, TT_FX_RUN_ENDED, run->failures.count ? run->failures.items[0] : TT_NO_TASK);
}

void tt_run_wind_up(struct tt_run *run)
{
    if (run->status != TT_RUN_RUNNING)
        return;
    while (run->compensation.count) {
        uint32_t t = run->compensation.items[run->compensation.count - 1];
        struct task *task = &run->tasks[t];
        if (task->rollback == TT_ROLLBACK_RUNNING)
            return;
        if (task->rollback == TT_ROLLBACK_NOT && to_be_compensated(run, t)) {
            task->rollback = TT_ROLLBACK_RUNNING;
            task->rollback_started = run->now;
            tt_run_emit(run, TT_FX_ROLLBACK_STARTED, t);
            tt_task_begin(run, t, TT_PHASE_ROLLBACK, tt_run_after(run, task->rollback_timeout));
            return;
        }
        run->compensation.count--;
    }
    finish(run);
}

void tt_rollback_ended(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome)
{
    struct task *task = &run->tasks[t];
    bool ok = outcome->kind == TT_OK;
    task->rollback = ok ? TT_ROLLBACK_COMPLETED : TT_ROLLBACK_BROKEN;
    task->rollback_outcome = *outcome;
    task->rollback_ended = run->now;
    if (task->status == TT_TASK_COMPLETED)
        tt_task_set_status(run, t, ok ? TT_TASK_ROLLED_BACK : TT_TASK_ROLLBACK_FAILED);
    tt_run_emit(run, TT_FX_ROLLBACK_ENDED, t)->outcome = *outcome;
}
