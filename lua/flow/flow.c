#include "lua/flow/flow.h"

#include "core/base/alloc.h"
#include "lua/flow/ctx.h"
#include "lua/flow/host.h"
#include "lua/value/error.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char flow_type[] = "tutti.Workflow";

/* ---- names waiting for their tables ---------------------------------------------------------- */

static struct lt_body *open_body(struct lt_flow *flow, const char *name, const char *file, int line)
{
    size_t length = strlen(name);
    struct lt_body *body = tt_zalloc(sizeof *body + length + 1);
    memcpy(body->name, name, length);
    body->file = tt_strdup(file);
    body->line = line;
    body->next = flow->open;
    if (body->next)
        body->next->prev = body;
    flow->open = body;
    return body;
}

static void close_body(struct lt_flow *flow, struct lt_body *body)
{
    if (body->prev)
        body->prev->next = body->next;
    else
        flow->open = body->next;
    if (body->next)
        body->next->prev = body->prev;
    free(body->file);
    free(body);
}

int lt_flow_check_open(const struct lt_flow *flow, struct tt_error **err)
{
    const struct lt_body *first = flow->open;
    if (!first)
        return 0;
    while (first->next)
        first = first->next;
    return tt_fail(err, TT_INVALID,
                   "%s:%d: task \"%s\" has a name and nothing else: write task \"%s\" { … }",
                   first->file, first->line, first->name, first->name);
}

/* ---- the object ------------------------------------------------------------------------------ */

struct lt_flow *lt_to_flow(lua_State *L, int index)
{
    return luaL_testudata(L, index, flow_type);
}

struct lt_flow *lt_check_flow(lua_State *L, int index)
{
    struct lt_flow *flow = lt_to_flow(L, index);
    if (!flow) {
        const char *got = lt_describe(L, index);
        lt_invalid(L, "expected a workflow, got %s", got);
    }
    return flow;
}

/* A declaration may be added: raises when nobody would see it. */
static void check_may_declare(lua_State *L, const struct lt_flow *flow)
{
    if (flow->ctx) {
        const struct tt_task_call *call = lt_ctx_call(L, flow->ctx);
        if (call->phase != TT_PHASE_RUN)
            lt_invalid(L, "only a task's `run` function can add tasks");
    } else if (flow->running) {
        lt_invalid(L, "the workflow is running already: a running function adds tasks with "
                      "ctx.flow.task");
    }
}

/* The tasks of ctx.flow become a plan of their own. */
static void need_plan(lua_State *L, struct lt_flow *flow)
{
    if (flow->plan)
        return;
    struct tt_task_call *call = lt_ctx_call(L, flow->ctx);
    const struct tt_plan *whole = tt_engine_plan(call->engine);
    flow->plan = tt_plan_new(tt_plan_host(whole), tt_plan_name(whole), tt_plan_file(whole),
                             tt_plan_line(whole));
    call->added = tt_plan_retain(flow->plan);
}

/* The line of the script that calls. */
static const char *caller(lua_State *L, int *line)
{
    lua_Debug ar;
    *line = 0;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline < 0)
            continue;
        *line = ar.currentline;
        if (*ar.source == '@' || *ar.source == '=')
            return ar.source + 1;
        return lua_pushstring(L, ar.short_src);
    }
    return "?";
}

/* Upvalues: the flow, its lt_body (nil once it got its table). */
static int body_call(lua_State *L)
{
    struct lt_flow *flow = lua_touserdata(L, lua_upvalueindex(1));
    struct lt_body *body = lua_touserdata(L, lua_upvalueindex(2));
    if (!body)
        lt_invalid(L, "this task has got its table already");
    check_may_declare(L, flow);
    need_plan(L, flow);
    lt_flow_add(L, flow, body, 1);
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(2));
    close_body(flow, body);
    return 0;
}

static int flow_task(lua_State *L)
{
    struct lt_flow *flow = lua_touserdata(L, lua_upvalueindex(1));
    if (lt_to_flow(L, 1))
        lt_invalid(L, "call task as a function, not as a method: flow.task \"name\" { … }");
    const char *name = lt_check_string(L, 1, "task", "name");
    if (!*name)
        lt_invalid(L, "task: the name is empty");
    if (strpbrk(name, "\n\r"))
        lt_invalid(L, "task: the name is one line of text");
    check_may_declare(L, flow);
    lua_settop(L, 2);
    int line;
    const char *file = caller(L, &line);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlightuserdata(L, open_body(flow, name, file, line));
    lua_pushcclosure(L, body_call, 2);
    if (lua_isnoneornil(L, 2))
        return 1;
    lua_pushvalue(L, 2);
    lua_call(L, 1, 0);
    return 0;
}

