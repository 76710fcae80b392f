/* One operation of a task, from the run's order to the report of its end. */
#include "core/base/alloc.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>

struct step {
    struct tt_engine *engine;
    struct task_state *state;
    const struct tt_task *task;
    struct tt_effect fx;
    struct tt_scope *scope; /* its own: the deadline, and what cancels it */
    struct tt_op *op;
    struct tt_task_call call;
    struct tt_mask masks[2]; /* of the command's streams */
};

static const struct tt_action *action_of(const struct step *step)
{
    switch (step->fx.phase) {
    case TT_PHASE_HEALTH:
        return &step->task->more->health;
    case TT_PHASE_ROLLBACK:
        return &step->task->more->rollback;
    default:
        return &step->task->run;
    }
}

/* ---- output --------------------------------------------------------------------------------- */

static void spool(struct step *step, const char *bytes, size_t length)
{
    struct tt_engine *engine = step->engine;
    struct task_state *state = step->state;
    char *dir = state->log.path ? NULL : tt_format("%s/logs", engine->run_dir);
    struct tt_error *err = NULL;
    if (tt_tasklog_write(&state->log, dir, step->task->name, bytes, length, &err) < 0) {
        state->record.log_broken = true;
        tt_fail(&err, err->kind, "the log of task \"%s\" is incomplete", step->task->name);
        engine_warn(engine, step->fx.task, err);
        tt_error_free(err);
    }
    free(dir);
    engine->dir_made |= state->log.fd >= 0;
}

static void deliver_output(struct step *step, enum tt_stream stream, const char *bytes,
                           size_t length)
{
    struct tt_engine *engine = step->engine;
    if (length == 0)
        return;
    if (!step->state->record.log_broken)
        spool(step, bytes, length);
    if (engine->listener.output)
        engine_tell(engine, &(struct tt_event){.type = TT_EV_OUTPUT,
                                               .task = step->fx.task,
                                               .phase = step->fx.phase,
                                               .stream = stream,
                                               .text = bytes,
                                               .length = length});
}

static void on_output(void *arg, enum tt_stream stream, const char *bytes, size_t length)
{
    struct step *step = arg;
    const struct tt_masker *masker = step->engine->masker;
    if (!masker || tt_masker_empty(masker)) {
        deliver_output(step, stream, bytes, length);
        return;
    }
    struct tt_buf masked = {0};
    tt_mask_feed(masker, &step->masks[stream], bytes, length, &masked);
    deliver_output(step, stream, masked.data, masked.length);
    tt_buf_free(&masked);
}

