/* One operation of a task, from the run's order to the report of its end. */
#include "core/base/alloc.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>

struct tt_operation {
    struct tt_engine *engine;
    struct task_state *state;
    const struct tt_task *task;
    struct tt_effect fx;
    struct tt_scope *scope; /* its own: the deadline, and what cancels it */
    struct tt_op *op;
    struct tt_task_call call;
    struct tt_mask masks[2]; /* of the command's streams */
};

static const struct tt_action *action_of(const struct tt_operation *operation)
{
    switch (operation->fx.phase) {
    case TT_PHASE_HEALTH:
        return &operation->task->more->health;
    case TT_PHASE_ROLLBACK:
        return &operation->task->more->rollback;
    default:
        return &operation->task->run;
    }
}

/* ---- output --------------------------------------------------------------------------------- */

static void spool(struct tt_operation *operation, const char *bytes, size_t length)
{
    struct tt_engine *engine = operation->engine;
    struct task_state *state = operation->state;
    char *dir = state->log.path ? NULL : tt_format("%s/logs", engine->run_dir);
    struct tt_error *err = NULL;
    if (tt_tasklog_write(&state->log, dir, operation->task->name, bytes, length, &err) < 0) {
        state->record.log_broken = true;
        tt_fail(&err, err->kind, "the log of task \"%s\" is incomplete", operation->task->name);
        tt_engine_warn(engine, operation->fx.task, err);
        tt_error_free(err);
    }
    free(dir);
    engine->dir_made |= state->log.fd >= 0;
}

static void deliver_output(struct tt_operation *operation, enum tt_stream stream, const char *bytes,
                           size_t length)
{
    struct tt_engine *engine = operation->engine;
    if (length == 0)
        return;
    if (!operation->state->record.log_broken)
        spool(operation, bytes, length);
    if (engine->listener.output)
        tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_OUTPUT,
                                                  .task = operation->fx.task,
                                                  .phase = operation->fx.phase,
                                                  .stream = stream,
                                                  .text = bytes,
                                                  .length = length});
}

static void on_output(void *arg, enum tt_stream stream, const char *bytes, size_t length)
{
    struct tt_operation *operation = arg;
    const struct tt_masker *masker = operation->engine->masker;
    if (!masker || tt_masker_empty(masker)) {
        deliver_output(operation, stream, bytes, length);
        return;
    }
    struct tt_buf masked = {0};
    tt_mask_feed(masker, &operation->masks[stream], bytes, length, &masked);
    deliver_output(operation, stream, masked.data, masked.length);
    tt_buf_free(&masked);
}

/* Bytes that could have been the beginning of a secret are known now not to be one. */
static void flush_output(struct tt_operation *operation)
{
    for (int i = 0; i < 2; i++) {
        struct tt_buf rest = {0};
        tt_mask_end(&operation->masks[i], &rest);
        deliver_output(operation, (enum tt_stream)i, rest.data, rest.length);
        tt_buf_free(&rest);
    }
}

/* ---- the end -------------------------------------------------------------------------------- */

/* What a command yielded, and what became of it. */
static struct tt_error *command_end(struct tt_operation *operation, struct tt_outcome *outcome,
                                    struct tt_yield *yield)
{
    struct tt_result *result = tt_result_of(operation->op);
    flush_output(operation);
    if (result) {
        outcome->code = result->code;
        yield->result = tt_result_retain(result);
        yield->environment = result->env ? tt_strdup(result->env) : NULL;
    }
    if (operation->op->error)
        return tt_error_copy(operation->op->error);
    return result && result->kind != TT_OK ? tt_result_error(result) : NULL;
}

static struct tt_error *call_end(struct tt_operation *operation, struct tt_outcome *outcome,
                                 struct tt_yield *yield)
{
    struct tt_value_op *op = (struct tt_value_op *)(void *)operation->op;
    enum tt_phase phase = operation->fx.phase;
    const json_t *value = op->value;
    bool nothing = !value || json_is_null(value) || json_is_false(value);
    yield->called = true;
    yield->added = operation->call.added;
    operation->call.added = NULL;
    yield->result = op->result ? tt_result_retain(op->result) : NULL;
    yield->trace = op->trace ? tt_strdup(op->trace) : NULL;
    if (op->op.error)
        return tt_error_copy(op->op.error);
    yield->value = op->value ? json_incref(op->value) : NULL;
    if (phase == TT_PHASE_WHEN)
        outcome->refused = nothing;
    if (phase == TT_PHASE_HEALTH && value && nothing)
        return tt_error_new(TT_HEALTH, "the health function returned %s",
                            json_is_null(value) ? "nil" : "false");
    return NULL;
}

