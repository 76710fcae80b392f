/* require "tutti.engine": what the command line asks of a workflow, and does with it.
 *
 * Inside of the binary only; stdlib/meta/engine.lua says what each function takes and gives. */
#include "core/base/alloc.h"
#include "core/engine/report.h"
#include "lua/flow/events.h"
#include "lua/flow/flow.h"
#include "lua/value/error.h"
#include "lua/value/fields.h"
#include "lua/value/owned.h"
#include "lua/value/value.h"
#include "lua/vm/fiber.h"
#include "lua/vm/masker.h"

#include "core/base/json.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Raises an error whose message names its place already. */
static _Noreturn void refuse(lua_State *L, struct tt_error *err)
{
    lt_push_error(L, err);
    tt_error_free(err);
    lua_error(L);
    abort();
}

static struct lt_flow *check_flow(lua_State *L, int index)
{
    struct lt_flow *flow = lt_check_flow(L, index);
    lt_flow_asked(L, index);
    if (!flow->plan)
        lt_invalid(L, "expected a workflow, got the tasks of a running function");
    return flow;
}

/* ---- options ----------------------------------------------------------------------------------
 */

static const char *const run_options[] = {"params",   "only",   "jobs", "state",
                                          "rollback", "output", NULL};

/* Memory for as long as a C function's stack: a userdata on Lua's. */
static void *scratch(lua_State *L, size_t size)
{
    return lua_newuserdatauv(L, size ? size : 1, 0);
}

static void read_only(struct lt_options *o, struct tt_run_options *run)
{
    lua_State *L = o->L;
    if (!lt_option_given(o, "only"))
        return;
    size_t count = lt_option_strings(o, "only");
    if (count == 0)
        lt_option_wrong(o, "only", "at least one name of a task");
    const char **names = scratch(L, count * sizeof *names);
    lt_list_strings(L, -2, names); /* the list stays on the stack */
    run->only = names;
    run->only_count = count;
}

/* A new reference. */
static json_t *read_params(struct lt_options *o, const struct tt_plan *plan)
{
    lua_State *L = o->L;
    if (lt_option_push(o, "params") == LUA_TNIL)
        lua_newtable(L);
    else if (!lua_istable(L, -1))
        lt_option_wrong(o, "params", "a table of values by name");
    int table = lua_gettop(L);
    size_t count = 0, i = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        count++;
    struct tt_given_param *given = scratch(L, count * sizeof *given);
    lua_createtable(L, (int)count, 0); /* holds the texts */
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1), i++) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lt_option_wrong(o, "params", "a table of values by name");
        given[i] = (struct tt_given_param){lua_tostring(L, -2), luaL_tolstring(L, -1, NULL)};
        lua_rawseti(L, table + 2, (lua_Integer)i + 1);
    }
    json_t *params;
    struct tt_error *err = NULL;
    if (tt_plan_params(plan, given, count, &params, &err) < 0)
        refuse(L, err);
    return params;
}

static void check_plan(lua_State *L, const struct lt_flow *flow, const struct tt_run_options *run)
{
    struct tt_error *err = NULL;
    if (lt_flow_check_open(flow, &err) < 0 || tt_plan_check(flow->plan, run, &err) < 0)
        refuse(L, err);
}

/* The checked graph with all tasks. */
static struct tt_run *graph_of(lua_State *L, struct lt_flow *flow)
{
    struct tt_error *err = NULL;
    if (!flow->graph && (lt_flow_check_open(flow, &err) < 0 ||
                         tt_plan_start(flow->plan, NULL, &flow->graph, &err) < 0))
        refuse(L, err);
    return flow->graph;
}

/* ---- looking -----------------------------------------------------------------------------------
 */

static int is_flow(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lt_to_flow(L, 1) != NULL);
    return 1;
}

static int check(lua_State *L)
{
    struct lt_flow *flow = check_flow(L, 1);
    struct lt_options o;
    struct tt_run_options run = {0};
    lt_options_open(L, &o, 2, "engine.check", run_options, false);
    read_only(&o, &run);
    graph_of(L, flow);
    if (run.only_count)
        check_plan(L, flow, &run);
    if (lt_option_given(&o, "params"))
        json_decref(read_params(&o, flow->plan));
    lua_pushboolean(L, true);
    return 1;
}

/* 0: there is none. */
static void set_limit(lua_State *L, const char *field, int64_t ms)
{
    if (ms > 0)
        lt_set_number(L, field, (double)ms / 1000);
}

static void set_json(lua_State *L, const char *field, const json_t *value)
{
    if (!value)
        return;
    lt_push_json(L, value);
    lua_setfield(L, -2, field);
}

