#include "core/engine/engine.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

struct run_op {
    struct tt_op op; /* first */
    struct tt_engine *engine;
};

struct tt_engine *tt_engine_of(struct tt_op *op)
{
    return ((struct run_op *)(void *)op)->engine;
}

void tt_engine_tell(struct tt_engine *engine, struct tt_event *event)
{
    if (!engine->listener.event)
        return;
    event->at = tt_loop_wall(engine->loop);
    engine->listener.event(engine->listener.arg, event);
}

void tt_engine_warn(struct tt_engine *engine, uint32_t task, const struct tt_error *why)
{
    char *text = tt_error_text(why);
    tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_WARNING,
                                              .task = task,
                                              .error = why,
                                              .text = text,
                                              .length = strlen(text)});
    free(text);
}

struct task_state *tt_engine_state(struct tt_engine *engine, uint32_t task)
{
    if (task >= engine->state_room) {
        uint32_t count = tt_run_count(engine->run);
        uint32_t room = task < count ? count : task + 1;
        engine->states = tt_reallocarray(engine->states, room, sizeof(struct task_state *));
        memset(engine->states + engine->state_room, 0,
               (room - engine->state_room) * sizeof(struct task_state *));
        engine->state_room = room;
    }
    if (!engine->states[task]) {
        struct task_state *state = tt_zalloc(sizeof *state);
        state->engine = engine;
        state->task = task;
        state->log.fd = -1;
        state->record.peak_memory = -1;
        state->record.cpu = -1;
        engine->states[task] = state;
    }
    return engine->states[task];
}

int tt_engine_open_store(struct tt_engine *engine, struct tt_error **err)
{
    if (engine->store)
        return 0;
    char *dir = tt_format("%s/artifacts", engine->run_dir);
    int rc = tt_store_open(&engine->store, dir, err);
    free(dir);
    engine->dir_made |= rc == 0;
    return rc;
}

/* Why an operation is stopped: the run's own reason, or the task that failed first. */
struct tt_error *tt_engine_stop_reason(const struct tt_engine *engine)
{
    if (engine->why) {
        struct tt_error *why = tt_error_copy(engine->why);
        if (why->kind != TT_CANCELLED)
            tt_fail(&why, TT_CANCELLED, "the run was stopped");
        return why;
    }
    uint32_t count;
    const uint32_t *failures = tt_run_failures(engine->run, &count);
    if (count)
        return tt_error_new(TT_CANCELLED, "cancelled because task \"%s\" failed",
                            tt_run_name(engine->run, failures[0]));
    return tt_error_new(TT_CANCELLED, "cancelled");
}

/* ---- the operation --------------------------------------------------------------------------- */

static void run_job(struct tt_job *job)
{
    struct tt_engine *engine = tt_owner(job, struct tt_engine, job);
    tt_engine_pump(engine);
}

static void begin_job(struct tt_job *job)
{
    struct tt_engine *engine = tt_owner(job, struct tt_engine, job);
    job->run = run_job;
    tt_engine_tell(
        engine, &(struct tt_event){.type = TT_EV_RUN_STARTED, .count = tt_engine_selected(engine)});
    tt_engine_pump(engine);
}

static void engine_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tt_engine *engine = tt_engine_of(op);
    if (!engine->why)
        engine->why = tt_error_copy(why);
    tt_engine_hear_cancelled(engine);
}

static void free_state(struct task_state *state)
{
    if (!state)
        return;
    tt_record_clear(&state->record);
    tt_error_free(state->never);
    tt_tasklog_clear(&state->log);
    free(state);
}

struct tt_engine *tt_engine_retain(struct tt_engine *engine)
{
    engine->refs++;
    return engine;
}