/* Bytes that could have been the beginning of a secret are known now not to be one. */
static void flush_output(struct step *step)
{
    for (int i = 0; i < 2; i++) {
        struct tt_buf rest = {0};
        tt_mask_end(&step->masks[i], &rest);
        deliver_output(step, (enum tt_stream)i, rest.data, rest.length);
        tt_buf_free(&rest);
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

static void count_usage(struct tt_record *record, const struct tt_usage *usage)
{
    if (usage->max_rss_bytes > record->peak_memory)
        record->peak_memory = usage->max_rss_bytes;
    if (usage->cpu_user_s < 0)
        return;
    record->cpu = (record->cpu < 0 ? 0 : record->cpu) + usage->cpu_user_s + usage->cpu_system_s;
}

static void keep_result(struct tt_result **slot, struct tt_result *result)
{
    struct tt_result *old = *slot;
    *slot = result ? tt_result_retain(result) : NULL;
    tt_result_release(old);
}

/* Keeps what the operation yielded and says in `outcome` what became of it; the error, or NULL. */
static struct tt_error *command_end(struct step *step, struct tt_outcome *outcome)
{
    struct tt_record *record = &step->state->record;
    struct tt_result *result = tt_result_of(step->op);
    flush_output(step);
    if (step->fx.phase == TT_PHASE_RUN)
        keep_result(&record->result, result);
    if (step->fx.phase == TT_PHASE_ROLLBACK)
        keep_result(&record->rollback_result, result);
    if (result) {
        outcome->code = result->code;
        count_usage(record, &result->usage);
        if (result->env && (!record->where || strcmp(result->env, record->where) != 0)) {
            free(record->where);
            record->where = tt_strdup(result->env);
        }
    }
    if (step->op->error)
        return tt_error_copy(step->op->error);
    return result && result->kind != TT_OK ? tt_result_error(result) : NULL;
}

static struct tt_error *call_end(struct step *step, struct tt_outcome *outcome)
{
    struct tt_record *record = &step->state->record;
    struct tt_value_op *op = (struct tt_value_op *)(void *)step->op;
    const json_t *value = op->value;
    if (step->fx.phase == TT_PHASE_RUN) {
        keep_result(&record->result, op->result);
        json_decref(record->value);
        record->value = op->op.error ? NULL : json_incref(op->value);
    }
    if (step->fx.phase == TT_PHASE_ROLLBACK) {
        keep_result(&record->rollback_result, op->result);
    } else {
        free(record->trace);
        record->trace = op->trace ? tt_strdup(op->trace) : NULL;
    }
    if (op->op.error)
        return tt_error_copy(op->op.error);
    if (step->fx.phase == TT_PHASE_WHEN)
        outcome->refused = !value || json_is_null(value) || json_is_false(value);
    if (step->fx.phase == TT_PHASE_HEALTH && value && (json_is_null(value) || json_is_false(value)))
        return tt_error_new(TT_HEALTH, "the health function returned %s",
                            json_is_null(value) ? "nil" : "false");
    return NULL;
}

static struct tt_error *end_of(struct step *step, struct tt_outcome *outcome)
{
    outcome->code = -1;
    switch (step->fx.phase) {
    case TT_PHASE_WHEN:
        if (step->task->more->when == TT_WHEN_CALL)
            return call_end(step, outcome);
        outcome->refused = true;
        break;
    case TT_PHASE_OUTPUT:
        if (!step->op->error) {
            tt_artifacts_clear(&step->state->record.artifacts);
            tt_artifacts_copy(&step->state->record.artifacts, tt_artifacts_of(step->op));
        }
        break;
    case TT_PHASE_INPUT:
    case TT_PHASE_NONE:
        break;
    default:
        return action_of(step)->form == TT_ACTION_CALL ? call_end(step, outcome)
                                                       : command_end(step, outcome);
    }
    return tt_error_copy(step->op->error);
}

static void keep_error(struct step *step, struct tt_error *error, struct tt_outcome *outcome)
{
    struct tt_record *record = &step->state->record;
    struct tt_error **slot =
        step->fx.phase == TT_PHASE_ROLLBACK ? &record->rollback_error : &record->error;
    tt_error_free(*slot);
    *slot = error;
    outcome->kind = error->kind;
    outcome->value = ++step->engine->names;
    if (slot == &record->error)
        record->error_name = outcome->value;
}

static void finish(struct step *step, struct tt_op_end *end)
{
    struct tt_engine *engine = step->engine;
    struct tt_plan *added = step->call.added;
    bool passed = step->fx.phase == TT_PHASE_HEALTH && end->outcome.kind == TT_OK;
    uint32_t task = step->fx.task;
    step->state->step = NULL;
    tt_op_release(step->op);
    tt_scope_release(step->scope);
    free(step);
    if (passed)
        engine_tell(engine, &(struct tt_event){.type = TT_EV_HEALTH, .task = task});
    engine_ended(engine, end, added);
    tt_plan_release(added);
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    struct step *step = arg;
    struct tt_op_end end = {.op = step->fx.op};
    struct tt_error *error = end_of(step, &end.outcome);
    if (error)
        keep_error(step, error, &end.outcome);
    finish(step, &end);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static struct tt_op *start_command(struct step *step, const struct tt_action *action)
{
    struct tt_command command;
    engine_command(step->engine, step->task, action, &command);
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    const struct tt_task_more *more = step->task->more;
    options.proc.timeout = more && more->command_timeout ? more->command_timeout : TT_NEVER;
    if (more && more->grace_given)
        options.proc.grace = more->grace;
    options.keep_tail = engine_kept_tail;
    options.on_output = on_output;
    options.arg = step;
    struct tt_op *op = tt_capture(step->state->record.env, step->scope, &command, &options);
    free(command.vars);
    return op;
}

static struct tt_op *start_call(struct step *step, uint32_t function)
{
    struct tt_env *env = step->state->record.env;
    step->call = (struct tt_task_call){
        .engine = step->engine,
        .task = step->fx.task,
        .attempt = step->fx.attempt,
        .phase = step->fx.phase,
        .env = env ? env : step->task->env,
    };
    struct tt_host *host = tt_plan_host(step->engine->plan);
    return host->class_->call(host, function, &step->call, step->scope);
}

static struct tt_op *start_input(struct step *step)
{
    const struct tt_names *patterns = &step->task->more->input;
    struct tt_artifacts selected = {0};
    struct tt_error *err = NULL;
    if (engine_inputs(step->engine, step->fx.task, patterns, &selected, &err) < 0)
        return tt_op_finished_new(step->scope, err);
    /* What matched was collected by somebody, so the store is open. */
    struct tt_op *op = tt_store_lay_out(step->engine->store, step->scope, step->state->record.env,
                                        step->task->cwd, &selected);
    tt_artifacts_clear(&selected);
    return op;
}

static struct tt_op *start_output(struct step *step)
{
    struct tt_error *err = NULL;
    if (engine_open_store(step->engine, &err) < 0)
        return tt_op_finished_new(step->scope, err);
    const struct tt_names *patterns = &step->task->more->output;
    return tt_store_collect(step->engine->store, step->scope, step->state->record.env,
                            step->task->cwd, (const char *const *)patterns->items, patterns->count);
}

static struct tt_op *start(struct step *step)
{
    switch (step->fx.phase) {
    case TT_PHASE_WHEN:
        return step->task->more->when == TT_WHEN_CALL
                   ? start_call(step, step->task->more->when_function)
                   : tt_op_finished_new(step->scope, NULL);
    case TT_PHASE_INPUT:
        return start_input(step);
    case TT_PHASE_OUTPUT:
        return start_output(step);
    default:
        break;
    }
    const struct tt_action *action = action_of(step);
    return action->form == TT_ACTION_CALL ? start_call(step, action->function)
                                          : start_command(step, action);
}

static void announce(struct step *step)
{
    struct task_state *state = step->state;
    if (!state->record.where)
        state->record.where = tt_strdup(state->record.env->text);
    if (step->fx.phase == TT_PHASE_ROLLBACK || state->announced >= step->fx.attempt)
        return;
    state->announced = step->fx.attempt;
    engine_tell(step->engine, &(struct tt_event){.type = TT_EV_ATTEMPT_STARTED,
                                                 .task = step->fx.task,
                                                 .attempt = step->fx.attempt,
                                                 .environment = state->record.where});
}

static void perform(struct step *step)
{
    if (step->fx.phase != TT_PHASE_WHEN)
        announce(step);
    step->op = start(step);
    tt_op_await(step->op, on_done, step);
}

static void on_resolved(struct tt_op *op, void *arg)
{
    struct step *step = arg;
    if (op->error) {
        struct tt_op_end end = {.op = step->fx.op, .outcome = {.code = -1}};
        keep_error(step, tt_error_copy(op->error), &end.outcome);
        finish(step, &end);
        return;
    }
    step->state->record.env = tt_env_of(op);
    tt_env_retain(step->state->record.env);
    tt_op_release(op);
    step->op = NULL;
    perform(step);
}

static void set_deadline(struct step *step)
{
    static const char *const whose[] = {[TT_PHASE_WHEN] = "the condition of ",
                                        [TT_PHASE_INPUT] = "laying out the inputs of ",
                                        [TT_PHASE_RUN] = "",
                                        [TT_PHASE_HEALTH] = "the health check of ",
                                        [TT_PHASE_OUTPUT] = "collecting the outputs of ",
                                        [TT_PHASE_ROLLBACK] = "the rollback of "};
    if (step->fx.deadline == TT_NEVER)
        return;
    char *what = tt_format("%stask \"%s\"", whose[step->fx.phase], step->task->name);
    tt_scope_limit(step->scope, step->fx.deadline, step->fx.limit, what);
    free(what);
}

void step_begin(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct step *step = tt_zalloc(sizeof *step);
    step->engine = engine;
    step->fx = *fx;
    step->task = tt_engine_task(engine, fx->task);
    step->state = engine_state(engine, fx->task);
    step->state->step = step;
    step->scope = tt_scope_new(engine->loop, engine->scope);
    set_deadline(step);
    struct tt_env *env = step->task->env;
    if (fx->phase == TT_PHASE_WHEN || step->state->record.env) {
        perform(step);
    } else if (env->class_->resolve == tt_env_resolve_self) {
        step->state->record.env = env;
        tt_env_retain(env);
        perform(step);
    } else {
        step->op = env->class_->resolve(env, step->scope);
        tt_op_await(step->op, on_resolved, step);
    }
}

void step_cancel(struct step *step, const struct tt_error *why)
{
    tt_scope_cancel(step->scope, why);
}

void step_interrupt(struct step *step, const struct tt_error *why)
{
    if (step->fx.phase != TT_PHASE_ROLLBACK)
        step_cancel(step, why);
}
