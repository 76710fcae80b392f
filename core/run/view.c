#include "core/base/alloc.h"
#include "core/run/state.h"

#include <stdlib.h>

static const char *const task_status_names[] = {
    [TT_TASK_PENDING] = "pending",         [TT_TASK_RUNNING] = "running",
    [TT_TASK_COMPLETED] = "completed",     [TT_TASK_FAILED] = "failed",
    [TT_TASK_SKIPPED] = "skipped",         [TT_TASK_CANCELLED] = "cancelled",
    [TT_TASK_ROLLED_BACK] = "rolled_back", [TT_TASK_ROLLBACK_FAILED] = "rollback_failed",
};
static const char *const run_status_names[] = {
    [TT_RUN_PENDING] = "pending",     [TT_RUN_RUNNING] = "running",
    [TT_RUN_COMPLETED] = "completed", [TT_RUN_FAILED] = "failed",
    [TT_RUN_CANCELLED] = "cancelled",
};
static const char *const phase_names[] = {
    [TT_PHASE_NONE] = "none",         [TT_PHASE_WHEN] = "when",     [TT_PHASE_INPUT] = "input",
    [TT_PHASE_RUN] = "run",           [TT_PHASE_HEALTH] = "health", [TT_PHASE_OUTPUT] = "output",
    [TT_PHASE_ROLLBACK] = "rollback",
};

const char *tt_task_status_name(enum tt_task_status status)
{
    return task_status_names[status];
}

const char *tt_run_status_name(enum tt_run_status status)
{
    return run_status_names[status];
}

const char *tt_phase_name(enum tt_phase phase)
{
    return phase_names[phase];
}

enum tt_run_status tt_run_status(const struct tt_run *run)
{
    return run->status;
}

uint32_t tt_run_count(const struct tt_run *run)
{
    return run->count;
}

uint32_t tt_run_count_of(const struct tt_run *run, enum tt_task_status status)
{
    return run->status_counts[status];
}

int64_t tt_run_started_at(const struct tt_run *run)
{
    return run->started;
}

int64_t tt_run_ended_at(const struct tt_run *run)
{
    return run->ended;
}

bool tt_run_interrupted(const struct tt_run *run)
{
    return run->interrupted;
}

const struct tt_needs *tt_run_needs(const struct tt_run *run)
{
    return &run->needs;
}

uint32_t tt_run_find(const struct tt_run *run, const char *name)
{
    uint32_t number = tt_names_find(run->names, name);
    return number == TT_NO_NAME ? TT_NO_TASK : number;
}

const char *tt_run_name(const struct tt_run *run, uint32_t task)
{
    return tt_names_text(run->names, task);
}

void tt_run_task(const struct tt_run *run, uint32_t t, struct tt_task_view *view)
{
    const struct task *task = &run->tasks[t];
    *view = (struct tt_task_view){
        .name = tt_names_text(run->names, t),
        .selected = task->selected,
        .began = task->began,
        .status = task->status,
        .attempts = task->attempt,
        .started = task->started,
        .ended = task->ended,
        .has_result = task->has_result,
        .result = task->result,
        .error = task->error,
        .error_phase = task->error_phase,
        .message = task->message,
        .rollback = task->rollback,
        .rollback_outcome = task->rollback_outcome,
        .rollback_started = task->rollback_started,
        .rollback_ended = task->rollback_ended,
    };
}

const uint32_t *tt_run_failures(const struct tt_run *run, uint32_t *count)
{
    *count = run->failures.count;
    return run->failures.items;
}

uint32_t *tt_run_critical_path(const struct tt_run *run, uint32_t *count)
{
    struct tasks path = {0};
    uint32_t at = TT_NO_TASK;
    for (uint32_t t = 0; t < run->count; t++)
        if (run->tasks[t].started >= 0 && run->tasks[t].ended >= 0 &&
            (at == TT_NO_TASK || run->tasks[t].ended > run->tasks[at].ended))
            at = t;
    while (at != TT_NO_TASK) {
        uint32_t latest = TT_NO_TASK;
        tt_tasks_push(&path, at);
        for (uint32_t i = 0; i < tt_dag_before_count(run->dag, at); i++) {
            uint32_t before = tt_dag_before(run->dag, at, i, NULL);
            if (run->tasks[before].started >= 0 &&
                (latest == TT_NO_TASK || run->tasks[before].ended > run->tasks[latest].ended))
                latest = before;
        }
        if (latest == TT_NO_TASK && run->tasks[at].adder)
            latest = run->tasks[at].adder - 1;
        at = latest;
    }
    for (uint32_t i = 0; i < path.count / 2; i++) {
        uint32_t swapped = path.items[i];
        path.items[i] = path.items[path.count - 1 - i];
        path.items[path.count - 1 - i] = swapped;
    }
    *count = path.count;
    return path.items;
}

struct tt_dag *tt_run_dag(const struct tt_run *run)
{
    return run->dag;
}
