/* Inputs to the run, effects from it. Everything that decides about the run passes tt_engine_hear
 * as one input. */
#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/engine/parts.h"

#include <stdio.h>
#include <stdlib.h>

int64_t tt_engine_now(const struct tt_engine *engine)
{
    return tt_loop_now(engine->loop) - engine->epoch;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static int translate(struct tt_engine *engine, uint32_t number, struct tt_error **err)
{
    const struct tt_needs *needs = tt_run_needs(engine->run);
    const struct tt_needed_set *set = &needs->sets[number];
    struct tt_pool_need *list = tt_reallocarray(NULL, set->count, sizeof *list);
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t pool = set->parts[i].pool;
        const char *key = tt_needs_key(needs, pool);
        list[i] = (struct tt_pool_need){*key ? key : engine->jobs_key, set->parts[i].amount,
                                        needs->pools[pool].limit};
    }
    int rc = tt_limits_set(engine->limits, list, set->count, &engine->sets[number], err);
    free(list);
    return rc;
}

/* The set that the run numbers so, as the limits number it. */
static int find_set(struct tt_engine *engine, uint32_t number, uint32_t *set, struct tt_error **err)
{
    if (number >= engine->set_count) {
        uint32_t count = tt_needs_set_count(tt_run_needs(engine->run));
        engine->sets = tt_reallocarray(engine->sets, count, sizeof *engine->sets);
        for (; engine->set_count < count; engine->set_count++)
            engine->sets[engine->set_count] = TT_NO_SET;
    }
    int rc = engine->sets[number] == TT_NO_SET ? translate(engine, number, err) : 0;
    *set = engine->sets[number];
    return rc;
}

static void on_granted(struct tt_claim *claim)
{
    struct task_state *state = tt_owner(claim, struct task_state, claim);
    tt_engine_hear(
        state->engine,
        &(struct tt_input){.type = TT_IN_GRANTED, .op = state->claim_op, .outcome.code = -1});
}

static void acquire(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct task_state *state = tt_engine_state(engine, fx->task);
    uint32_t set;
    state->claim_op = fx->op;
    if (find_set(engine, fx->set, &set, &state->never) < 0) {
        engine->some_never = true;
        return;
    }
    state->claim.granted = on_granted;
    tt_claim_wait(engine->limits, &state->claim, set, fx->priority, fx->task);
}

static void release(struct tt_engine *engine, const struct tt_effect *fx)
{
    struct task_state *state = tt_engine_state(engine, fx->task);
    uint32_t set;
    if (fx->set != TT_NO_SET && find_set(engine, fx->set, &set, NULL) == 0)
        tt_claim_keep(&state->claim, set);
    else
        tt_claim_release(&state->claim);
}

/* ---- effects --------------------------------------------------------------------------------- */

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
    case TT_FX_ACQUIRE:
        acquire(engine, fx);
        break;
    case TT_FX_RELEASE:
        release(engine, fx);
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

static void announce_cancelling(struct tt_engine *engine)
{
    if (!engine->why || engine->announced_why)
        return;
    engine->announced_why = true;
    tt_engine_tell(engine, &(struct tt_event){.type = TT_EV_CANCELLING, .error = engine->why});
}

/* ---- inputs ---------------------------------------------------------------------------------- */

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

static void tell_run(struct tt_engine *engine, struct tt_input *input)
{
    struct tt_error *err = NULL;
    input->now = tt_engine_now(engine);
    if (engine->recorder.input)
        engine->recorder.input(engine->recorder.arg, input);
    if (tt_run_tell(engine->run, input, &err) == 0)
        return;
    /* the driver is wrong; going on would hang the run, or end it with an outcome nobody saw */
    char *text = tt_error_text(err);
    fprintf(stderr, "tutti: bug: the run %s refused an input: %s\n", engine->id, text);
    abort();
}

static void tell_cancelled(struct tt_engine *engine)
{
    bool before = tt_run_interrupted(engine->run);
    engine->cancel_asked = false;
    struct tt_yield why = {.error = engine->why};
    tell_run(engine,
             &(struct tt_input){.type = TT_IN_CANCELLED, .outcome.code = -1, .yield = &why});
    if (!before && tt_run_interrupted(engine->run))
        tell_operations(engine);
}

void tt_engine_hear_cancelled(struct tt_engine *engine)
{
    if (engine->pumping)
        engine->cancel_asked = true;
    else
        tell_cancelled(engine);
    tt_loop_post(engine->loop, &engine->job);
}

/* Tells the run of the first task whose slots can never be had; false when there is none. */
static bool tell_never(struct tt_engine *engine)
{
    for (uint32_t i = 0; engine->some_never && i < engine->state_room; i++) {
        struct task_state *state = engine->states[i];
        if (!state || !state->never)
            continue;
        struct tt_input input = {.type = TT_IN_GRANTED, .op = state->claim_op};
        input.outcome =
            (struct tt_outcome){.kind = state->never->kind, .code = -1, .value = ++engine->names};
        struct tt_yield yield = {.error = state->never};
        state->never = NULL;
        input.yield = &yield;
        tt_record_fold(&state->record, TT_PHASE_NONE, &input.outcome, &yield);
        tell_run(engine, &input);
        tt_yield_clear(&yield);
        return true;
    }
    engine->some_never = false;
    return false;
}

static void on_wake(struct tt_timer *timer)
{
    struct tt_engine *engine = tt_owner(timer, struct tt_engine, timer);
    tt_engine_hear(engine, &(struct tt_input){.type = TT_IN_TICK});
}

static void carry_out_all(struct tt_engine *engine)
{
    const struct tt_effect *effects;
    do {
        engine->pumping = true;
        for (size_t count; (count = tt_run_take(engine->run, &effects)) > 0;)
            for (size_t i = 0; i < count; i++)
                carry_out(engine, &effects[i]);
        engine->pumping = false;
        if (engine->cancel_asked)
            tell_cancelled(engine);
        else if (!tell_never(engine))
            break;
    } while (true);
}

void tt_engine_pump(struct tt_engine *engine)
{
    announce_cancelling(engine);
    carry_out_all(engine);
    if (!engine->op)
        return;
    if (tt_run_status(engine->run) != TT_RUN_RUNNING) {
        tt_timer_stop(engine->loop, &engine->timer);
        tt_loop_unpost(engine->loop, &engine->job);
        tt_jobs_close(engine->limits, engine->jobs_key);
        tt_op_finish(engine->op, NULL);
        engine->op = NULL;
        return;
    }
    int64_t at = tt_run_wake_at(engine->run);
    if (at != TT_NEVER)
        at += engine->epoch;
    if (at == TT_NEVER)
        tt_timer_stop(engine->loop, &engine->timer);
    else if (!engine->timer.slot || engine->timer.at != at)
        tt_timer_start(engine->loop, &engine->timer, at, on_wake);
}

void tt_engine_hear(struct tt_engine *engine, struct tt_input *input)
{
    struct tt_plan *added = input->yield ? input->yield->added : NULL;
    if (added && input->outcome.kind == TT_OK) {
        input->added = tt_plan_specs(added);
        input->added_count = tt_plan_count(added);
    }
    engine->joining = added;
    tell_run(engine, input);
    tt_plan_specs_free((struct tt_task_spec *)(uintptr_t)input->added);
    tt_engine_pump(engine);
    engine->joining = NULL;
}
