#include "lua/flow/host.h"

#include "core/base/alloc.h"
#include "core/engine/engine.h"
#include "lua/env/process.h"
#include "lua/flow/ctx.h"
#include "lua/flow/flow.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"
#include "lua/value/value.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct function {
    int ref; /* in the registry */
    unsigned refs;
    const char *name;   /* a key of the table of names */
    char *label;        /* from flow:fn, or NULL */
    uint32_t next_free; /* + 1 */
};

struct host {
    struct tt_script_host base;
    struct lt_vm *vm;
    struct function *functions; /* number - 1 */
    uint32_t count, room, free;
};

static const char host_key = 0;
static const char handle_type[] = "tutti.Function";

static struct function *function_of(struct tt_script_host *base, uint32_t id)
{
    return &((struct host *)(void *)base)->functions[id - 1];
}

/* ---- a call --------------------------------------------------------------------------------- */

struct call_op {
    struct tt_value_op value; /* first */
    struct host *host;
    int ref;
    struct lt_ctx *ctx;
    struct tt_op *call; /* the fiber that runs the function */
    struct tt_error *error;
};

static int prepare(lua_State *L, void *arg)
{
    struct call_op *op = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, op->ref);
    lt_push_ctx(L, op->ctx);
    return 1;
}

/* The result that a raised error carries: its output tells why the function failed. */
static void take_result(lua_State *L, struct call_op *op)
{
    if (!lua_istable(L, -1))
        return;
    lua_getfield(L, -1, "result");
    struct tt_result *result = lt_to_result(L, -1);
    if (result)
        op->value.result = tt_result_retain(result);
}

static int read_outcome(lua_State *L)
{
    struct call_op *op = lua_touserdata(L, 1);
    int values = lt_call_push(L, op->call);
    if (values < 0) {
        take_result(L, op);
        return 0;
    }
    if (values == 0)
        return 0;
    op->value.value = lt_to_json(L, lua_gettop(L) - values + 1, "the function's value", &op->error);
    if (!op->value.value && op->error)
        tt_fail(&op->error, TT_SCRIPT, "the function's value cannot be kept");
    return 0;
}

static void on_called(struct tt_op *call, void *arg)
{
    struct call_op *op = arg;
    struct tt_task_call *about = op->ctx->call;
    struct tt_error *error = tt_error_copy(call->error), *trouble = NULL;
    if (lt_vm_protect(op->host->vm, read_outcome, op, &trouble) < 0 && !error) {
        error = trouble;
        trouble = NULL;
    }
    tt_error_free(trouble);
    const char *trace = lt_call_traceback(call);
    if (trace)
        op->value.trace = tt_strdup(trace);
    if (!error) {
        error = op->error;
        op->error = NULL;
    }
    if (!error && op->ctx->flow)
        lt_flow_check_open(op->ctx->flow, &error);
    if (!error && about->added && tt_plan_count(about->added) == 0) {
        tt_plan_release(about->added);
        about->added = NULL;
    }
    op->ctx->call = NULL;
    tt_op_finish(&op->value.op, error);
}

static void call_cancel(struct tt_op *base, const struct tt_error *why)
{
    struct call_op *op = (struct call_op *)(void *)base;
    tt_op_cancel(op->call, why);
}

static void call_free(struct tt_op *base)
{
    struct call_op *op = (struct call_op *)(void *)base;
    tt_op_release(op->call);
    lt_ctx_release(op->ctx);
    tt_error_free(op->error);
    tt_value_op_free(base);
}

static struct tt_op *host_call(struct tt_script_host *base, uint32_t id, void *args,
                               struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"function", call_cancel, call_free};
    struct call_op *op = tt_zalloc(sizeof *op);
    struct tt_task_call *about = args;
    op->host = (struct host *)(void *)base;
    op->ref = function_of(base, id)->ref;
    op->ctx = lt_ctx_new(about);
    tt_op_init(&op->value.op, &class_, scope);
    if (tt_op_finished(&op->value.op)) {
        op->ctx->call = NULL;
        return &op->value.op;
    }
    const char *name = tt_run_name(tt_engine_run(about->engine), about->task);
    op->call = lt_call(op->host->vm, scope, name, prepare, op);
    tt_op_await(op->call, on_called, op);
    return &op->value.op;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* { [name] = number }: every name that was ever given, for one is never given again. */
