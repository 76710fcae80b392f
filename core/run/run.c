#include "core/run/state.h"

#include "core/base/alloc.h"

#include <stdlib.h>

enum { batch = 4096 }; /* effects that are handed over at once, about */

/* ---- life ------------------------------------------------------------------------------------ */

struct tt_run *tt_run_new(const struct tt_run_options *options)
{
    struct tt_run *run = tt_zalloc(sizeof *run);
    run->on_failure = options->on_failure;
    run->rollback = options->rollback;
    run->random.state = options->seed;
    run->only_count = options->only_count;
    run->only = tt_reallocarray(NULL, options->only_count, sizeof *run->only);
    for (size_t i = 0; i < options->only_count; i++)
        run->only[i] = tt_strdup(options->only[i]);
    run->names = tt_names_new();
    run->group_names = tt_names_new();
    run->dag = tt_dag_new();
    tt_needs_init(&run->needs, TT_LIMITS_REFUSED);
    run->sched = tt_sched_new(run->dag);
    run->started = run->ended = -1;
    /* The first pool of all, so that it is also the first of every set; no environment has an empty
     * name. */
    struct tt_pool_need jobs = {.key = "", .amount = 1};
    tt_needs_set(&run->needs, &jobs, 1, &run->jobs_set, NULL);
    return run;
}

void tt_run_free(struct tt_run *run)
{
    if (!run)
        return;
    for (size_t i = 0; i < run->only_count; i++)
        free(run->only[i]);
    for (uint32_t i = 0; i < run->count; i++)
        free(run->tasks[i].message);
    tt_sched_free(run->sched);
    tt_needs_clear(&run->needs);
    tt_dag_free(run->dag);
    tt_names_free(run->names);
    tt_names_free(run->group_names);
    tt_heap_free(&run->timers);
    free(run->only);
    free(run->groups);
    free(run->tasks);
    free(run->live.items);
    free(run->compensation.items);
    free(run->failures.items);
    free(run->timer_places);
    free(run->effects);
    free(run);
}

void tt_tasks_push(struct tasks *tasks, uint32_t task)
{
    if (tasks->count == tasks->capacity) {
        tasks->capacity = tasks->capacity ? tasks->capacity * 2 : 16;
        tasks->items = tt_reallocarray(tasks->items, tasks->capacity, sizeof *tasks->items);
    }
    tasks->items[tasks->count++] = task;
}

/* ---- effects --------------------------------------------------------------------------------- */

struct tt_effect *tt_run_emit(struct tt_run *run, enum tt_effect_type type, uint32_t task)
{
    if (run->effect_count == run->effect_capacity) {
        run->effect_capacity = run->effect_capacity ? run->effect_capacity * 2 : 32;
        run->effects = tt_reallocarray(run->effects, run->effect_capacity, sizeof *run->effects);
    }
    struct tt_effect *effect = &run->effects[run->effect_count++];
    *effect = (struct tt_effect){.type = type,
                                 .task = task,
                                 .run_status = run->status,
                                 .set = TT_NO_SET,
                                 .deadline = TT_NEVER,
                                 .at = TT_NEVER,
                                 .now = run->now,
                                 .outcome.code = -1};
    if (task < run->count) {
        const struct task *it = &run->tasks[task];
        effect->phase = it->phase;
        effect->status = it->status;
        effect->attempt = it->attempt;
        effect->check = it->check;
    }
    return effect;
}

static void forget_taken(struct tt_run *run)
{
    if (run->effects_taken)
        run->effect_count = 0;
    run->effects_taken = false;
}

/* ---- time ------------------------------------------------------------------------------------ */

void tt_run_timer(struct tt_run *run, uint32_t task, int64_t at)
{
    if (run->timer_places[task])
        tt_heap_remove(&run->timers, run->timer_places, task);
    if (at != TT_NEVER)
        tt_heap_push(&run->timers, run->timer_places,
                     (struct tt_heap_item){.key = (uint64_t)at, .order = task, .id = task});
}

int64_t tt_run_after(const struct tt_run *run, int64_t length)
{
    return length && length < TT_NEVER - run->now ? run->now + length : TT_NEVER;
}

int64_t tt_run_wake_at(const struct tt_run *run)
{
    return run->timers.count ? (int64_t)run->timers.items[0].key : TT_NEVER;
}

static bool fire_due(struct tt_run *run)
{
    bool any = false;
    while (tt_run_wake_at(run) <= run->now) {
        uint32_t task = run->timers.items[0].id;
        tt_run_timer(run, task, TT_NEVER);
        tt_task_timer(run, task);
        any = true;
    }
    return any;
}

/* What every input ends with: all that can go on does. Ends of tasks that have nothing to do come
 * about in here, so it goes round until nothing happens any more; or until there are so many
 * effects that they are handed over first (a hundred thousand tasks may be ready at once). */
