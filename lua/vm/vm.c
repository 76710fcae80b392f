#include "lua/vm/vm.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/env/exec.h"
#include "lua/value/error.h"
#include "lua/vm/masked.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

/* --- from any of its coroutines --- */

enum { flag_bits = lt_guarded | lt_in_await | lt_failed };

static uintptr_t *extra_of(lua_State *L)
{
    return lua_getextraspace(L);
}

struct lt_vm *lt_vm_of(lua_State *L)
{
    return (struct lt_vm *)(*extra_of(L) & ~(uintptr_t)flag_bits);
}

bool lt_thread_flag(lua_State *L, int flag)
{
    return *extra_of(L) & (uintptr_t)flag;
}

void lt_thread_set_flag(lua_State *L, int flag, bool on)
{
    if (on)
        *extra_of(L) |= (uintptr_t)flag;
    else
        *extra_of(L) &= ~(uintptr_t)flag;
}

struct tt_loop *lt_vm_loop(const struct lt_vm *vm)
{
    return vm->loop;
}

struct tt_scope *lt_vm_base(const struct lt_vm *vm)
{
    return vm->base;
}

struct tt_scope *lt_vm_program(const struct lt_vm *vm)
{
    return vm->program;
}

void lt_vm_forbid_operations(struct lt_vm *vm, const char *why)
{
    vm->forbidden = why;
}

const char *lt_vm_forbidden(const struct lt_vm *vm)
{
    return vm->forbidden;
}

void lt_vm_note_operation(struct lt_vm *vm)
{
    vm->operations_started = true;
}

void lt_vm_set_script(struct lt_vm *vm, const char *path)
{
    const char *slash = strrchr(path, '/');
    free(vm->script_dir);
    vm->script_dir = !slash          ? tt_strdup(".")
                     : slash == path ? tt_strdup("/")
                                     : tt_strndup(path, (size_t)(slash - path));
}

const char *lt_vm_script_dir(const struct lt_vm *vm)
{
    return vm->script_dir;
}

void lt_vm_cancel_program(struct lt_vm *vm, const char *why)
{
    struct tt_error *err = tt_error_new(TT_CANCELLED, "%s", why);
    tt_scope_cancel(vm->program, err);
    tt_error_free(err);
}

bool lt_vm_exiting(const struct lt_vm *vm, int *code)
{
    if (vm->exiting)
        *code = vm->exit_code;
    return vm->exiting;
}

/* --- calling in --- */

int lt_vm_protect(struct lt_vm *vm, lua_CFunction function, void *arg, struct tt_error **err)
{
    lua_State *L = vm->L;
    int top = lua_gettop(L);
    if (!lua_checkstack(L, LUA_MINSTACK))
        return tt_fail(err, TT_SCRIPT, "stack overflow");
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0), rc = 0;
    if (status != LUA_OK) {
        struct tt_error *made = lt_error_of(L, -1);
        rc = -(int)made->kind;
        if (err)
            *err = made;
        else
            tt_error_free(made);
    }
    lua_settop(L, top);
    return rc;
}

int lt_ref(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void lt_unref(struct lt_vm *vm, int ref)
{
    if (lua_checkstack(vm->L, 4))
        luaL_unref(vm->L, LUA_REGISTRYINDEX, ref);
}

/* --- Lua's own libraries, in the form that the vm needs --- */

static lua_CFunction global_function(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    return function;
}

/* Lua's own seed is little more than the time in seconds. */
static void seed_random(lua_State *L, struct tt_loop *loop)
{
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, (lua_Integer)tt_loop_random(loop));
    lua_pushinteger(L, (lua_Integer)tt_loop_random(loop));
    lua_call(L, 2, 0);
    lua_pop(L, 1);
}

static int open_own(lua_State *L)
{
    struct lt_vm *vm = lua_touserdata(L, 1);
    luaL_openlibs(L);
    seed_random(L, vm->loop);
    vm->pcall = global_function(L, "pcall");
    vm->xpcall = lt_xpcall;
    lua_register(L, "xpcall", lt_xpcall);
    luaopen_tutti_coroutine(L);
    lt_open_masked(L);
    return 0;
}

/* --- life --- */

int lt_vm_new(struct lt_vm **out, struct tt_loop *loop, struct tt_error **err)
{
    struct lt_vm *vm = tt_zalloc(sizeof *vm);
    vm->loop = loop;
    vm->L = TT_FAULT("vm.new") ? NULL : luaL_newstate();
    if (!vm->L) {
        free(vm);
        return tt_fail(err, TT_IO, "no memory for Lua");
    }
    *extra_of(vm->L) = (uintptr_t)vm;
    vm->base = tt_scope_new(loop, NULL);
    vm->program = tt_scope_new(loop, vm->base);
    vm->gc_stress = getenv("TUTTI_GC_STRESS") != NULL;
    if (vm->gc_stress)
        lua_gc(vm->L, LUA_GCINC, 1, 1000, 4);
    int rc = lt_vm_protect(vm, open_own, vm, err);
    if (rc < 0)
        lt_vm_free(vm);
    else
        *out = vm;
    return rc;
}

void lt_vm_free(struct lt_vm *vm)
{
    if (!vm)
        return;
    lt_overrun_end();
    lua_close(vm->L);
    if (vm->here)
        tt_env_release(vm->here);
    tt_scope_release(vm->program);
    tt_scope_release(vm->base);
    free(vm->script_dir);
    free(vm);
}
