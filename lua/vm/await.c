/* Awaiting: where a fiber's operations run, where Lua can be suspended, and what comes back. */
#include "lua/value/error.h"
#include "lua/vm/fiber.h"
#include "lua/vm/state.h"

#include <lauxlib.h>

enum { patience = 8 /* refused awaits before force is used */ };

struct tt_scope *lt_fiber_scope(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    struct lt_fiber *fiber = vm->current;
    if (!fiber)
        lt_raisef(L, TT_INVALID, "operations can only be used while a script is running");
    const struct tt_error *why = tt_scope_why(fiber->scope);
    if (lt_in_cleanup(vm)) {
        if (!fiber->cleanup)
            fiber->cleanup =
                tt_scope_shielded(vm->loop, why ? tt_loop_now(vm->loop) + lt_cleanup_ms : TT_NEVER);
        if (!tt_scope_why(fiber->cleanup))
            return fiber->cleanup;
        why = tt_scope_why(fiber->cleanup);
    }
    if (why) {
        if (++fiber->refusals > patience)
            lt_stop_current(vm);
        lt_raise(L, tt_error_copy(why));
    }
    uv_update_time(tt_loop_uv(vm->loop)); /* Lua may have run for long: deadlines count from now */
    return fiber->scope;
}

/* "table.sort" for the function at the top of the stack, which is popped; NULL when no library has
 * it. */
static const char *library_name(lua_State *L)
{
    static const char *const libraries[] = {"table", "string", "utf8", "debug", "_G", NULL};
    int function = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (int i = 0; libraries[i]; i++) {
        if (lua_getfield(L, function + 1, libraries[i]) == LUA_TTABLE)
            for (lua_pushnil(L); lua_next(L, function + 2); lua_pop(L, 1))
                if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
                    const char *prefix = libraries[i][0] == '_' ? "" : libraries[i];
                    return lua_pushfstring(L, "%s%s%s", prefix, *prefix ? "." : "",
                                           lua_tostring(L, -2));
                }
        lua_settop(L, function + 1);
    }
    lua_settop(L, function - 1);
    return NULL;
}

/* The C function that cannot be suspended, for the message. */
static const char *blocker(lua_State *L)
{
    const struct lt_vm *vm = lt_vm_of(L);
    lua_Debug ar;
    for (int i = 1; i < 50 && lua_getstack(L, i, &ar); i++) {
        lua_getinfo(L, "Snf", &ar);
        lua_CFunction function = lua_tocfunction(L, -1);
        const char *name =
            function && function != vm->pcall && function != vm->xpcall ? library_name(L) : NULL;
        if (name)
            return name;
        if (*ar.what == 'C' && ar.name && function != vm->pcall && function != vm->xpcall)
            return ar.name;
    }
    return "a C function";
}

struct tt_scope *lt_begin(lua_State *L)
{
    struct tt_scope *scope = lt_fiber_scope(L);
    if (!lua_isyieldable(L) || lt_vm_of(L)->blocked)
        lt_invalid(L, "cannot wait for an operation here: Lua cannot suspend inside of '%s'",
                   blocker(L));
    return scope;
}

void lt_drop_awaited(struct lt_fiber *fiber)
{
    struct tt_op *op = fiber->awaited;
    fiber->awaited = NULL;
    tt_op_release(op);
}

/* The fiber keeps the operation until its values were pushed: when `push` throws, the next await or
 * the fiber's end lets go of it. */
static int take_values(lua_State *L, lt_push *push)
{
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    int count = push ? push(L, fiber->awaited) : 0;
    lt_drop_awaited(fiber);
    return count;
}

static int awaited_any(lua_State *L, int status, lua_KContext push)
{
    (void)status;
    return take_values(L, (lt_push *)push);
}

static int awaited(lua_State *L, int status, lua_KContext push)
{
    (void)status;
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    if (!fiber->awaited->error)
        return take_values(L, (lt_push *)push);
    lt_push_error(L, fiber->awaited->error);
    lt_drop_awaited(fiber);
    lt_raise_value(L);
}

int lt_suspend(lua_State *L, struct tt_op *op, lua_KFunction then, lua_KContext context)
{
    struct lt_vm *vm = lt_vm_of(L);
    lt_drop_awaited(vm->current);
    vm->current->awaited = op;
    vm->awaiting = true;
    return lua_yieldk(L, 0, context, then);
}

int lt_await(lua_State *L, struct tt_op *op, lt_push *push)
{
    return lt_suspend(L, op, awaited, (lua_KContext)push);
}

int lt_await_any(lua_State *L, struct tt_op *op, lt_push *push)
{
    return lt_suspend(L, op, awaited_any, (lua_KContext)push);
}
