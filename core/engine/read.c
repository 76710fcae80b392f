/* What may be asked of an engine, by its own parts and by others. */
#include "core/base/alloc.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>

const char *tt_engine_id(const struct tt_engine *engine)
{
    return engine->id;
}

const char *tt_engine_dir(const struct tt_engine *engine)
{
    return engine->dir_made ? engine->run_dir : NULL;
}

struct tt_run *tt_engine_run(const struct tt_engine *engine)
{
    return engine->run;
}

const struct tt_plan *tt_engine_plan(const struct tt_engine *engine)
{
    return engine->plan;
}

uint32_t tt_engine_jobs(const struct tt_engine *engine)
{
    return engine->jobs;
}

const json_t *tt_engine_params(const struct tt_engine *engine)
{
    return engine->params;
}

int64_t tt_engine_wall(const struct tt_engine *engine, int64_t run_time)
{
    return run_time + engine->wall;
}

uint32_t tt_engine_selected(const struct tt_engine *engine)
{
    uint32_t count = 0;
    for (int status = 0; status < TT_TASK_STATUS_COUNT; status++)
        count += tt_run_count_of(engine->run, (enum tt_task_status)status);
    return count;
}

/* The plan that declared the task; *index becomes its place there. */
static const struct tt_plan *find_plan(const struct tt_engine *engine, uint32_t *index)
{
    uint32_t from = 0, to = engine->joined_count;
    if (*index < tt_plan_count(engine->plan))
        return engine->plan;
    while (to - from > 1) {
        uint32_t middle = from + (to - from) / 2;
        if (engine->joined[middle].first <= *index)
            from = middle;
        else
            to = middle;
    }
    *index -= engine->joined[from].first;
    return engine->joined[from].plan;
}

const struct tt_task *tt_engine_task(const struct tt_engine *engine, uint32_t index)
{
    const struct tt_plan *plan = find_plan(engine, &index);
    return tt_plan_task(plan, index);
}

const struct tt_record *tt_engine_record(const struct tt_engine *engine, uint32_t index)
{
    bool known = index < engine->state_room && engine->states[index];
    return known ? &engine->states[index]->record : NULL;
}

const char *tt_engine_log(const struct tt_engine *engine, uint32_t index)
{
    bool known = index < engine->state_room && engine->states[index];
    return known ? engine->states[index]->log.path : NULL;
}

struct tt_error *tt_engine_error(const struct tt_engine *engine, uint32_t index)
{
    struct tt_task_view view;
    tt_run_task(engine->run, index, &view);
    if (view.error.kind == TT_OK)
        return NULL;
    const struct tt_record *record = tt_engine_record(engine, index);
    if (record && record->error && view.error.value && view.error.value == record->error_name) {
        struct tt_error *error = tt_error_copy(record->error);
        if (view.message || error->kind != view.error.kind)
            tt_fail(&error, view.error.kind, "%s", view.message ? view.message : "the task failed");
        return error;
    }
    if (view.error.kind == TT_CANCELLED && !view.message)
        return tt_engine_stop_reason(engine);
    return tt_error_new(view.error.kind, "%s",
                        view.message ? view.message : tt_kind_name(view.error.kind));
}

char *tt_engine_skip_reason(const struct tt_engine *engine, uint32_t index)
{
    const struct tt_dag *dag = tt_run_dag(engine->run);
    struct tt_task_view view;
    tt_run_task(engine->run, index, &view);
    if (view.status != TT_TASK_SKIPPED)
        return NULL;
    for (uint32_t i = 0, n = tt_dag_before_count(dag, index); i < n; i++) {
        enum tt_edge kind;
        tt_run_task(engine->run, tt_dag_before(dag, index, i, &kind), &view);
        if (kind == TT_NEEDS && (view.status == TT_TASK_FAILED || view.status == TT_TASK_SKIPPED))
            return tt_format("needs %s, which %s", view.name,
                             view.status == TT_TASK_FAILED ? "failed" : "was skipped");
    }
    return tt_strdup("its condition is false");
}

int tt_engine_inputs(struct tt_engine *engine, uint32_t task, const struct tt_texts *patterns,
                     struct tt_artifacts *out, struct tt_error **err)
{
    uint32_t count;
    uint32_t *ancestors = tt_dag_ancestors(tt_run_dag(engine->run), task, &count);
    struct tt_artifact_source *sources = tt_reallocarray(NULL, count + 1u, sizeof *sources);
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct tt_record *record = tt_engine_record(engine, ancestors[i]);
        if (record && record->artifacts.count)
            sources[used++] = (struct tt_artifact_source){tt_run_name(engine->run, ancestors[i]),
                                                          &record->artifacts};
    }
    int rc = tt_artifacts_select(out, sources, used, (const char *const *)patterns->items,
                                 patterns->count, err);
    free(sources);
    free(ancestors);
    return rc;
}

int tt_engine_ancestor(struct tt_engine *engine, uint32_t task, const char *name, uint32_t *index,
                       struct tt_error **err)
{
    uint32_t found = tt_run_find(engine->run, name);
    if (found == TT_NO_TASK)
        return tt_fail(err, TT_INVALID, "there is no task \"%s\"", name);
    if (!tt_dag_is_ancestor(tt_run_dag(engine->run), found, task))
        return tt_fail(err, TT_INVALID,
                       "task \"%s\" does not come before \"%s\": name it in `needs` or `after` to "
                       "see its result",
                       name, tt_run_name(engine->run, task));
    *index = found;
    return 0;
}
