/* Batches of tasks: checked, then joined whole or not at all. */
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/run/state.h"

#include <stdlib.h>
#include <string.h>

bool tt_run_resolve(const struct tt_run *run, const char *name, struct group *found)
{
    uint32_t number = tt_names_find(run->names, name);
    if (number != TT_NO_NAME) {
        *found = (struct group){number, 1};
        return true;
    }
    number = tt_names_find(run->group_names, name);
    if (number == TT_NO_NAME)
        return false;
    *found = run->groups[number];
    return true;
}

static bool taken(const struct tt_run *run, const char *name)
{
    struct group found;
    return tt_run_resolve(run, name, &found);
}

/* Gives the batch's tasks and groups their names. */
static int name_them(struct tt_run *run, const struct tt_task_spec *specs, size_t count,
                     size_t *culprit, struct tt_error **err)
{
    for (size_t i = 0; i < count; i++) {
        const struct tt_task_spec *spec = &specs[i];
        *culprit = i;
        if (!spec->name || !*spec->name)
            return tt_fail(err, TT_INVALID, "a task has no name");
        if (taken(run, spec->name))
            return tt_fail(err, TT_INVALID, "there are two tasks named \"%s\"", spec->name);
        uint32_t task = tt_names_add(run->names, spec->name);
        if (!spec->group)
            continue;
        if (i && specs[i - 1].group && strcmp(specs[i - 1].group, spec->group) == 0) {
            run->groups[tt_names_count(run->group_names) - 1].count++;
            continue;
        }
        if (taken(run, spec->group))
            return tt_fail(err, TT_INVALID, "there are two tasks named \"%s\"", spec->group);
        uint32_t group = tt_names_add(run->group_names, spec->group);
        if (group >= run->group_capacity) {
            run->group_capacity = run->group_capacity ? run->group_capacity * 2 : 8;
            run->groups = tt_reallocarray(run->groups, run->group_capacity, sizeof *run->groups);
        }
        run->groups[group] = (struct group){task, 1};
    }
    return 0;
}

static int add_edges(struct tt_run *run, const struct tt_task_spec *spec, enum tt_edge kind,
                     struct tt_error **err)
{
    const char *const *names = kind == TT_NEEDS ? spec->needs : spec->after;
    size_t count = kind == TT_NEEDS ? spec->need_count : spec->after_count;
    for (size_t i = 0; i < count; i++) {
        struct group found;
        if (!tt_run_resolve(run, names[i], &found))
            return tt_fail(err, TT_INVALID, "task \"%s\" %s \"%s\", which does not exist",
                           spec->name, kind == TT_NEEDS ? "needs" : "comes after", names[i]);
        for (uint32_t from = found.first; from < found.first + found.count; from++)
            tt_dag_edge(run->dag, from, kind);
    }
    return 0;
}

static int check_numbers(const struct tt_task_spec *spec, struct tt_error **err)
{
    if (spec->timeout < 0 || spec->deadline < 0 || spec->rollback_timeout < 0 ||
        spec->health.interval < 0 || spec->health.timeout < 0)
        return tt_fail(err, TT_INVALID, "a duration is negative");
    return tt_retry_check(&spec->retry, err);
}

/* The set of the task's own pools and the jobs' pool. */
static int find_set(struct tt_run *run, const struct tt_task_spec *spec, uint32_t *set,
                    struct tt_error **err)
{
    if (!spec->pool_count) {
        *set = run->jobs_set;
        return 0;
    }
    struct tt_pool_need *needs = tt_reallocarray(NULL, spec->pool_count + 1, sizeof *needs);
    needs[0] = (struct tt_pool_need){.key = "", .amount = 1};
    int rc = 0;
    for (size_t i = 0; i < spec->pool_count && !rc; i++) {
        needs[i + 1] = spec->pools[i];
        if (!spec->pools[i].key || !*spec->pools[i].key)
            rc = tt_fail(err, TT_INVALID, "a pool has no name");
    }
    if (!rc)
        rc = tt_needs_set(&run->needs, needs, spec->pool_count + 1, set, err);
    free(needs);
    return rc;
}