static int flow_fn(lua_State *L)
{
    struct lt_flow *flow = lt_check_flow(L, 1);
    const char *name = lt_check_string(L, 2, "flow:fn", "name");
    lt_check_function(L, 3, "flow:fn", "the function");
    if (flow->ctx || flow->running)
        lt_invalid(L, "flow:fn names functions while the file loads, not while a task runs");
    lua_getiuservalue(L, 1, 1); /* { name = true } */
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        lt_invalid(L, "flow:fn: there is a function \"%s\" already", name);
    lua_pushboolean(L, true);
    lua_setfield(L, -3, name);
    lt_push_function(L, lt_host_add(L, 3, tt_plan_name(flow->plan), NULL, name));
    return 1;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static const char *const type_names[] = {"string", "number", "integer", "boolean", NULL};

static bool is_of_type(const json_t *value, enum tt_param_type type)
{
    switch (type) {
    case TT_PARAM_STRING:
        return json_is_string(value) &&
               strlen(json_string_value(value)) == json_string_length(value);
    case TT_PARAM_NUMBER:
        return json_is_number(value);
    case TT_PARAM_INTEGER:
        return json_is_integer(value);
    default:
        return json_is_boolean(value);
    }
}

/* The plan's reference to the option's value. */
static json_t *param_value(struct lt_options *o, struct tt_plan *plan, const char *name)
{
    lua_State *L = o->L;
    lt_option_push(o, name);
    struct tt_error *err = NULL;
    json_t *value = lt_to_json(L, -1, name, &err);
    if (!value)
        lt_raise(L, err);
    lua_pop(L, 1);
    return tt_plan_keep(plan, value);
}

static void read_choices(struct lt_options *o, struct tt_plan *plan, struct tt_param *param)
{
    param->choices = param_value(o, plan, "choices");
    size_t count = json_array_size(param->choices);
    if (count == 0)
        lt_option_wrong(o, "choices", "a list of values");
    bool found = !param->fallback;
    for (size_t i = 0; i < count; i++) {
        const json_t *choice = json_array_get(param->choices, i);
        if (!is_of_type(choice, param->type))
            lt_invalid(o->L, "%s: choice %d is not of type %s", o->what, (int)i + 1,
                       type_names[param->type]);
        found |= param->fallback && json_equal(choice, param->fallback);
    }
    if (!found)
        lt_invalid(o->L, "%s: the default is not among the choices", o->what);
}

static void read_param(lua_State *L, struct lt_flow *flow, const char *name)
{
    static const char *const names[] = {"type",    "default",     "required",
                                        "choices", "description", NULL};
    struct lt_options o;
    const char *what = lua_pushfstring(L, "parameter '%s'", name);
    lt_options_open(L, &o, lua_gettop(L) - 1, what, names, false);
    size_t length = strlen(name);
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != length ||
        length == 0)
        lt_invalid(L, "%s: a name has letters, digits and _ only", what);
    struct tt_param *param = tt_plan_alloc(flow->plan, sizeof *param);
    param->name = tt_plan_text(flow->plan, name, length);
    param->type = (enum tt_param_type)lt_option_choice(&o, "type", type_names, TT_PARAM_STRING);
    param->required = lt_option_boolean(&o, "required", false);
    const char *description = lt_option_string(&o, "description", NULL);
    if (description)
        param->description = tt_plan_text(flow->plan, description, strlen(description));
    if (lt_option_given(&o, "default")) {
        if (param->required)
            lt_invalid(L, "%s: it is required and has a default: give one of both", what);
        param->fallback = param_value(&o, flow->plan, "default");
        if (!is_of_type(param->fallback, param->type))
            lt_option_wrong(&o, "default",
                            lua_pushfstring(L, "of type %s", type_names[param->type]));
    }
    if (lt_option_given(&o, "choices"))
        read_choices(&o, flow->plan, param);
    struct tt_error *err = NULL;
    if (tt_plan_add_param(flow->plan, param, &err) < 0)
        lt_raise(L, err);
    lua_pop(L, 1);
}

static int flow_params(lua_State *L)
{
    struct lt_flow *flow = lt_check_flow(L, 1);
    if (flow->ctx || flow->running)
        lt_invalid(L, "flow:params declares parameters while the file loads, not while it runs");
    if (!lua_istable(L, 2)) {
        const char *got = lt_describe(L, 2);
        lt_invalid(L, "flow:params: expected a table of parameters, got %s", got);
    }
    lua_settop(L, 2);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        if (lua_type(L, 3) != LUA_TSTRING)
            lt_invalid(L, "flow:params: write { name = { type = \"string\" } }");
        if (!lua_istable(L, 4)) {
            const char *got = lt_describe(L, 4);
            lt_invalid(L, "parameter '%s': expected a table like { type = \"string\" }, got %s",
                       lua_tostring(L, 3), got);
        }
        read_param(L, flow, lua_tostring(L, 3));
        lua_settop(L, 3);
    }
    return 0;
}

