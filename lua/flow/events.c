#include "lua/flow/events.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "lua/value/error.h"
#include "lua/value/fields.h"
#include "lua/vm/masker.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

struct lt_events {
    struct lt_vm *vm;
    struct tt_engine *engine;
    int function, batch; /* in the registry; batch: what was collected */
    lua_Integer count;
    uint32_t done, total;
    bool output, broken, ended;
    const struct tt_event *event; /* being added */
    struct tt_job flush;
};

static const char *const type_names[] = {
    [TT_EV_RUN_STARTED] = "run_started",
    [TT_EV_ATTEMPT_STARTED] = "attempt_started",
    [TT_EV_OUTPUT] = "output",
    [TT_EV_RETRY] = "retry",
    [TT_EV_HEALTH] = "health",
    [TT_EV_TASK_ENDED] = "task_ended",
    [TT_EV_TASKS_ADDED] = "tasks_added",
    [TT_EV_CANCELLING] = "cancelling",
    [TT_EV_ROLLBACK_STARTED] = "rollback_started",
    [TT_EV_ROLLBACK_ENDED] = "rollback_ended",
    [TT_EV_WARNING] = "warning",
    [TT_EV_RUN_ENDED] = "run_ended",
};

static void set_seconds(lua_State *L, const char *field, int64_t ms)
{
    lt_set_number(L, field, (double)ms / 1000);
}

static void set_run_start(lua_State *L, const struct lt_events *events)
{
    lt_set_text(L, "run", tt_engine_id(events->engine));
    lt_set_text(L, "workflow", tt_plan_name(tt_engine_plan(events->engine)));
    lt_set_integer(L, "total", events->total);
    lt_set_integer(L, "jobs", tt_engine_jobs(events->engine));
}

static void set_task_end(lua_State *L, const struct lt_events *events, const struct tt_event *event)
{
    struct tt_task_view view;
    tt_run_task(tt_engine_run(events->engine), event->task, &view);
    lt_set_text(L, "status", tt_task_status_name(event->status));
    lt_set_integer(L, "attempts", event->attempt);
    lt_set_integer(L, "done", events->done);
    lt_set_integer(L, "total", events->total);
    char *reason = tt_engine_skip_reason(events->engine, event->task);
    if (reason)
        lt_set_text(L, "reason", reason);
    free(reason);
    if (event->duration >= 0)
        set_seconds(L, "duration_s", event->duration);
    if (view.has_result && view.result.code >= 0)
        lt_set_integer(L, "exit_code", view.result.code);
}