static struct tt_error *end_of(struct tt_operation *operation, struct tt_outcome *outcome,
                               struct tt_yield *yield)
{
    switch (operation->fx.phase) {
    case TT_PHASE_WHEN:
        if (operation->task->more->when == TT_WHEN_CALL)
            return call_end(operation, outcome, yield);
        outcome->refused = true;
        break;
    case TT_PHASE_OUTPUT:
        if (!operation->op->error) {
            yield->artifacts = tt_zalloc(sizeof *yield->artifacts);
            tt_artifacts_copy(yield->artifacts, tt_artifacts_of(operation->op));
        }
        break;
    case TT_PHASE_INPUT:
    case TT_PHASE_NONE:
        break;
    default:
        return action_of(operation)->form == TT_ACTION_CALL
                   ? call_end(operation, outcome, yield)
                   : command_end(operation, outcome, yield);
    }
    return tt_error_copy(operation->op->error);
}

/* It has ended: the run hears of it, with all that it yielded (taken). */
static void finish(struct tt_operation *operation, struct tt_input *end, struct tt_yield *yield)
{
    struct tt_engine *engine = operation->engine;
    struct task_state *state = operation->state;
    enum tt_phase phase = operation->fx.phase;
    if (yield->error) {
        end->outcome.kind = yield->error->kind;
        end->outcome.value = ++engine->names;
    }
    if (!yield->environment && phase != TT_PHASE_WHEN && state->record.where)
        yield->environment = tt_strdup(state->record.where);
    end->yield = yield;
    state->operation = NULL;
    tt_op_release(operation->op);
    tt_scope_release(operation->scope);
    tt_plan_release(operation->call.added);
    free(operation);
    tt_record_fold(&state->record, phase, &end->outcome, yield);
    if (phase == TT_PHASE_HEALTH && end->outcome.kind == TT_OK)
        tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_HEALTH, .task = state->task});
    tt_engine_hear(engine, end);
    tt_yield_clear(yield);
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    struct tt_operation *operation = arg;
    struct tt_input end = {.type = TT_IN_ENDED, .op = operation->fx.op, .outcome.code = -1};
    struct tt_yield yield = {0};
    yield.error = end_of(operation, &end.outcome, &yield);
    finish(operation, &end, &yield);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static struct tt_op *start_command(struct tt_operation *operation, const struct tt_action *action)
{
    struct tt_command command;
    tt_engine_command(operation->engine, operation->task, action, &command);
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    const struct tt_task_more *more = operation->task->more;
    options.proc.timeout = more && more->command_timeout ? more->command_timeout : TT_NEVER;
    if (more && more->grace_given)
        options.proc.grace = more->grace;
    options.keep_tail = tt_engine_kept_tail;
    options.on_output = on_output;
    options.arg = operation;
    struct tt_op *op =
        tt_capture(operation->state->record.env, operation->scope, &command, &options);
    free(command.vars);
    return op;
}

static struct tt_op *start_call(struct tt_operation *operation, uint32_t function)
{
    struct tt_env *env = operation->state->record.env;
    operation->call = (struct tt_task_call){
        .engine = operation->engine,
        .task = operation->fx.task,
        .attempt = operation->fx.attempt,
        .phase = operation->fx.phase,
        .env = env ? env : operation->task->env,
    };
    struct tt_script_host *host = tt_plan_host(operation->engine->plan);
    return host->class_->call(host, function, &operation->call, operation->scope);
}

static struct tt_op *start_input(struct tt_operation *operation)
{
    const struct tt_texts *patterns = &operation->task->more->input;
    struct tt_artifacts selected = {0};
    struct tt_error *err = NULL;
    if (tt_engine_inputs(operation->engine, operation->fx.task, patterns, &selected, &err) < 0)
        return tt_op_finished_new(operation->scope, err);
    /* What matched was collected by somebody, so the store is open. */
    struct tt_op *op =
        tt_store_lay_out(operation->engine->store, operation->scope, operation->state->record.env,
                         operation->task->cwd, &selected);
    tt_artifacts_clear(&selected);
    return op;
}