static void push_names(lua_State *L)
{
    lt_host(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
}

static void push_part(lua_State *L, const char *part)
{
    luaL_gsub(L, part, "%", "%25");
    luaL_gsub(L, lua_tostring(L, -1), "/", "%2F");
    lua_remove(L, -2);
}

/* Pushes a new name. */
static void push_name(lua_State *L, int names, const char *workflow, const char *task,
                      const char *role)
{
    push_part(L, workflow);
    if (task) {
        lua_pushliteral(L, "/");
        push_part(L, task);
    }
    lua_pushliteral(L, "/");
    push_part(L, role);
    lua_concat(L, task ? 5 : 3);
    int plain = lua_gettop(L);
    lua_pushvalue(L, plain);
    for (int k = 2;; k++) {
        lua_pushvalue(L, -1);
        if (lua_rawget(L, names) == LUA_TNIL)
            break;
        lua_settop(L, plain);
        lua_pushfstring(L, "%s#%d", lua_tostring(L, plain), k);
    }
    lua_pop(L, 1);
    lua_remove(L, plain);
}

/* ---- the table of functions ----------------------------------------------------------------- */

struct description {
    int ref;
    char *text;
};

static int find_place(lua_State *L)
{
    struct description *description = lua_touserdata(L, 1);
    lua_Debug ar;
    lua_rawgeti(L, LUA_REGISTRYINDEX, description->ref);
    lua_getinfo(L, ">S", &ar);
    const char *file = *ar.source == '@' || *ar.source == '=' ? ar.source + 1 : ar.short_src;
    description->text = tt_format("function %s:%d", file, ar.linedefined);
    return 0;
}

static char *host_describe(struct tt_script_host *base, uint32_t id)
{
    struct function *function = function_of(base, id);
    if (function->label)
        return tt_format("function %s", function->label);
    struct description description = {.ref = function->ref};
    lt_vm_protect(((struct host *)(void *)base)->vm, find_place, &description, NULL);
    return description.text ? description.text : tt_strdup("function");
}

static const char *host_name(struct tt_script_host *base, uint32_t id)
{
    return function_of(base, id)->name;
}

struct search {
    const char *name;
    uint32_t id; /* 0: not found */
};

static int search(lua_State *L)
{
    struct search *search = lua_touserdata(L, 1);
    push_names(L);
    if (lua_getfield(L, -1, search->name) == LUA_TNUMBER)
        search->id = (uint32_t)lua_tointeger(L, -1);
    return 0;
}

static int host_find(struct tt_script_host *base, const char *name, uint32_t *id,
                     struct tt_error **err)
{
    struct search found = {.name = name};
    int rc = lt_vm_protect(((struct host *)(void *)base)->vm, search, &found, err);
    if (rc < 0)
        return rc;
    /* its number may be another's by now */
    const struct function *function = found.id ? function_of(base, found.id) : NULL;
    if (!function || function->refs == 0 || strcmp(function->name, name) != 0)
        return tt_fail(err, TT_NOT_FOUND, "the script has no function %s", name);
    *id = found.id;
    return 0;
}

static void host_retain(struct tt_script_host *base, uint32_t id)
{
    function_of(base, id)->refs++;
}

static void host_release(struct tt_script_host *base, uint32_t id)
{
    struct host *host = (struct host *)(void *)base;
    struct function *function = function_of(base, id);
    if (--function->refs > 0)
        return;
    lt_unref(host->vm, function->ref);
    free(function->label);
    function->label = NULL;
    function->next_free = host->free;
    host->free = id;
}

static const struct tt_script_host_class host_class = {host_call, host_describe, host_name,
                                                       host_find, host_retain,   host_release};

static int host_gc(lua_State *L)
{
    struct host *host = lua_touserdata(L, 1);
    free(host->functions);
    return 0;
}

struct tt_script_host *lt_host(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &host_key) == LUA_TNIL) {
        struct host *host = lt_push_owned(L, sizeof *host, host_gc);
        *host = (struct host){.base.class_ = &host_class, .vm = lt_vm_of(L)};
        lua_newtable(L);
        lua_setiuservalue(L, -2, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &host_key);
        lua_remove(L, -2);
    }
    struct tt_script_host *host = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return host;
}

uint32_t lt_host_add(lua_State *L, int index, const char *workflow, const char *task,
                     const char *role)
{
    struct host *host = (struct host *)(void *)lt_host(L);
    index = lua_absindex(L, index);
    push_names(L);
    int names = lua_gettop(L);
    push_name(L, names, workflow, task, role);
    const char *name = lua_tostring(L, -1);
    int ref = lt_ref(L, index);
    uint32_t id = host->free;
    if (id) {
        host->free = host->functions[id - 1].next_free;
    } else {
        if (host->count == host->room) {
            host->room = host->room ? host->room * 2 : 16;
            host->functions = tt_reallocarray(host->functions, host->room, sizeof *host->functions);
        }
        id = ++host->count;
    }
    host->functions[id - 1] = (struct function){
        .ref = ref, .refs = 1, .name = name, .label = task ? NULL : tt_strdup(role)};
    lua_pushinteger(L, id);
    lua_rawset(L, names);
    lua_pop(L, 1);
    return id;
}

/* ---- handles -------------------------------------------------------------------------------- */

static int handle_gc(lua_State *L)
{
    uint32_t *id = lua_touserdata(L, 1);
    struct tt_script_host *host = lt_host(L);
    host->class_->release(host, *id);
    return 0;
}

static int handle_tostring(lua_State *L)
{
    char *text = host_describe(lt_host(L), *(uint32_t *)lua_touserdata(L, 1));
    lua_pushstring(L, text);
    free(text);
    return 1;
}

void lt_push_function(lua_State *L, uint32_t function)
{
    uint32_t *id = lua_newuserdatauv(L, sizeof *id, 0);
    *id = function;
    if (luaL_newmetatable(L, handle_type)) {
        lua_pushcfunction(L, handle_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, handle_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
}

bool lt_to_function(lua_State *L, int index, uint32_t *function)
{
    uint32_t *id = luaL_testudata(L, index, handle_type);
    if (id)
        *function = *id;
    return id != NULL;
}