static void set_names(lua_State *L, const char *field, const struct tt_texts *names)
{
    lua_createtable(L, (int)names->count, 0);
    for (uint32_t i = 0; i < names->count; i++) {
        lua_pushstring(L, names->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, field);
}

static int info(lua_State *L)
{
    static const char *const on_failure[] = {"cancel", "wait", "continue"};
    static const char *const rollback[] = {"all", "failed", "none"};
    const struct tt_plan *plan = check_flow(L, 1)->plan;
    const struct tt_plan_options *options = tt_plan_get_options(plan);
    lua_createtable(L, 0, 12);
    lt_set_text(L, "name", tt_plan_name(plan));
    lt_set_text(L, "description", tt_plan_description(plan));
    lt_set_text(L, "file", tt_plan_file(plan));
    lt_set_integer(L, "line", tt_plan_line(plan));
    lt_set_integer(L, "count", tt_plan_count(plan));
    lt_set_text(L, "on_failure", on_failure[options->on_failure]);
    lt_set_text(L, "rollback", rollback[options->rollback]);
    if (options->jobs)
        lt_set_integer(L, "jobs", options->jobs);
    lua_createtable(L, (int)tt_plan_param_count(plan), 0);
    for (uint32_t i = 0; i < tt_plan_param_count(plan); i++) {
        const struct tt_param *param = tt_plan_param(plan, i);
        lua_createtable(L, 0, 6);
        lt_set_text(L, "name", param->name);
        lt_set_text(L, "type", tt_param_type_name(param->type));
        lt_set_boolean(L, "required", param->required);
        set_json(L, "default", param->fallback);
        set_json(L, "choices", param->choices);
        lt_set_text(L, "description", param->description);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "params");
    return 1;
}

static void set_edges(lua_State *L, struct tt_dag *dag, uint32_t task, enum tt_edge wanted,
                      const char *field)
{
    lua_Integer n = 0;
    lua_newtable(L);
    for (uint32_t i = 0; i < tt_dag_before_count(dag, task); i++) {
        enum tt_edge kind;
        uint32_t before = tt_dag_before(dag, task, i, &kind);
        if (kind != wanted)
            continue;
        lua_pushinteger(L, (lua_Integer)before + 1);
        lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, -2, field);
}

static void set_action(lua_State *L, const struct tt_plan *plan, const char *field,
                       const struct tt_action *action)
{
    if (action->form == TT_ACTION_NONE)
        return;
    char *text = tt_action_text(plan, action);
    lt_set_text(L, field, text);
    free(text);
}

static void set_more(lua_State *L, const struct tt_plan *plan, const struct tt_task_more *more)
{
    lt_set_text(L, "description", more->description);
    set_action(L, plan, "rollback", &more->rollback);
    set_action(L, plan, "health", &more->health);
    if (!more->matrix)
        return;
    lua_createtable(L, 0, (int)more->matrix_count);
    for (uint32_t i = 0; i < more->matrix_count; i++)
        set_json(L, more->matrix[i].name, more->matrix[i].value);
    lua_setfield(L, -2, "matrix");
}

static uint32_t check_index(lua_State *L, const struct tt_plan *plan)
{
    lua_Integer index = luaL_checkinteger(L, 2);
    luaL_argcheck(L, index >= 1 && index <= tt_plan_count(plan), 2, "no such task");
    return (uint32_t)(index - 1);
}

static int task_info(lua_State *L)
{
    static const char *const forms[] = {"none", "shell", "argv", "function"};
    static const struct tt_task_more none = {0};
    struct lt_flow *flow = check_flow(L, 1);
    uint32_t index = check_index(L, flow->plan);
    struct tt_dag *dag = tt_run_dag(graph_of(L, flow));
    const struct tt_task *task = tt_plan_task(flow->plan, index);
    const struct tt_task_more *more = task->more ? task->more : &none;
    lua_createtable(L, 0, 24);
    lt_set_integer(L, "index", (lua_Integer)index + 1);
    lt_set_text(L, "id", task->name);
    lt_set_text(L, "file", task->file);
    lt_set_integer(L, "line", task->line);
    lt_set_text(L, "environment", task->env->text);
    lt_set_text(L, "cwd", task->cwd);
    lt_set_text(L, "user", task->user);
    lt_set_text(L, "form", forms[task->run.form]);
    set_action(L, flow->plan, "run", &task->run);
    set_edges(L, dag, index, TT_NEEDS, "needs");
    set_edges(L, dag, index, TT_AFTER, "after");
    lt_set_boolean(L, "when", more->when != TT_WHEN_ALWAYS);
    set_limit(L, "timeout", task->timeout);
    set_limit(L, "deadline", task->deadline);
    lt_set_integer(L, "retries", more->retry.retries);
    lt_set_boolean(L, "idempotent", more->retry.idempotent);
    set_names(L, "input", &more->input);
    set_names(L, "output", &more->output);
    lua_createtable(L, (int)task->var_count, 0);
    for (uint32_t i = 0; i < task->var_count; i++) {
        lua_pushstring(L, task->vars[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "env");
    set_more(L, flow->plan, more);
    return 1;
}

static int order(lua_State *L)
{
    struct lt_flow *flow = check_flow(L, 1);
    struct lt_options o;
    struct tt_run_options run = {0};
    lt_options_open(L, &o, 2, "engine.order", run_options, false);
    read_only(&o, &run);
    graph_of(L, flow);
    uint32_t *indexes, count;
    struct tt_error *err = NULL;
    if (tt_plan_order(flow->plan, &run, &indexes, &count, &err) < 0)
        refuse(L, err);
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushinteger(L, (lua_Integer)indexes[i] + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    free(indexes);
    return 1;
}

/* The longest way from a root, by edges. */
static int levels(lua_State *L)
{
    struct lt_flow *flow = check_flow(L, 1);
    struct tt_dag *dag = tt_run_dag(graph_of(L, flow));
    uint32_t *indexes, count;
    struct tt_error *err = NULL;
    if (tt_plan_order(flow->plan, NULL, &indexes, &count, &err) < 0)
        refuse(L, err);
    uint32_t *depth = tt_zalloc(count * sizeof *depth);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t task = indexes[i];
        for (uint32_t k = 0; k < tt_dag_before_count(dag, task); k++) {
            uint32_t before = tt_dag_before(dag, task, k, NULL);
            if (depth[before] + 1 > depth[task])
                depth[task] = depth[before] + 1;
        }
    }
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushinteger(L, depth[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    free(depth);
    free(indexes);
    return 1;
}

/* ---- running -----------------------------------------------------------------------------------
 */

/* Holds the finished run for outcome:json(). */
static int held_gc(lua_State *L)
{
    struct tt_engine **engine = lua_touserdata(L, 1);
    tt_engine_release(*engine);
    *engine = NULL;
    return 0;
}

static int outcome_json(lua_State *L)
{
    struct tt_engine **engine = lua_touserdata(L, lua_upvalueindex(1));
    json_t *document = tt_report_document(*engine);
    struct tt_buf text = {0}, masked = {0};
    struct tt_error *err = NULL;
    int rc = tt_json_dump(&text, document, 0, &err);
    json_decref(document);
    if (rc < 0) {
        tt_buf_free(&text);
        lt_raise(L, err);
    }
    tt_mask_text(lt_masker(L), text.data, text.length, &masked);
    tt_buf_free(&text);
    lua_pushlstring(L, masked.data, masked.length);
    tt_buf_free(&masked);
    return 1;
}

static int push_outcome(lua_State *L, struct tt_op *op)
{
    json_t *details = tt_report_details(tt_engine_of(op));
    lt_push_json(L, details);
    json_decref(details);
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 1);
    struct tt_engine **held = lt_push_owned(L, sizeof(struct tt_engine *), held_gc);
    *held = tt_engine_retain(tt_engine_of(op));
    lua_pushcclosure(L, outcome_json, 1);
    lua_setfield(L, -2, "json");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}

static void read_run(struct lt_options *o, struct lt_flow *flow, struct tt_engine_options *options)
{
    struct tt_run_options run = {0};
    read_only(o, &run);
    graph_of(o->L, flow);
    if (run.only_count)
        check_plan(o->L, flow, &run);
    *options = (struct tt_engine_options){
        .plan = flow->plan,
        .only = run.only,
        .only_count = run.only_count,
        .jobs = (uint32_t)lt_option_integer(o, "jobs", 0, 1, 1000000),
        .no_rollback = !lt_option_boolean(o, "rollback", true),
        .state_dir = lt_option_string(o, "state", ".tutti"),
        .masker = lt_masker(o->L),
    };
    if (!*options->state_dir)
        lt_option_wrong(o, "state", "a directory");
}

static int run(lua_State *L)
{
    struct lt_flow *flow = check_flow(L, 1);
    struct lt_options o;
    struct tt_engine_options options;
    lt_options_open(L, &o, 2, "engine.run", run_options, false);
    bool watched = !lua_isnoneornil(L, 3);
    if (watched)
        lt_check_function(L, 3, "engine.run", "the listener");
    read_run(&o, flow, &options);
    bool output = lt_option_boolean(&o, "output", true);
    /* Ctrl-C cancels the program; the command line that waits for this is not part of it. */
    struct tt_scope *scope = lt_begin(L), *program = lt_vm_program(lt_vm_of(L));
    if (!tt_scope_within(scope, program))
        scope = program;
    options.params = read_params(&o, flow->plan);
    struct lt_events *events = watched ? lt_events_new(L, 3, output) : NULL;
    if (events)
        options.listener = lt_events_listener(events);
    flow->running = true;
    lt_vm_note_operation(lt_vm_of(L));
    struct tt_op *op = tt_engine_start(scope, &options);
    json_decref(options.params);
    if (events)
        lt_events_watch(events, op);
    return lt_await(L, op, push_outcome);
}

int luaopen_tutti_engine(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"is_flow", is_flow}, {"check", check},          {"info", info},
        {"task", task_info},  {"order", order},          {"levels", levels},
        {"run", run},         {"workflow", lt_workflow}, {"forgotten", lt_flow_forgotten},
        {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
