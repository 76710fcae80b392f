#include "core/engine/engine.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static void pump(struct tt_engine *engine);

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

/* ---- effects -------------------------------------------------------------------------------- */

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

static void cancel_operation(struct tt_engine *engine, uint32_t task)
{
    struct task_state *state = tt_engine_state(engine, task);
    if (!state->operation)
        return;
    struct tt_error *why = tt_engine_stop_reason(engine);
    tt_operation_cancel(state->operation, why);
    tt_error_free(why);
}

static void task_ended(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct task_state *state = fx->task < engine->state_room ? engine->states[fx->task] : NULL;
    if (state)
        tt_tasklog_close(&state->log);
    if (!engine->listener.event)
        return;
    struct tt_task_view view;
    tt_run_task(engine->run, fx->task, &view);
    struct tt_error *error = tt_engine_error(engine, fx->task);
    tt_engine_tell(engine,
                   &(struct tt_event){.type = TT_EV_TASK_ENDED,
                                      .task = fx->task,
                                      .status = fx->status,
                                      .phase = fx->phase,
                                      .attempt = view.attempts,
                                      .duration = view.started < 0 ? -1 : view.ended - view.started,
                                      .environment = state ? state->record.where : NULL,
                                      .error = error});
    tt_error_free(error);
}

static void rollback_ended(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct task_state *state = tt_engine_state(engine, fx->task);
    tt_tasklog_close(&state->log);
    struct tt_task_view view;
    tt_run_task(engine->run, fx->task, &view);
    bool failed = fx->outcome.kind != TT_OK;
    tt_engine_tell(
        engine, &(struct tt_event){.type = TT_EV_ROLLBACK_ENDED,
                                   .task = fx->task,
                                   .status = failed ? TT_TASK_ROLLBACK_FAILED : TT_TASK_ROLLED_BACK,
                                   .duration = view.rollback_ended - view.rollback_started,
                                   .error = failed ? state->record.rollback_error : NULL});
}

static void added(struct tt_engine *engine, const struct tt_effect *fx)
{
    engine->joined =
        tt_reallocarray(engine->joined, engine->joined_count + 1, sizeof *engine->joined);
    engine->joined[engine->joined_count++] =
        (struct joined){tt_plan_retain(engine->joining), fx->first};
    tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_TASKS_ADDED,
                                              .task = fx->task,
                                              .first = fx->first,
                                              .count = fx->count});
}

static void carry_out(struct tt_engine *engine, const struct tt_effect *fx)
{
    switch (fx->type) {
    case TT_FX_BEGIN:
        tt_operation_begin(engine, fx);
        break;
    case TT_FX_CANCEL:
        cancel_operation(engine, fx->task);
        break;
    case TT_FX_TASKS_ADDED:
        added(engine, fx);
        break;
    case TT_FX_TASK_STARTED: /* told when its first operation really begins */
        break;
    case TT_FX_TASK_RETRYING:
        tt_tasklog_close(&tt_engine_state(engine, fx->task)->log);
        tt_engine_tell(
            engine, &(struct tt_event){.type = TT_EV_RETRY,
                                       .task = fx->task,
                                       .attempt = fx->attempt + 1,
                                       .phase = fx->phase,
                                       .delay = fx->at - fx->now,
                                       .error = tt_engine_state(engine, fx->task)->record.error});
        break;
    case TT_FX_HEALTH_WAITING:
        tt_engine_tell(
            engine, &(struct tt_event){.type = TT_EV_HEALTH,
                                       .task = fx->task,
                                       .check = fx->check,
                                       .delay = fx->at - fx->now,
                                       .error = tt_engine_state(engine, fx->task)->record.error});
        break;
    case TT_FX_TASK_ENDED:
        task_ended(engine, fx);
        break;
    case TT_FX_ROLLBACK_STARTED:
        tt_engine_tell(engine, &(struct tt_event){
                                   .type = TT_EV_ROLLBACK_STARTED,
                                   .task = fx->task,
                                   .environment = tt_engine_state(engine, fx->task)->record.where});
        break;
    case TT_FX_ROLLBACK_ENDED:
        rollback_ended(engine, fx);
        break;
    case TT_FX_RUN_ENDED:
        tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_RUN_ENDED,
                                                  .run_status = fx->run_status,
                                                  .task = fx->task,
                                                  .duration = tt_run_ended_at(engine->run) -
                                                              tt_run_started_at(engine->run)});
        break;
    }
}

