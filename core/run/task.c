/* A task's life, from when all before it has ended to its own end. */
#include "core/base/alloc.h"
#include "core/run/state.h"

#include <stdlib.h>
#include <string.h>

static const struct tt_outcome cancelled = {.kind = TT_CANCELLED, .code = -1};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- small steps ----------------------------------------------------------------------------- */

uint64_t tt_task_op(const struct tt_run *run, uint32_t task)
{
    return (uint64_t)task << 32 | run->tasks[task].serial;
}

uint64_t tt_task_claim(const struct tt_run *run, uint32_t task)
{
    return (uint64_t)task << 32 | run->tasks[task].claim;
}

static void enter_stage(struct tt_run *run, uint32_t t, enum stage stage)
{
    struct task *task = &run->tasks[t];
    bool was_live = task->stage != STAGE_WAITING && task->stage != STAGE_ENDED;
    bool is_live = stage != STAGE_WAITING && stage != STAGE_ENDED;
    task->stage = stage;
    if (is_live && !was_live) {
        task->live_place = run->live.count;
        tt_tasks_push(&run->live, t);
    } else if (was_live && !is_live) {
        uint32_t last = run->live.items[--run->live.count];
        run->live.items[task->live_place] = last;
        run->tasks[last].live_place = task->live_place;
    }
}

/* Which of its limits a deadline is. */
static int64_t limit_of(const struct task *task, enum tt_phase phase, int64_t deadline)
{
    if (phase == TT_PHASE_WHEN)
        return task->timeout;
    if (phase == TT_PHASE_ROLLBACK)
        return task->rollback_timeout;
    if (deadline < task->attempt_ends_at)
        return task->health.timeout;
    return deadline == task->ends_at ? task->deadline : task->timeout;
}

void tt_task_begin(struct tt_run *run, uint32_t t, enum tt_phase phase, int64_t deadline)
{
    struct task *task = &run->tasks[t];
    task->phase = phase;
    task->serial++;
    struct tt_effect *effect = tt_run_emit(run, TT_FX_BEGIN, t);
    effect->op = tt_task_op(run, t);
    effect->deadline = deadline;
    effect->limit = deadline == TT_NEVER ? TT_NEVER : limit_of(task, phase, deadline);
}

static void operate(struct tt_run *run, uint32_t t, enum tt_phase phase, int64_t deadline)
{
    enter_stage(run, t, STAGE_OPERATING);
    tt_task_begin(run, t, phase, deadline);
}

static void queue(struct tt_run *run, uint32_t t)
{
    struct task *task = &run->tasks[t];
    enter_stage(run, t, STAGE_QUEUED);
    task->claim = ++task->serial;
    struct tt_effect *effect = tt_run_emit(run, TT_FX_ACQUIRE, t);
    effect->op = tt_task_claim(run, t);
    effect->set = task->set;
    effect->priority = tt_dag_path(run->dag, t);
}

static void give_back(struct tt_run *run, uint32_t t, uint64_t claim, uint32_t keep)
{
    struct tt_effect *effect = tt_run_emit(run, TT_FX_RELEASE, t);
    effect->op = claim;
    effect->set = keep;
}

/* It neither holds its slots nor stands in line for them any more. */
static void release(struct tt_run *run, uint32_t t)
{
    struct task *task = &run->tasks[t];
    if (task->holds || task->stage == STAGE_QUEUED)
        give_back(run, t, tt_task_claim(run, t), TT_NO_SET);
    task->holds = false;
}

