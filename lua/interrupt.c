/* Stopping Lua code that does not stop by itself, and telling cleanup code from other code. */
#include "lua/lerror.h"
#include "lua/state.h"

#include <string.h>

enum { deepest = 200 };

/* A catching C function holds that many values below the function that it called. While an error
 * unwinds through it, the dead frames with the variable being closed lie there too. */
static int values_below_call(const struct lt_vm *vm, lua_CFunction function)
{
    return function == vm->pcall      ? 1
           : function == vm->xpcall   ? 3
           : function == lt_task_body ? 1
           : function == lt_coro_body ? 0
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

/* True when this frame is a catching function whose callee is a `__close` run by an error. */
static bool is_unwinding(const struct lt_vm *vm, lua_State *L, lua_Debug *ar, lua_Debug *callee)
{
    lua_getinfo(L, "f", ar);
    int expected = values_below_call(vm, lua_tocfunction(L, -1));
    lua_pop(L, 1);
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

/* Stays set until the coroutine ends, so that an error which is caught comes again at the next
 * instruction. Where nothing is to be stopped it removes itself. */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct lt_vm *vm = lt_vm_of(L);
    if (vm->interrupted)
        lt_vm_cancel_program(vm, "interrupted");
    const struct tt_error *why = vm->current ? tt_scope_why(vm->current->scope) : NULL;
    if (!why) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    if (!vm->stopped_at)
        vm->stopped_at = uv_hrtime() / 1000000;
    if (lt_in_cleanup(vm) && uv_hrtime() / 1000000 < vm->stopped_at + lt_cleanup_ms)
        return;
    lt_raise(L, tt_error_copy(why));
}

static void hook(lua_State *L)
{
    lua_sethook(L, on_instruction, LUA_MASKCOUNT, 1);
}

void lt_stop_current(struct lt_vm *vm)
{
    for (struct lt_level *level = vm->levels; level; level = level->outer)
        hook(level->L);
}

void lt_enter_level(struct lt_vm *vm, struct lt_level *level, lua_State *L)
{
    level->L = L;
    level->outer = vm->levels;
    vm->levels = level;
    if (vm->interrupted)
        hook(L);
}

void lt_vm_interrupt(struct lt_vm *vm)
{
    if (!vm->levels)
        return;
    vm->interrupted = 1;
    lt_stop_current(vm);
}
