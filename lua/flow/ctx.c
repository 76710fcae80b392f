#include "lua/flow/ctx.h"

#include "core/base/alloc.h"
#include "lua/env/env.h"
#include "lua/env/process.h"
#include "lua/flow/flow.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <stdlib.h>

struct lt_ctx *lt_ctx_new(struct tt_task_call *call)
{
    struct lt_ctx *ctx = tt_zalloc(sizeof *ctx);
    ctx->refs = 1;
    ctx->call = call;
    return ctx;
}

void lt_ctx_release(struct lt_ctx *ctx)
{
    if (ctx && --ctx->refs == 0)
        free(ctx);
}

struct tt_task_call *lt_ctx_call(lua_State *L, const struct lt_ctx *ctx)
{
    if (!ctx->call)
        lt_invalid(L, "this ctx is over: the function that it was made for has ended");
    return ctx->call;
}

/* ---- ctx.results ---------------------------------------------------------------------------- */

static int link_gc(lua_State *L)
{
    struct lt_ctx **link = lua_touserdata(L, 1);
    lt_ctx_release(*link);
    return 0;
}

static void push_link(lua_State *L, struct lt_ctx *ctx)
{
    struct lt_ctx **link = lt_push_owned(L, sizeof(struct lt_ctx *), link_gc);
    *link = ctx;
    ctx->refs++;
}

/* An ancestor's value, made once and then kept in the table itself. */
static int results_index(lua_State *L)
{
    struct lt_ctx **link = lua_touserdata(L, lua_upvalueindex(1));
    struct tt_task_call *call = lt_ctx_call(L, *link);
    const char *name = lt_check_string(L, 2, "ctx.results", "the task's name");
    uint32_t index;
    struct tt_error *err = NULL;
    if (tt_engine_ancestor(call->engine, call->task, name, &index, &err) < 0)
        lt_raise(L, err);
    const struct tt_record *record = tt_engine_record(call->engine, index);
    bool is_function = tt_engine_task(call->engine, index)->run.form == TT_ACTION_CALL;
    if (record && is_function && record->value)
        lt_push_json(L, record->value);
    else if (record && !is_function && record->result)
        lt_push_result(L, record->result);
    else
        lua_pushnil(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

static int results_newindex(lua_State *L)
{
    lt_invalid(L, "ctx.results cannot be changed: return the function's value instead");
}

/* A walk over the results: `for name, result in pairs(ctx.results)`, in the order of declaration.
 */
struct walk {
    struct lt_ctx *ctx;
    uint32_t *ancestors, count, at;
};

static int walk_gc(lua_State *L)
{
    struct walk *walk = lua_touserdata(L, 1);
    free(walk->ancestors);
    lt_ctx_release(walk->ctx);
    return 0;
}

/* The next ancestor that left a value. */
static int walk_next(lua_State *L)
{
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(1));
    struct tt_task_call *call = lt_ctx_call(L, walk->ctx);
    while (walk->at < walk->count) {
        uint32_t index = walk->ancestors[walk->at++];
        lua_settop(L, 1);
        lua_pushstring(L, tt_run_name(tt_engine_run(call->engine), index));
        lua_pushvalue(L, -1);
        if (lua_gettable(L, 1) != LUA_TNIL)
            return 2;
    }
    return 0;
}

static int results_pairs(lua_State *L)
{
    struct lt_ctx **link = lua_touserdata(L, lua_upvalueindex(1));
    struct tt_task_call *call = lt_ctx_call(L, *link);
    struct walk *walk = lt_push_owned(L, sizeof *walk, walk_gc);
    walk->ctx = *link;
    walk->ctx->refs++;
    struct tt_dag *dag = tt_run_dag(tt_engine_run(call->engine));
    walk->ancestors = tt_dag_ancestors(dag, call->task, &walk->count);
    lua_pushcclosure(L, walk_next, 1);
    lua_pushvalue(L, 1);
    return 2;
}

static void push_results(lua_State *L, struct lt_ctx *ctx)
{
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    push_link(L, ctx);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, results_index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushcclosure(L, results_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    lua_pushcfunction(L, results_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void push_env(lua_State *L, const struct tt_task_call *call, const struct tt_task *task)
{
    const struct tt_task_more *more = task->more;
    struct lt_env_defaults defaults;
    lt_env_defaults_init(&defaults);
    defaults.command.cwd = task->cwd;
    defaults.command.user = task->user;
    defaults.command.vars = task->vars;
    defaults.command.var_count = task->var_count;
    if (more) {
        defaults.command.password = more->password;
        defaults.command.pty = more->pty;
        if (more->command_timeout)
            defaults.timeout = more->command_timeout;
        if (more->grace_given)
            defaults.grace = more->grace;
        if (more->max_output)
            defaults.max_output = more->max_output;
    }
    lt_push_env(L, call->env, &defaults);
}

void lt_push_ctx(lua_State *L, struct lt_ctx *ctx)
{
    struct tt_task_call *call = ctx->call;
    const struct tt_task *task = tt_engine_task(call->engine, call->task);
    lua_createtable(L, 0, 8);
    lt_push_json(L, tt_engine_params(call->engine));
    lua_setfield(L, -2, "params");
    push_results(L, ctx);
    lua_setfield(L, -2, "results");
    ctx->refs++;
    lt_push_flow(L, NULL, ctx);
    lua_setfield(L, -2, "flow");
    push_env(L, call, task);
    lua_setfield(L, -2, "env");
    lua_pushstring(L, task->name);
    lua_setfield(L, -2, "task");
    lua_pushinteger(L, call->attempt);
    lua_setfield(L, -2, "attempt");
    if (!task->more || !task->more->matrix)
        return;
    lua_newtable(L);
    for (uint32_t i = 0; i < task->more->matrix_count; i++) {
        lt_push_json(L, task->more->matrix[i].value);
        lua_setfield(L, -2, task->more->matrix[i].name);
    }
    lua_setfield(L, -2, "matrix");
}