static void set_added(lua_State *L, const struct lt_events *events, const struct tt_event *event)
{
    const struct tt_run *run = tt_engine_run(events->engine);
    lt_set_text(L, "by", tt_run_name(run, event->task));
    lt_set_integer(L, "total", events->total);
    lua_createtable(L, (int)event->count, 0);
    for (uint32_t i = 0; i < event->count; i++) {
        lua_pushstring(L, tt_run_name(run, event->first + i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "tasks");
}

static void set_error(lua_State *L, const struct tt_error *error)
{
    char *message = tt_error_text(error);
    lua_createtable(L, 0, 2);
    lt_set_text(L, "kind", tt_kind_name(error->kind));
    lt_set_text(L, "message", message);
    free(message);
    lua_setfield(L, -2, "error");
}

static void set_fields(lua_State *L, const struct lt_events *events, const struct tt_event *event)
{
    switch (event->type) {
    case TT_EV_RUN_STARTED:
        set_run_start(L, events);
        break;
    case TT_EV_ATTEMPT_STARTED:
        lt_set_integer(L, "attempt", event->attempt);
        break;
    case TT_EV_OUTPUT:
        lt_set_text(L, "stream", event->stream == TT_STDOUT ? "stdout" : "stderr");
        lt_set_text(L, "phase", tt_phase_name(event->phase));
        break;
    case TT_EV_RETRY:
        lt_set_integer(L, "attempt", event->attempt);
        set_seconds(L, "delay_s", event->delay);
        break;
    case TT_EV_HEALTH:
        lt_set_integer(L, "attempt", event->check);
        break;
    case TT_EV_TASK_ENDED:
        set_task_end(L, events, event);
        break;
    case TT_EV_TASKS_ADDED:
        set_added(L, events, event);
        break;
    case TT_EV_ROLLBACK_ENDED:
        lt_set_text(L, "status", tt_task_status_name(event->status));
        set_seconds(L, "duration_s", event->duration);
        break;
    case TT_EV_RUN_ENDED:
        lt_set_text(L, "status", tt_run_status_name(event->run_status));
        set_seconds(L, "duration_s", event->duration);
        break;
    case TT_EV_CANCELLING:
    case TT_EV_ROLLBACK_STARTED:
    case TT_EV_WARNING:
        break;
    }
}

static bool is_about_task(enum tt_event_type type)
{
    return type != TT_EV_RUN_STARTED && type != TT_EV_RUN_ENDED && type != TT_EV_CANCELLING &&
           type != TT_EV_TASKS_ADDED;
}

static int add_event(lua_State *L)
{
    struct lt_events *events = lua_touserdata(L, 1);
    const struct tt_event *event = events->event;
    lua_rawgeti(L, LUA_REGISTRYINDEX, events->batch);
    lua_createtable(L, 0, 8);
    lt_set_text(L, "type", type_names[event->type]);
    lt_set_integer(L, "at", event->at);
    if (is_about_task(event->type)) {
        lt_set_text(L, "task", tt_run_name(tt_engine_run(events->engine), event->task));
        lt_set_integer(L, "index", (int64_t)event->task + 1);
    }
    set_fields(L, events, event);
    if (event->environment)
        lt_set_text(L, "environment", event->environment);
    if (event->error)
        set_error(L, event->error);
    if (event->text) {
        lua_pushlstring(L, event->text, event->length);
        lua_setfield(L, -2, "text");
    }
    lua_rawseti(L, -2, events->count + 1);
    events->count++;
    return 0;
}

static int call_listener(lua_State *L)
{
    struct lt_events *events = lua_touserdata(L, 1);
    lua_Integer count = events->count;
    events->count = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, events->function);
    lua_rawgeti(L, LUA_REGISTRYINDEX, events->batch);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, events->batch);
    lua_pushinteger(L, count);
    lua_call(L, 2, 0);
    return 0;
}

static void protect(struct lt_events *events, lua_CFunction function)
{
    struct tt_error *err = NULL;
    if (events->broken || lt_vm_protect(events->vm, function, events, &err) == 0)
        return;
    events->broken = true;
    char *text = tt_error_text(err);
    lt_warn(events->vm, "progress is no longer shown: %s", text);
    free(text);
    tt_error_free(err);
}

static void events_free(struct lt_events *events)
{
    lt_unref(events->vm, events->function);
    lt_unref(events->vm, events->batch);
    free(events);
}

static void flush(struct tt_job *job)
{
    struct lt_events *events = tt_owner(job, struct lt_events, flush);
    protect(events, call_listener);
    if (events->ended)
        events_free(events);
}

static void on_event(void *arg, const struct tt_event *event)
{
    struct lt_events *events = arg;
    if (event->type == TT_EV_RUN_STARTED)
        events->total = event->count;
    events->total += event->type == TT_EV_TASKS_ADDED ? event->count : 0;
    events->done += event->type == TT_EV_TASK_ENDED;
    events->ended |= event->type == TT_EV_RUN_ENDED;
    events->event = event;
    protect(events, add_event);
    tt_loop_post(lt_vm_loop(events->vm), &events->flush);
}

struct lt_events *lt_events_new(lua_State *L, int index, bool output)
{
    struct lt_events *events = tt_zalloc(sizeof *events);
    events->vm = lt_vm_of(L);
    events->flush.run = flush;
    events->output = output;
    events->function = lt_ref(L, index);
    lua_newtable(L);
    events->batch = lt_ref(L, -1);
    lua_pop(L, 1);
    return events;
}

struct tt_listener lt_events_listener(struct lt_events *events)
{
    return (struct tt_listener){on_event, events, events->output};
}

void lt_events_watch(struct lt_events *events, struct tt_op *engine)
{
    events->engine = tt_engine_of(engine);
    if (tt_op_finished(engine))
        events_free(events);
}