void tt_engine_release(struct tt_engine *engine)
{
    if (!engine || --engine->refs > 0)
        return;
    for (uint32_t i = 0; i < engine->state_room; i++)
        free_state(engine->states[i]);
    free(engine->states);
    free(engine->sets);
    tt_run_free(engine->run);
    tt_store_free(engine->store);
    for (uint32_t i = 0; i < engine->joined_count; i++)
        tt_plan_release(engine->joined[i].plan);
    free(engine->joined);
    for (size_t i = 0; i < engine->param_count; i++) {
        free(engine->param_vars[i].name);
        free(engine->param_vars[i].value);
    }
    free(engine->param_vars);
    json_decref(engine->params);
    tt_plan_release(engine->plan);
    tt_scope_release(engine->scope);
    tt_error_free(engine->why);
    free(engine->id);
    free(engine->run_dir);
    free(engine);
}

static void run_op_free(struct tt_op *op)
{
    tt_engine_release(tt_engine_of(op));
    free(op);
}

static char *new_id(struct tt_loop *loop)
{
    time_t now = (time_t)(tt_loop_wall(loop) / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    char text[32];
    strftime(text, sizeof text, "%Y%m%d-%H%M%S", &utc);
    return tt_format("%s-%06x", text, (unsigned)(tt_loop_random(loop) & 0xffffff));
}

static uint32_t default_jobs(void)
{
    unsigned cpus = uv_available_parallelism();
    return cpus > 4 ? 2 * cpus : 8;
}

static void set_params(struct tt_engine *engine, json_t *params)
{
    engine->params = params ? json_incref(params) : json_object();
    engine->param_vars = tt_zalloc((json_object_size(engine->params) + 1) * sizeof(struct tt_var));
    const char *name;
    json_t *value;
    json_object_foreach(engine->params, name, value)
    {
        engine->param_vars[engine->param_count++] =
            (struct tt_var){tt_format("PARAM_%s", name), tt_value_text(value)};
    }
}

static int prepare(struct tt_engine *engine, const struct tt_engine_options *options,
                   struct tt_error **err)
{
    const struct tt_plan_options *plan = tt_plan_get_options(options->plan);
    engine->jobs = options->jobs ? options->jobs : plan->jobs ? plan->jobs : default_jobs();
    struct tt_run_options run = {
        .on_failure = plan->on_failure,
        .rollback = options->no_rollback ? TT_ROLLBACK_NONE : plan->rollback,
        .seed = tt_loop_random(engine->loop),
        .only = options->only,
        .only_count = options->only_count,
    };
    int rc = tt_plan_start(options->plan, &run, &engine->run, err);
    if (rc == 0 && engine->recorder.input) {
        engine->recorder.started(engine->recorder.arg, &run, engine->jobs, engine->params);
        /* tt_plan_start has told it */
        engine->recorder.input(engine->recorder.arg, &(struct tt_input){.type = TT_IN_STARTED});
    }
    return rc;
}

struct tt_op *tt_engine_start(struct tt_scope *scope, const struct tt_engine_options *options)
{
    static const struct tt_op_class class_ = {"run", engine_cancel, run_op_free};
    struct tt_loop *loop = tt_scope_loop(scope);
    struct tt_engine *engine = tt_zalloc(sizeof *engine);
    struct run_op *op = tt_zalloc(sizeof *op);
    engine->refs = 1;
    engine->loop = loop;
    engine->plan = tt_plan_retain(options->plan);
    engine->listener = options->listener;
    engine->recorder = options->recorder;
    engine->masker = options->masker;
    engine->scope = tt_scope_shielded(loop, TT_NEVER);
    engine->id = new_id(loop);
    engine->run_dir = tt_format("%s/runs/%s", options->state_dir, engine->id);
    set_params(engine, options->params);
    op->engine = engine;
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    struct tt_error *err = NULL;
    if (prepare(engine, options, &err) < 0) {
        tt_op_finish(&op->op, err);
        return &op->op;
    }
    engine->op = &op->op;
    engine->epoch = tt_loop_now(loop);
    engine->wall = tt_loop_wall(loop);
    engine->limits = tt_limits_of(loop);
    tt_jobs_open(engine->limits, engine->jobs, engine->jobs_key);
    engine->job.run = begin_job;
    tt_loop_post(loop, &engine->job);
    return &op->op;
}
