/* A plan as the tasks of a run. */
#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/base/suggest.h"
#include "core/plan/plan.h"
#include "core/run/slots.h"

#include <stdlib.h>
#include <string.h>

/* All that core/run/run.h points to from the specifications, in one block. */
struct specs {
    struct tt_pool_need *pools;
    struct tt_task_spec items[];
};

static void fill_spec(struct tt_task_spec *spec, const struct tt_task *task,
                      struct tt_pool_need *pool)
{
    spec->name = task->name;
    spec->needs = (const char *const *)task->needs.items;
    spec->need_count = task->needs.count;
    spec->after = (const char *const *)task->after.items;
    spec->after_count = task->after.count;
    spec->has_run = task->run.form != TT_ACTION_NONE;
    spec->timeout = task->timeout;
    spec->deadline = task->deadline;
    /* code takes a place for each command that it runs, and none for itself */
    if (task->env->limit > 0 && task->run.form != TT_ACTION_CALL) {
        *pool = (struct tt_pool_need){
            .key = task->env->identity, .amount = 1, .limit = (uint32_t)task->env->limit};
        spec->pools = pool;
        spec->pool_count = 1;
    }
    const struct tt_task_more *more = task->more;
    if (!more)
        return;
    spec->group = more->group;
    spec->has_when = more->when != TT_WHEN_ALWAYS;
    spec->has_input = more->input.count > 0;
    spec->has_health = more->health.form != TT_ACTION_NONE;
    spec->health_is_code = more->health.form == TT_ACTION_CALL;
    spec->has_output = more->output.count > 0;
    spec->has_rollback = more->rollback.form != TT_ACTION_NONE;
    spec->rollback_timeout = more->rollback_timeout;
    spec->retry = more->retry;
    spec->health.retries = more->health_retries;
    spec->health.interval = more->health_interval;
    spec->health.timeout = more->health_timeout;
}

struct tt_task_spec *tt_plan_specs(const struct tt_plan *plan)
{
    uint32_t count = tt_plan_count(plan);
    struct specs *specs = tt_zalloc(sizeof *specs + count * sizeof specs->items[0]);
    specs->pools = tt_reallocarray(NULL, count + 1u, sizeof *specs->pools);
    for (uint32_t i = 0; i < count; i++)
        fill_spec(&specs->items[i], tt_plan_task(plan, i), &specs->pools[i]);
    return specs->items;
}

void tt_plan_specs_free(struct tt_task_spec *items)
{
    if (!items)
        return;
    struct specs *specs = tt_owner(items, struct specs, items);
    free(specs->pools);
    free(specs);
}

static bool is_known(const struct tt_plan *plan, const char *name)
{
    if (tt_plan_find(plan, name))
        return true;
    for (uint32_t i = 0; i < tt_plan_count(plan); i++) {
        const struct tt_task_more *more = tt_plan_task(plan, i)->more;
        if (more && more->group && strcmp(more->group, name) == 0)
            return true;
    }
    return false;
}

static const char *nearest(const struct tt_plan *plan, const char *name, const struct tt_task *self)
{
    struct tt_suggest suggest = {.wanted = name};
    for (uint32_t i = 0; i < tt_plan_count(plan); i++) {
        const struct tt_task *task = tt_plan_task(plan, i);
        if (task == self)
            continue;
        tt_suggest_try(&suggest, task->name);
        if (task->more && task->more->group)
            tt_suggest_try(&suggest, task->more->group);
    }
    return suggest.best;
}

static int unknown_name(const struct tt_plan *plan, const struct tt_task *task,
                        const struct tt_texts *names, const char *verb, struct tt_error **err)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (is_known(plan, names->items[i]))
            continue;
        const char *best = nearest(plan, names->items[i], task);
        return tt_fail(err, TT_INVALID, "%s:%d: task \"%s\" %s \"%s\", which does not exist%s%s%s",
                       task->file, task->line, task->name, verb, names->items[i],
                       best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
    }
    return 0;
}

/* What the run refused, said with the place in the script. */
static int refused(const struct tt_plan *plan, size_t culprit, struct tt_error *why,
                   struct tt_error **err)
{
    const struct tt_task *task =
        culprit < tt_plan_count(plan) ? tt_plan_task(plan, (uint32_t)culprit) : NULL;
    int rc = task ? unknown_name(plan, task, &task->needs, "needs", err) : 0;
    if (rc == 0 && task)
        rc = unknown_name(plan, task, &task->after, "is after", err);
    if (rc == 0) {
        char *text = tt_error_text(why);
        rc = tt_fail(err, TT_INVALID, "%s:%d: %s", task ? task->file : tt_plan_file(plan),
                     task ? task->line : tt_plan_line(plan), text);
        free(text);
    }
    tt_error_free(why);
    return rc;
}

