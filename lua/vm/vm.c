#include "lua/vm/vm.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/mask.h"
#include "core/env/exec.h"
#include "lua/modules.h"
#include "lua/stdlib.h"
#include "lua/value/error.h"
#include "lua/vm/masked.h"
#include "lua/vm/secret.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <lua-cjson.h>
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

void lt_warn(struct lt_vm *vm, const char *format, ...)
{
    struct tt_buf out = {0};
    va_list args;
    va_start(args, format);
    char *text = tt_vformat(format, args);
    va_end(args);
    tt_mask_text(lt_masker(vm->L), text, strlen(text), &out);
    fprintf(stderr, "tutti: %s\n", out.data ? out.data : "");
    tt_buf_free(&out);
    free(text);
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

int luaopen_cjson_safe(lua_State *L); /* in the library, but not in its header */

/* --- the standard library --- */

/* stdlib/NAME.lua from the development folder, under the name that the embedded one would have. */
static bool load_from_folder(lua_State *L, const char *folder, const char *name)
{
    lua_pushfstring(L, "%s/%s.lua", folder, name);
    FILE *in = fopen(lua_tostring(L, -1), "rb");
    lua_pop(L, 1);
    if (!in)
        return false;
    luaL_Buffer source;
    luaL_buffinit(L, &source);
    size_t got;
    do {
        char *room = luaL_prepbuffer(&source);
        got = fread(room, 1, LUAL_BUFFERSIZE, in);
        luaL_addsize(&source, got);
    } while (got > 0);
    fclose(in);
    luaL_pushresult(&source);
    const char *chunk = lua_pushfstring(L, "@tutti/%s.lua", name);
    if (luaL_loadbuffer(L, lua_tostring(L, -2), lua_rawlen(L, -2), chunk) != LUA_OK)
        lua_error(L);
    return true;
}

/* Pushes the loader of "tutti.NAME", C or Lua; false when there is none. */
static bool push_loader(lua_State *L, const char *name)
{
    for (const struct lt_module *m = lt_modules; m->name; m++)
        if (strcmp(m->name, name) == 0) {
            lua_pushcfunction(L, m->open);
            return true;
        }
    const char *folder = getenv("TUTTI_STDLIB");
    if (folder && load_from_folder(L, folder, name))
        return true;
    for (const struct lt_stdlib_module *m = lt_stdlib; m->name; m++)
        if (strcmp(m->name, name) == 0) {
            char chunk[64];
            snprintf(chunk, sizeof chunk, "@tutti/%s.lua", name);
            if (luaL_loadbufferx(L, (const char *)m->bytes, m->size, chunk, "b") != LUA_OK)
                lua_error(L);
            return true;
        }
    return false;
}

/* find(name): the loader of a module of tutti's own, or nil. The first searcher of `require`. */
static int find_module(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    bool found = strcmp(name, "tutti") == 0
                     ? push_loader(L, "tutti")
                     : strncmp(name, "tutti.", 6) == 0 && push_loader(L, name + 6);
    return found;
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

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

/* Runs stdlib/runtime.lua, which replaces what would block or break awaiting. */
static int open_libraries(lua_State *L)
{
    struct lt_vm *vm = lua_touserdata(L, 1);
    luaL_openlibs(L);
    seed_random(L, vm->loop);
    vm->pcall = global_function(L, "pcall");
    vm->xpcall = lt_xpcall;
    lua_register(L, "xpcall", lt_xpcall);
    luaopen_tutti_coroutine(L);
    lt_open_masked(L);
    luaL_requiref(L, "tutti.error", luaopen_tutti_error, 0);
    preload(L, "cjson", luaopen_cjson);
    preload(L, "cjson.safe", luaopen_cjson_safe);
    if (!push_loader(L, "runtime"))
        luaL_error(L, "the standard library has no module 'runtime'");
    lua_pushcfunction(L, find_module);
    lua_call(L, 1, 0);
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
    int rc = lt_vm_protect(vm, open_libraries, vm, err);
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