static struct tt_op *start_output(struct tt_operation *operation)
{
    struct tt_error *err = NULL;
    if (tt_engine_open_store(operation->engine, &err) < 0)
        return tt_op_finished_new(operation->scope, err);
    const struct tt_texts *patterns = &operation->task->more->output;
    return tt_store_collect(operation->engine->store, operation->scope,
                            operation->state->record.env, operation->task->cwd,
                            (const char *const *)patterns->items, patterns->count);
}

static struct tt_op *start(struct tt_operation *operation)
{
    switch (operation->fx.phase) {
    case TT_PHASE_WHEN:
        return operation->task->more->when == TT_WHEN_CALL
                   ? start_call(operation, operation->task->more->when_function)
                   : tt_op_finished_new(operation->scope, NULL);
    case TT_PHASE_INPUT:
        return start_input(operation);
    case TT_PHASE_OUTPUT:
        return start_output(operation);
    default:
        break;
    }
    const struct tt_action *action = action_of(operation);
    return action->form == TT_ACTION_CALL ? start_call(operation, action->function)
                                          : start_command(operation, action);
}

static void announce(struct tt_operation *operation)
{
    struct task_state *state = operation->state;
    if (!state->record.where)
        state->record.where = tt_strdup(state->record.env->text);
    if (operation->fx.phase == TT_PHASE_ROLLBACK || state->announced >= operation->fx.attempt)
        return;
    state->announced = operation->fx.attempt;
    tt_engine_tell(operation->engine, &(struct tt_event){.type = TT_EV_ATTEMPT_STARTED,
                                                         .task = operation->fx.task,
                                                         .attempt = operation->fx.attempt,
                                                         .environment = state->record.where});
}

static void perform(struct tt_operation *operation)
{
    if (operation->fx.phase != TT_PHASE_WHEN)
        announce(operation);
    operation->op = start(operation);
    tt_op_await(operation->op, on_done, operation);
}

static void on_resolved(struct tt_op *op, void *arg)
{
    struct tt_operation *operation = arg;
    if (op->error) {
        struct tt_input end = {.type = TT_IN_ENDED, .op = operation->fx.op, .outcome.code = -1};
        struct tt_yield yield = {.error = tt_error_copy(op->error)};
        finish(operation, &end, &yield);
        return;
    }
    operation->state->record.env = tt_env_of(op);
    tt_env_retain(operation->state->record.env);
    tt_op_release(op);
    operation->op = NULL;
    perform(operation);
}

static void set_deadline(struct tt_operation *operation)
{
    static const char *const whose[] = {[TT_PHASE_WHEN] = "the condition of ",
                                        [TT_PHASE_INPUT] = "laying out the inputs of ",
                                        [TT_PHASE_RUN] = "",
                                        [TT_PHASE_HEALTH] = "the health check of ",
                                        [TT_PHASE_OUTPUT] = "collecting the outputs of ",
                                        [TT_PHASE_ROLLBACK] = "the rollback of "};
    if (operation->fx.deadline == TT_NEVER)
        return;
    char *what = tt_format("%stask \"%s\"", whose[operation->fx.phase], operation->task->name);
    tt_scope_limit(operation->scope, operation->engine->epoch + operation->fx.deadline,
                   operation->fx.limit, what);
    free(what);
}

void tt_operation_begin(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct tt_operation *operation = tt_zalloc(sizeof *operation);
    operation->engine = engine;
    operation->fx = *fx;
    operation->task = tt_engine_task(engine, fx->task);
    operation->state = tt_engine_state(engine, fx->task);
    operation->state->operation = operation;
    operation->scope = tt_scope_new(engine->loop, engine->scope);
    set_deadline(operation);
    struct tt_env *env = operation->task->env;
    if (fx->phase == TT_PHASE_WHEN || operation->state->record.env) {
        perform(operation);
    } else if (env->class_->resolve == tt_env_resolve_self) {
        operation->state->record.env = env;
        tt_env_retain(env);
        perform(operation);
    } else {
        operation->op = env->class_->resolve(env, operation->scope);
        tt_op_await(operation->op, on_resolved, operation);
    }
}

void tt_operation_cancel(struct tt_operation *operation, const struct tt_error *why)
{
    tt_scope_cancel(operation->scope, why);
}

void tt_operation_interrupt(struct tt_operation *operation, const struct tt_error *why)
{
    if (operation->fx.phase != TT_PHASE_ROLLBACK)
        tt_operation_cancel(operation, why);
}