static int join(const struct tt_plan *plan, struct tt_run *run, struct tt_error **err)
{
    struct tt_task_spec *specs = tt_plan_specs(plan);
    size_t culprit = SIZE_MAX;
    struct tt_error *why = NULL;
    int rc = tt_run_add(run, specs, tt_plan_count(plan), &culprit, &why);
    tt_plan_specs_free(specs);
    return rc < 0 ? refused(plan, culprit, why, err) : 0;
}

static int unknown_only(const struct tt_plan *plan, const struct tt_run_options *options,
                        struct tt_error **err)
{
    for (size_t i = 0; options && i < options->only_count; i++) {
        if (is_known(plan, options->only[i]))
            continue;
        const char *best = nearest(plan, options->only[i], NULL);
        return tt_fail(err, TT_INVALID, "workflow \"%s\" has no task \"%s\"%s%s%s",
                       tt_plan_name(plan), options->only[i], best ? "; did you mean \"" : "",
                       best ? best : "", best ? "\"?" : "");
    }
    return 0;
}

int tt_plan_start(const struct tt_plan *plan, const struct tt_run_options *options,
                  struct tt_run **out, struct tt_error **err)
{
    static const struct tt_run_options plain = {0};
    *out = NULL;
    if (tt_plan_count(plan) == 0)
        return tt_fail(err, TT_INVALID, "%s:%d: workflow \"%s\" has no tasks", tt_plan_file(plan),
                       tt_plan_line(plan), tt_plan_name(plan));
    struct tt_run *run = tt_run_new(options ? options : &plain);
    int rc = join(plan, run, err);
    if (rc == 0)
        rc = unknown_only(plan, options, err);
    if (rc == 0)
        rc = tt_run_tell(run, &(struct tt_input){.type = TT_IN_STARTED}, err);
    if (rc < 0)
        tt_run_free(run);
    else
        *out = run;
    return rc;
}

int tt_plan_check(const struct tt_plan *plan, const struct tt_run_options *options,
                  struct tt_error **err)
{
    struct tt_run *run;
    int rc = tt_plan_start(plan, options, &run, err);
    tt_run_free(run);
    return rc;
}

/* Operations that have begun, ended one after the other. */
struct begun {
    uint64_t *ops;
    size_t first, last, room;
};

static void push(struct begun *begun, uint64_t op)
{
    if (begun->last == begun->room) {
        begun->room = begun->room ? begun->room * 2 : 16;
        begun->ops = tt_reallocarray(begun->ops, begun->room, sizeof *begun->ops);
    }
    begun->ops[begun->last++] = op;
}

static bool pop(struct begun *begun, uint64_t *op)
{
    if (begun->first == begun->last)
        return false;
    *op = begun->ops[begun->first++];
    if (begun->first == begun->last)
        begun->first = begun->last = 0;
    return true;
}

int tt_plan_order(const struct tt_plan *plan, const struct tt_run_options *options,
                  uint32_t **order, uint32_t *count, struct tt_error **err)
{
    struct tt_run *run;
    int rc = tt_plan_start(plan, options, &run, err);
    if (rc < 0)
        return rc;
    *order = tt_reallocarray(NULL, tt_plan_count(plan), sizeof **order);
    *count = 0;
    struct tt_slots slots;
    struct begun begun = {0};
    struct tt_input input;
    tt_slots_init(&slots, run, 1);
    do {
        const struct tt_effect *effects;
        for (size_t n; (n = tt_run_take(run, &effects)) > 0;)
            for (size_t i = 0; i < n; i++) {
                tt_slots_effect(&slots, &effects[i]);
                if (effects[i].type == TT_FX_TASK_STARTED)
                    (*order)[(*count)++] = effects[i].task;
                if (effects[i].type == TT_FX_BEGIN)
                    push(&begun, effects[i].op);
            }
        if (!tt_slots_next(&slots, &input)) {
            input = (struct tt_input){.type = TT_IN_ENDED};
            if (!pop(&begun, &input.op))
                break;
        }
    } while (tt_run_tell(run, &input, err) == 0);
    tt_slots_clear(&slots);
    free(begun.ops);
    tt_run_free(run);
    return 0;
}