static void make_room(struct tt_run *run, size_t more)
{
    if (run->capacity - run->count >= more)
        return;
    uint32_t old = run->capacity, half = old + old / 2;
    run->capacity = run->count + (uint32_t)more > half ? run->count + (uint32_t)more : half;
    run->tasks = tt_reallocarray(run->tasks, run->capacity, sizeof *run->tasks);
    run->timer_places =
        tt_reallocarray(run->timer_places, run->capacity, sizeof *run->timer_places);
    memset(run->timer_places + old, 0, (run->capacity - old) * sizeof *run->timer_places);
}

/* Checks one spec and fills its task in, behind the run's count. */
static int add_one(struct tt_run *run, const struct tt_task_spec *spec, struct task *task,
                   struct tt_error **err)
{
    *task = (struct task){
        .has_when = spec->has_when,
        .has_input = spec->has_input,
        .has_run = spec->has_run,
        .has_health = spec->has_health,
        .has_output = spec->has_output,
        .has_rollback = spec->has_rollback,
        .health_is_code = spec->health_is_code,
        .selected = true,
        .retry = spec->retry,
        .health = {spec->health.retries, spec->health.interval, spec->health.timeout},
        .timeout = spec->timeout,
        .deadline = spec->deadline,
        .rollback_timeout = spec->rollback_timeout,
        .ends_at = TT_NEVER,
        .attempt_ends_at = TT_NEVER,
        .started = -1,
        .ended = -1,
        .rollback_started = -1,
        .rollback_ended = -1,
        .result.code = -1,
        .error.code = -1,
        .rollback_outcome.code = -1,
    };
    tt_dag_node(run->dag, spec->weight);
    int rc = add_edges(run, spec, TT_NEEDS, err);
    if (!rc)
        rc = add_edges(run, spec, TT_AFTER, err);
    if (rc)
        return rc;
    rc = check_numbers(spec, err);
    if (!rc)
        rc = find_set(run, spec, &task->set, err);
    return rc ? tt_context(err, "task \"%s\"", spec->name) : 0;
}

/* Names the whole way round, from the task that was declared first. */
static int fail_cycle(const struct tt_run *run, struct tt_cycle *cycle, uint32_t *first,
                      struct tt_error **err)
{
    struct tt_buf path = {0};
    uint32_t start = 0;
    for (uint32_t i = 1; i < cycle->count; i++)
        if (cycle->nodes[i] < cycle->nodes[start])
            start = i;
    *first = cycle->nodes[start];
    for (uint32_t i = 0; i <= cycle->count; i++)
        tt_buf_format(&path, "%s%s", i ? " -> " : "",
                      tt_names_text(run->names, cycle->nodes[(start + i) % cycle->count]));
    int rc = tt_fail(err, TT_INVALID, "tasks wait for each other in a cycle: %s", path.data);
    tt_buf_free(&path);
    free(cycle->nodes);
    return rc;
}

int tt_run_join(struct tt_run *run, const struct tt_task_spec *specs, size_t count, size_t *culprit,
                struct tt_error **err)
{
    size_t ignored;
    if (!culprit)
        culprit = &ignored;
    uint32_t group_count = tt_names_count(run->group_names), first;
    struct tt_cycle cycle = {0};
    if (count > UINT32_MAX / 2 - run->count)
        return tt_fail(err, TT_INVALID, "there are too many tasks");
    make_room(run, count);
    tt_dag_begin(run->dag);
    int rc = name_them(run, specs, count, culprit, err);
    for (size_t i = 0; i < count && !rc; i++) {
        *culprit = i;
        rc = add_one(run, &specs[i], &run->tasks[run->count + i], err);
    }
    if (rc) {
        tt_dag_drop(run->dag);
    } else if (!tt_dag_commit(run->dag, &cycle)) {
        rc = fail_cycle(run, &cycle, &first, err);
        *culprit = first - run->count;
    }
    if (rc) {
        tt_names_truncate(run->names, run->count);
        tt_names_truncate(run->group_names, group_count);
        return rc;
    }
    run->count += (uint32_t)count;
    run->unended += (uint32_t)count;
    run->status_counts[TT_TASK_PENDING] += (uint32_t)count;
    tt_sched_join(run->sched);
    return 0;
}

int tt_run_add(struct tt_run *run, const struct tt_task_spec *specs, size_t count, size_t *culprit,
               struct tt_error **err)
{
    if (run->status != TT_RUN_PENDING)
        return tt_fail(err, TT_INVALID, "the run has begun: only a running task adds tasks");
    return tt_run_join(run, specs, count, culprit, err);
}
