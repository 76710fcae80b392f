/* Stopping Lua code that does not stop by itself, and telling cleanup code from other code. */
#include "lua/value/error.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <string.h>

enum { deepest = 200 };

/* A catching C function holds that many values below the function that it called. While an error
 * unwinds through it, the dead frames with the variable being closed lie there too. */
static int values_below_call(const struct lt_vm *vm, lua_CFunction function)
{
    return function == vm->pcall       ? 1
           : function == vm->xpcall    ? 3
           : function == lt_fiber_body ? 1
           : function == lt_coro_body  ? 0
                                       : -1;
}

/* A function with `...` stands above a copy of its arguments: how many slots that takes. */
static int vararg_copy(lua_State *L, lua_Debug *callee)
{
    lua_getinfo(L, "u", callee);
    if (!callee->isvararg || *callee->what == 'C')
        return 0;
    int count = 0;
    while (lua_getlocal(L, callee, -count - 1)) {
        lua_pop(L, 1);
        count++;
    }
    return callee->nparams + count + 1;
}

/* True when this frame is a function whose callee is a `__close`: coroutine.close, or a catching
 * one while an error passes. */
static bool is_unwinding(const struct lt_vm *vm, lua_State *L, lua_Debug *ar, lua_Debug *callee)
{
    lua_getinfo(L, "f", ar);
    lua_CFunction function = lua_tocfunction(L, -1);
    int expected = values_below_call(vm, function);
    lua_pop(L, 1);
    if (function == lt_coro_close)
        return true;
    if (expected < 0 || !lua_getlocal(L, ar, expected + vararg_copy(L, callee) + 1))
        return false;
    lua_pop(L, 1);
    return true;
}

static bool is_closing(const struct lt_vm *vm, lua_State *L)
{
    lua_Debug frames[2];
    if (!lua_checkstack(L, 2))
        return false;
    for (int i = 0; i < deepest && lua_getstack(L, i, &frames[i & 1]); i++) {
        lua_Debug *ar = &frames[i & 1];
        lua_getinfo(L, "Sn", ar);
        if (ar->name && strcmp(ar->namewhat, "metamethod") == 0 && strcmp(ar->name, "close") == 0)
            return true;
        if (i > 0 && *ar->what == 'C' && is_unwinding(vm, L, ar, &frames[~i & 1]))
            return true;
    }
    return false;
}

bool lt_in_cleanup(struct lt_vm *vm)
{
    if (vm->current->cleaning)
        return true;
    for (struct lt_level *level = vm->levels; level; level = level->outer)
        if (is_closing(vm, level->L))
            return true;
    return false;
}

static void on_instruction(lua_State *L, lua_Debug *ar);

/* Cleanup code that still has time is only looked at now and then. */
static void hook(lua_State *L, int instructions)
{
    if (lua_gethook(L) != on_instruction || lua_gethookcount(L) != instructions)
        lua_sethook(L, on_instruction, LUA_MASKCOUNT, instructions);
}

/* Stays set until the coroutine ends, so that an error which is caught comes again at the next
 * instruction. Where nothing is to be stopped it removes itself. */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct lt_vm *vm = lt_vm_of(L);
    struct lt_fiber *fiber = vm->current;
    vm->forcing = false;
    if (vm->interrupted)
        lt_vm_cancel_program(vm, "interrupted");
    if (fiber && vm->overdue)
        tt_scope_expire(fiber->scope);
    const struct tt_error *why = fiber ? tt_scope_why(fiber->scope) : NULL;
    if (!why) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    int64_t now = tt_loop_now(vm->loop);
    if (!fiber->cleaned_at)
        fiber->cleaned_at = now + lt_cleanup_ms;
    if (now < fiber->cleaned_at && lt_in_cleanup(vm)) {
        hook(L, 100);
        return;
    }
    hook(L, 1);
    vm->forcing = true;
    lt_raise(L, tt_error_copy(why));
}

/* --- xpcall ---
 *
 * What a hook raises passes the message handler before the hook is over, where no hook is called:
 * a handler that loops could not be stopped any more. So the handler is not asked then. */

static int handle_message(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    if (vm->forcing) {
        vm->forcing = false;
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int xpcall_end(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 2;
    lua_pushboolean(L, false);
    lua_replace(L, -3);
    return 2;
}

/* Stack: the function, the handler, true, the function, its arguments. */
int lt_xpcall(lua_State *L)
{
    int count = lua_gettop(L) - 2;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, true);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return xpcall_end(L, lua_pcallk(L, count, LUA_MULTRET, 2, 0, xpcall_end), 0);
}

/* --- who asks for it --- */

void lt_stop_current(struct lt_vm *vm)
{
    for (struct lt_level *level = vm->levels; level; level = level->outer)
        hook(level->L, 1);
}

void lt_enter_level(struct lt_vm *vm, struct lt_level *level, lua_State *L)
{
    level->L = L;
    level->outer = vm->levels;
    vm->levels = level;
    if (vm->interrupted || vm->overdue)
        hook(L, 1);
}

void lt_vm_interrupt(struct lt_vm *vm)
{
    if (!vm->levels)
        return;
    vm->interrupted = 1;
    lt_stop_current(vm);
}