void tt_task_set_status(struct tt_run *run, uint32_t t, enum tt_task_status status)
{
    run->status_counts[run->tasks[t].status]--;
    run->status_counts[status]++;
    run->tasks[t].status = status;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end(struct tt_run *run, uint32_t t, enum tt_task_status status)
{
    struct task *task = &run->tasks[t];
    tt_run_timer(run, t, TT_NEVER);
    release(run, t);
    enter_stage(run, t, STAGE_ENDED);
    tt_task_set_status(run, t, status);
    task->ended = run->now;
    run->unended--;
    if (task->began && task->has_rollback)
        tt_tasks_push(&run->compensation, t);
    tt_sched_end(run->sched, t);
    struct tt_effect *effect = tt_run_emit(run, TT_FX_TASK_ENDED, t);
    effect->outcome = status == TT_TASK_COMPLETED ? task->result : task->error;
    effect->message = task->message;
}

static void end_cancelled(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome)
{
    run->tasks[t].error = *outcome;
    run->tasks[t].error_phase = run->tasks[t].phase;
    end(run, t, TT_TASK_CANCELLED);
}

/* For good. Takes the message, which may be NULL. */
static void end_failed(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome,
                       char *message)
{
    struct task *task = &run->tasks[t];
    task->error = *outcome;
    task->error_phase = task->phase;
    free(task->message);
    task->message = message;
    tt_tasks_push(&run->failures, t);
    end(run, t, TT_TASK_FAILED);
    if (run->on_failure == TT_ON_FAILURE_CANCEL)
        tt_run_stop(run, STOP_CANCEL);
    else if (run->on_failure == TT_ON_FAILURE_WAIT)
        tt_run_stop(run, STOP_WAIT);
}

/* An operation failed for good: cancelled only if that was asked for, and is what became of it. */
static void end_unsuccessful(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome,
                             char *message)
{
    if (run->tasks[t].cancelling && outcome->kind == TT_CANCELLED) {
        free(message);
        end_cancelled(run, t, outcome);
    } else {
        end_failed(run, t, outcome, message);
    }
}

/* ---- forwards -------------------------------------------------------------------------------- */

void tt_task_ready(struct tt_run *run, uint32_t t)
{
    struct task *task = &run->tasks[t];
    bool skipped = false, unwanted = run->stop != STOP_NOT;
    for (uint32_t i = 0, n = tt_dag_before_count(run->dag, t); i < n; i++) {
        enum tt_edge kind;
        const struct task *before = &run->tasks[tt_dag_before(run->dag, t, i, &kind)];
        if (kind == TT_AFTER)
            continue;
        skipped |= before->status == TT_TASK_FAILED || before->status == TT_TASK_SKIPPED;
        unwanted |= before->status == TT_TASK_CANCELLED;
    }
    if (skipped)
        end(run, t, TT_TASK_SKIPPED);
    else if (unwanted)
        end_cancelled(run, t, &cancelled);
    else if (task->has_when)
        operate(run, t, TT_PHASE_WHEN, tt_run_after(run, task->timeout));
    else
        queue(run, t);
}

static bool has_phase(const struct task *task, enum tt_phase phase)
{
    switch (phase) {
    case TT_PHASE_INPUT:
        return task->has_input;
    case TT_PHASE_RUN:
        return task->has_run;
    case TT_PHASE_HEALTH:
        return task->has_health;
    case TT_PHASE_OUTPUT:
        return task->has_output;
    default:
        return false;
    }
}

static void attempt_failed(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome,
                           char *message);

/* Goes on to the first phase from this one on in which there is something to do, or to the end. */
static void proceed(struct tt_run *run, uint32_t t, enum tt_phase phase)
{
    struct task *task = &run->tasks[t];
    while (phase <= TT_PHASE_OUTPUT && !has_phase(task, phase))
        phase++;
    if (phase <= TT_PHASE_OUTPUT && task->cancelling) {
        end_cancelled(run, t, &cancelled);
        return;
    }
    if (phase <= TT_PHASE_OUTPUT && task->revoked) {
        struct tt_outcome why = task->error;
        if (phase <= TT_PHASE_RUN)
            attempt_failed(run, t, &why, NULL);
        else
            end_failed(run, t, &why, NULL);
        return;
    }
    if (phase >= TT_PHASE_RUN)
        task->began = true;
    if (phase > TT_PHASE_OUTPUT) {
        end(run, t, TT_TASK_COMPLETED);
        return;
    }
    int64_t deadline = task->attempt_ends_at;
    if (phase == TT_PHASE_HEALTH) {
        if (task->check == 0 && task->health_is_code && task->set != run->jobs_set)
            give_back(run, t, tt_task_claim(run, t), run->jobs_set);
        task->check++;
        deadline = earlier(deadline, tt_run_after(run, task->health.timeout));
    }
    operate(run, t, phase, deadline);
}

/* It has its slots: an attempt begins. */
static void attempt(struct tt_run *run, uint32_t t)
{
    struct task *task = &run->tasks[t];
    tt_run_timer(run, t, TT_NEVER);
    task->holds = true;
    task->revoked = false;
    if (task->attempt++ == 0) {
        task->started = run->now;
        task->ends_at = tt_run_after(run, task->deadline);
        tt_task_set_status(run, t, TT_TASK_RUNNING);
        tt_run_emit(run, TT_FX_TASK_STARTED, t);
    }
    task->attempt_ends_at = earlier(task->ends_at, tt_run_after(run, task->timeout));
    proceed(run, t, TT_PHASE_INPUT);
}

/* Input or run failed. Takes the message. */
static void attempt_failed(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome,
                           char *message)
{
    struct task *task = &run->tasks[t];
    int64_t at = TT_NEVER;
    if (!task->cancelling && tt_retry_allows(&task->retry, outcome->kind, task->attempt)) {
        int64_t delay = tt_retry_delay(&task->retry, task->attempt, &run->random);
        at = delay ? tt_run_after(run, delay) : run->now;
    }
    if (at >= task->ends_at) {
        end_unsuccessful(run, t, outcome, message);
        return;
    }
    free(message); /* the kinds that the core itself finds are never tried again */
    release(run, t);
    enter_stage(run, t, STAGE_BACK_OFF);
    tt_run_timer(run, t, at);
    struct tt_effect *effect = tt_run_emit(run, TT_FX_TASK_RETRYING, t);
    effect->outcome = *outcome;
    effect->at = at;
}

static void check_failed(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome)
{
    struct task *task = &run->tasks[t];
    int64_t at = TT_NEVER;
    if (task->check <= task->health.retries && !tt_retry_never(outcome->kind))
        at = task->health.interval ? tt_run_after(run, task->health.interval) : run->now;
    if (task->cancelling && (outcome->kind == TT_CANCELLED || at < task->attempt_ends_at)) {
        end_cancelled(run, t, outcome);
    } else if (at < task->attempt_ends_at) {
        enter_stage(run, t, STAGE_CHECKED);
        tt_run_timer(run, t, at);
        struct tt_effect *effect = tt_run_emit(run, TT_FX_HEALTH_WAITING, t);
        effect->outcome = *outcome;
        effect->at = at;
    } else {
        struct tt_outcome unhealthy = *outcome;
        unhealthy.kind = TT_HEALTH;
        end_failed(run, t, &unhealthy,
                   task->check == 1 ? tt_strdup("the health check failed")
                                    : tt_format("the health check failed %u times", task->check));
    }
}

/* The operation succeeded: what it added joins, and if that cannot be, the attempt has failed. */
static void run_succeeded(struct tt_run *run, uint32_t t, const struct tt_input *end_of_op)
{
    if (end_of_op->added_count) {
        struct tt_error *err = NULL;
        uint32_t first = run->count;
        if (tt_run_join(run, end_of_op->added, end_of_op->added_count, NULL, &err) < 0) {
            struct tt_outcome refused = {.kind = TT_INVALID, .code = -1};
            char *message = tt_error_text(err);
            tt_error_free(err);
            attempt_failed(run, t, &refused, message);
            return;
        }
        struct tt_effect *effect = tt_run_emit(run, TT_FX_TASKS_ADDED, t);
        effect->first = first;
        effect->count = (uint32_t)end_of_op->added_count;
        for (uint32_t i = first; i < run->count; i++)
            run->tasks[i].adder = t + 1;
    }
    proceed(run, t, TT_PHASE_HEALTH);
}

static void when_ended(struct tt_run *run, uint32_t t, const struct tt_outcome *outcome)
{
    if (outcome->kind != TT_OK)
        end_unsuccessful(run, t, outcome, NULL);
    else if (outcome->refused)
        end(run, t, TT_TASK_SKIPPED);
    else if (run->stop != STOP_NOT)
        end_cancelled(run, t, &cancelled);
    else
        queue(run, t);
}

void tt_task_granted(struct tt_run *run, uint32_t t, const struct tt_input *grant)
{
    struct task *task = &run->tasks[t];
    bool wanted = task->stage == STAGE_QUEUED && !task->holds && tt_task_claim(run, t) == grant->op;
    if (!wanted && grant->outcome.kind == TT_OK)
        give_back(run, t, grant->op, TT_NO_SET);
    else if (wanted && grant->outcome.kind == TT_OK)
        attempt(run, t);
    else if (wanted)
        end_failed(run, t, &grant->outcome, NULL);
}

void tt_task_revoked(struct tt_run *run, uint32_t t, const struct tt_outcome *why)
{
    struct task *task = &run->tasks[t];
    if (task->stage == STAGE_CHECKED) {
        end_failed(run, t, why, NULL);
    } else if (task->stage == STAGE_OPERATING && !task->revoked) {
        task->revoked = true;
        task->error = *why;
        if (!task->cancelling)
            tt_run_emit(run, TT_FX_CANCEL, t)->op = tt_task_op(run, t);
    }
}

void tt_task_op_ended(struct tt_run *run, uint32_t t, const struct tt_input *end_of_op)
{
    struct task *task = &run->tasks[t];
    /* what was cancelled because its slots were revoked has failed by that */
    bool lost_slots = task->revoked && end_of_op->outcome.kind == TT_CANCELLED;
    struct tt_outcome revoked_by = task->error;
    const struct tt_outcome *outcome = lost_slots ? &revoked_by : &end_of_op->outcome;
    bool ok = outcome->kind == TT_OK;
    switch (task->phase) {
    case TT_PHASE_WHEN:
        when_ended(run, t, outcome);
        break;
    case TT_PHASE_INPUT:
        if (ok)
            proceed(run, t, TT_PHASE_RUN);
        else
            attempt_failed(run, t, outcome, NULL);
        break;
    case TT_PHASE_RUN:
        task->has_result = true;
        task->result = *outcome;
        if (ok)
            run_succeeded(run, t, end_of_op);
        else
            attempt_failed(run, t, outcome, NULL);
        break;
    case TT_PHASE_HEALTH:
        if (ok)
            proceed(run, t, TT_PHASE_OUTPUT);
        else
            check_failed(run, t, outcome);
        break;
    case TT_PHASE_OUTPUT:
        if (ok)
            end(run, t, TT_TASK_COMPLETED);
        else
            end_unsuccessful(run, t, outcome, NULL);
        break;
    case TT_PHASE_NONE:
    case TT_PHASE_ROLLBACK:
        break;
    }
}

void tt_task_timer(struct tt_run *run, uint32_t t)
{
    struct task *task = &run->tasks[t];
    if (task->stage == STAGE_BACK_OFF) {
        queue(run, t);
        tt_run_timer(run, t, task->ends_at);
    } else if (task->stage == STAGE_CHECKED) {
        proceed(run, t, TT_PHASE_HEALTH);
    } else if (task->stage == STAGE_QUEUED) {
        struct tt_outcome late = {.kind = TT_TIMEOUT, .code = -1};
        end_failed(run, t, &late,
                   tt_format("task \"%s\" timed out after %gs, waiting to be tried again",
                             tt_run_name(run, t), (double)task->deadline / 1000));
    }
}

/* ---- the run stops --------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void stop_one(struct tt_run *run, uint32_t t, enum stop stop)
{
    struct task *task = &run->tasks[t];
    if (task->stage != STAGE_OPERATING) {
        if (stop == STOP_CANCEL || task->attempt == 0)
            end_cancelled(run, t, &cancelled);
    } else if (stop == STOP_CANCEL && !task->cancelling) {
        task->cancelling = true;
        if (!task->revoked)
            tt_run_emit(run, TT_FX_CANCEL, t)->op = tt_task_op(run, t);
    }
}

void tt_run_stop(struct tt_run *run, enum stop stop)
{
    if (stop <= run->stop)
        return;
    run->stop = stop;
    uint32_t count = run->live.count;
    uint32_t *live = tt_reallocarray(NULL, count, sizeof *live);
    if (count)
        memcpy(live, run->live.items, count * sizeof *live);
    qsort(live, count, sizeof *live, by_index); /* in the order of declaration */
    for (uint32_t i = 0; i < count; i++)
        stop_one(run, live[i], stop);
    free(live);
}