static void go_on(struct tt_run *run, size_t most)
{
    uint32_t task;
    run->unfinished = true;
    for (bool moved = true; moved;) {
        moved = fire_due(run);
        while (tt_sched_ready(run->sched, &task)) {
            moved = true;
            if (run->tasks[task].stage == STAGE_WAITING)
                tt_task_ready(run, task);
            if (run->effect_count >= most)
                return;
        }
    }
    run->unfinished = false;
    if (run->unended == 0)
        tt_run_wind_up(run);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Marks those of `only` and all that they need; the others have no part in this run. */
static int select_tasks(struct tt_run *run, struct tt_error **err)
{
    struct group found;
    for (size_t i = 0; i < run->only_count; i++)
        if (!tt_run_resolve(run, run->only[i], &found))
            return tt_fail(err, TT_INVALID, "there is no task \"%s\"", run->only[i]);
    struct tasks left = {0};
    for (uint32_t task = 0; task < run->count; task++)
        run->tasks[task].selected = false;
    for (size_t i = 0; i < run->only_count; i++) {
        tt_run_resolve(run, run->only[i], &found);
        for (uint32_t task = found.first; task < found.first + found.count; task++)
            tt_tasks_push(&left, task);
    }
    while (left.count) {
        uint32_t task = left.items[--left.count];
        if (run->tasks[task].selected)
            continue;
        run->tasks[task].selected = true;
        for (uint32_t i = 0; i < tt_dag_before_count(run->dag, task); i++) {
            enum tt_edge kind;
            uint32_t before = tt_dag_before(run->dag, task, i, &kind);
            if (kind == TT_NEEDS)
                tt_tasks_push(&left, before);
        }
    }
    free(left.items);
    for (uint32_t task = 0; task < run->count; task++) {
        if (run->tasks[task].selected)
            continue;
        run->tasks[task].stage = STAGE_ENDED;
        run->status_counts[TT_TASK_PENDING]--;
        run->tasks[task].status = TT_TASK_SKIPPED;
        run->unended--;
        tt_sched_end(run->sched, task);
    }
    return 0;
}

static int start(struct tt_run *run, struct tt_error **err)
{
    if (run->status != TT_RUN_PENDING)
        return tt_fail(err, TT_INVALID, "the run has begun already");
    if (!run->count)
        return tt_fail(err, TT_INVALID, "the workflow has no tasks");
    int rc = run->only_count ? select_tasks(run, err) : 0;
    if (rc)
        return rc;
    run->started = run->now;
    run->status = TT_RUN_RUNNING;
    return 0;
}

/* The task that an operation belongs to; TT_NO_TASK when there is none. */
static uint32_t task_of(const struct tt_run *run, uint64_t op)
{
    uint32_t task = (uint32_t)(op >> 32);
    return task < run->count ? task : TT_NO_TASK;
}

static int op_ended(struct tt_run *run, const struct tt_input *end, struct tt_error **err)
{
    uint32_t t = task_of(run, end->op);
    const struct task *task = t == TT_NO_TASK ? NULL : &run->tasks[t];
    if (!task || tt_task_op(run, t) != end->op ||
        (task->stage != STAGE_OPERATING && task->rollback != TT_ROLLBACK_RUNNING))
        return tt_fail(err, TT_INVALID, "operation %llx does not run", (unsigned long long)end->op);
    if (end->added_count && task->phase != TT_PHASE_RUN)
        return tt_fail(err, TT_INVALID, "only a task's run operation can add tasks");
    if (task->rollback == TT_ROLLBACK_RUNNING)
        tt_rollback_ended(run, t, &end->outcome);
    else
        tt_task_op_ended(run, t, end);
    return 0;
}

static int granted(struct tt_run *run, const struct tt_input *grant, struct tt_error **err)
{
    uint32_t task = task_of(run, grant->op);
    if (task == TT_NO_TASK)
        return tt_fail(err, TT_INVALID, "nobody asked for %llx", (unsigned long long)grant->op);
    tt_task_granted(run, task, grant);
    return 0;
}

static int revoked(struct tt_run *run, const struct tt_input *end, struct tt_error **err)
{
    uint32_t task = task_of(run, end->op);
    if (task == TT_NO_TASK || end->outcome.kind == TT_OK)
        return tt_fail(err, TT_INVALID, "%llx holds nothing", (unsigned long long)end->op);
    if (run->tasks[task].holds && tt_task_claim(run, task) == end->op)
        tt_task_revoked(run, task, &end->outcome);
    return 0;
}

static void cancel(struct tt_run *run)
{
    if (run->interrupted || !run->unended)
        return;
    run->interrupted = true;
    run->interrupted_first = run->failures.count == 0;
    tt_run_stop(run, STOP_CANCEL);
}

static int hear(struct tt_run *run, const struct tt_input *input, struct tt_error **err)
{
    switch (input->type) {
    case TT_IN_STARTED:
        return start(run, err);
    case TT_IN_GRANTED:
        return granted(run, input, err);
    case TT_IN_REVOKED:
        return revoked(run, input, err);
    case TT_IN_ENDED:
        return op_ended(run, input, err);
    case TT_IN_CANCELLED:
        cancel(run);
        return 0;
    case TT_IN_TICK:
        return 0;
    }
    return tt_fail(err, TT_INVALID, "there is no input of type %d", (int)input->type);
}

int tt_run_tell(struct tt_run *run, const struct tt_input *input, struct tt_error **err)
{
    forget_taken(run);
    if (run->unfinished)
        go_on(run, SIZE_MAX);
    if (run->status != TT_RUN_RUNNING && input->type != TT_IN_STARTED) {
        if (input->type == TT_IN_ENDED)
            return tt_fail(err, TT_INVALID, "operation %llx does not run",
                           (unsigned long long)input->op);
        return 0;
    }
    int64_t before = run->now;
    if (input->now > run->now)
        run->now = input->now;
    int rc = hear(run, input, err);
    if (rc < 0)
        run->now = before;
    else
        go_on(run, batch);
    return rc;
}

size_t tt_run_take(struct tt_run *run, const struct tt_effect **effects)
{
    forget_taken(run);
    if (!run->effect_count && run->unfinished)
        go_on(run, batch);
    *effects = run->effects;
    run->effects_taken = true;
    return run->effect_count;
}