static void on_wake(struct tt_timer *timer)
{
    struct tt_engine *engine = tt_owner(timer, struct tt_engine, timer);
    tt_run_tick(engine->run, tt_loop_now(engine->loop));
    pump(engine);
}

static void announce_cancelling(struct tt_engine *engine)
{
    if (!engine->why || engine->announced_why)
        return;
    engine->announced_why = true;
    tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_CANCELLING, .error = engine->why});
}

/* Everything here runs in a job, so listeners and operations never see a half-done change. */
static void pump(struct tt_engine *engine)
{
    announce_cancelling(engine);
    struct tt_effect fx;
    while (tt_run_next(engine->run, &fx))
        carry_out(engine, &fx);
    if (!engine->op)
        return;
    if (tt_run_status(engine->run) != TT_RUN_RUNNING) {
        tt_timer_stop(engine->loop, &engine->timer);
        tt_loop_unpost(engine->loop, &engine->job);
        tt_op_finish(engine->op, NULL);
        engine->op = NULL;
        return;
    }
    int64_t at = tt_run_wake_at(engine->run);
    if (at == TT_NEVER)
        tt_timer_stop(engine->loop, &engine->timer);
    else if (!engine->timer.slot || engine->timer.at != at)
        tt_timer_start(engine->loop, &engine->timer, at, on_wake);
}

void tt_engine_hear(struct tt_engine *engine, const struct tt_op_end *end, struct tt_plan *plan)
{
    struct tt_op_end told = *end;
    if (plan && end->outcome.kind == TT_OK) {
        told.added = tt_plan_specs(plan);
        told.added_count = tt_plan_count(plan);
    }
    engine->joining = plan;
    tt_run_ended(engine->run, tt_loop_now(engine->loop), &told, NULL);
    tt_plan_specs_free((struct tt_task_spec *)told.added);
    pump(engine);
    engine->joining = NULL;
}

/* ---- the operation --------------------------------------------------------------------------- */

static void run_job(struct tt_job *job)
{
    struct tt_engine *engine = tt_owner(job, struct tt_engine, job);
    pump(engine);
}

static void begin_job(struct tt_job *job)
{
    struct tt_engine *engine = tt_owner(job, struct tt_engine, job);
    job->run = run_job;
    tt_engine_tell(
        engine, &(struct tt_event){.type = TT_EV_RUN_STARTED, .count = tt_engine_selected(engine)});
    pump(engine);
}

/* Functions are told at once, before the pump can be: the code of one may be what is interrupted,
 * and may not return to the loop by itself. */
static void tell_operations(struct tt_engine *engine)
{
    struct tt_error *why = tt_engine_stop_reason(engine);
    for (uint32_t i = 0; i < engine->state_room; i++)
        if (engine->states[i] && engine->states[i]->operation)
            tt_operation_interrupt(engine->states[i]->operation, why);
    tt_error_free(why);
}

static void engine_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tt_engine *engine = tt_engine_of(op);
    if (!engine->why)
        engine->why = tt_error_copy(why);
    bool before = tt_run_interrupted(engine->run);
    tt_run_cancel(engine->run, tt_loop_now(op->loop));
    if (!before && tt_run_interrupted(engine->run))
        tell_operations(engine);
    tt_loop_post(op->loop, &engine->job);
}

static void free_state(struct task_state *state)
{
    if (!state)
        return;
    struct tt_record *record = &state->record;
    tt_env_release(record->env);
    free(record->where);
    tt_result_release(record->result);
    tt_result_release(record->rollback_result);
    json_decref(record->value);
    tt_error_free(record->error);
    free(record->trace);
    tt_error_free(record->rollback_error);
    tt_artifacts_clear(&record->artifacts);
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
        .jobs = engine->jobs,
        .on_failure = plan->on_failure,
        .rollback = options->no_rollback ? TT_ROLLBACK_NONE : plan->rollback,
        .seed = tt_loop_random(engine->loop),
        .only = options->only,
        .only_count = options->only_count,
    };
    return tt_plan_start(options->plan, &run, tt_loop_now(engine->loop), &engine->run, err);
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
    engine->job.run = begin_job;
    tt_loop_post(loop, &engine->job);
    return &op->op;
}