/* ---- the metatable --------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {{"fn", flow_fn}, {"params", flow_params}, {NULL, NULL}};

static const char *name_of(lua_State *L, const struct lt_flow *flow)
{
    return tt_plan_name(flow->plan ? flow->plan
                                   : tt_engine_plan(lt_ctx_call(L, flow->ctx)->engine));
}

/* Upvalue: the methods. `task` belongs to this flow alone, so that it can be a plain function. */
static int flow_index(lua_State *L)
{
    struct lt_flow *flow = lt_check_flow(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "task") == 0) {
        if (lua_getiuservalue(L, 1, 2) != LUA_TNIL)
            return 1;
        lua_pushvalue(L, 1);
        lua_pushcclosure(L, flow_task, 1);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 2);
        return 1;
    }
    if (strcmp(key, "name") == 0) {
        lua_pushstring(L, name_of(L, flow));
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    static const char *const known[] = {"task", "params", "fn", "name", NULL};
    const char *nearest = lt_nearest(key, known);
    lt_invalid(L, "a workflow has no field \"%s\"%s%s%s", key, nearest ? "; did you mean \"" : "",
               nearest ? nearest : "", nearest ? "\"?" : "");
}

static int flow_newindex(lua_State *L)
{
    lt_invalid(L, "a workflow's fields cannot be set");
}

static int flow_gc(lua_State *L)
{
    struct lt_flow *flow = lua_touserdata(L, 1);
    while (flow->open)
        close_body(flow, flow->open);
    tt_run_free(flow->graph);
    tt_plan_release(flow->plan);
    free(flow->dir);
    if (flow->ctx)
        flow->ctx->flow = NULL;
    lt_ctx_release(flow->ctx);
    *flow = (struct lt_flow){0};
    return 0;
}

static int flow_tostring(lua_State *L)
{
    struct lt_flow *flow = lua_touserdata(L, 1);
    bool over = !flow->plan && !flow->ctx->call; /* the function that it was given to has ended */
    lua_pushfstring(L, "workflow \"%s\"", over ? "" : name_of(L, flow));
    return 1;
}

static void set_metatable(lua_State *L)
{
    if (luaL_newmetatable(L, flow_type)) {
        static const luaL_Reg meta[] = {{"__newindex", flow_newindex},
                                        {"__gc", flow_gc},
                                        {"__tostring", flow_tostring},
                                        {NULL, NULL}};
        luaL_setfuncs(L, meta, 0);
        luaL_newlib(L, methods);
        lua_pushcclosure(L, flow_index, 1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
}

struct lt_flow *lt_push_flow(lua_State *L, struct tt_plan *plan, struct lt_ctx *ctx)
{
    struct lt_flow *flow = lua_newuserdatauv(L, sizeof *flow, 2);
    *flow = (struct lt_flow){.plan = plan, .ctx = ctx};
    set_metatable(L);
    if (ctx)
        ctx->flow = flow;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    return flow;
}

static const char *const declared = "tutti.declared"; /* in the registry: { [workflow] = true } */

void lt_flow_asked(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, declared);
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

int lt_flow_forgotten(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, declared);
    lua_pushnil(L);
    if (!lua_next(L, -2))
        return 0;
    lua_pop(L, 1);
    const struct lt_flow *flow = lt_to_flow(L, -1);
    lt_flow_asked(L, -1);
    lua_pushstring(L, tt_plan_name(flow->plan));
    return 1;
}

int lt_workflow(lua_State *L)
{
    static const char *const names[] = {"description", "jobs", "on_failure", "rollback", NULL};
    static const char *const on_failure[] = {"cancel", "wait", "continue", NULL};
    static const char *const rollback[] = {"all", "failed", "none", NULL};
    const char *name = lt_check_string(L, 1, "tutti.workflow", "name");
    if (!*name)
        lt_invalid(L, "tutti.workflow: the name is empty");
    if (strpbrk(name, "\n\r"))
        lt_invalid(L, "tutti.workflow: the name is one line of text");
    struct lt_options o;
    lt_options_open(L, &o, 2, "tutti.workflow", names, false);
    struct tt_plan_options options = {
        .jobs = (uint32_t)lt_option_integer(&o, "jobs", 0, 1, 1000000),
        .on_failure = (enum tt_on_failure)lt_option_choice(&o, "on_failure", on_failure, 0),
        .rollback = (enum tt_rollback_mode)lt_option_choice(&o, "rollback", rollback, 0),
    };
    const char *description = lt_option_string(&o, "description", NULL);
    int line;
    const char *file = caller(L, &line);
    struct tt_plan *plan = tt_plan_new(lt_host(L), name, file, line);
    tt_plan_set_options(plan, &options);
    if (description)
        tt_plan_set_description(plan, description);
    lt_push_flow(L, plan, NULL);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, declared);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return 1;
}
