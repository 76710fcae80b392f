/* `coroutine`, with awaits passing outward: when a user's coroutine awaits an operation, everything
 * up to the fiber is suspended, and the user's own yields go to the user. The functions behave as
 * Lua's manual says; a body runs protected inside its coroutine, so that `__close` can await. */
#include "lua/value/error.h"
#include "lua/vm/state.h"

#include <lauxlib.h>

int lt_coro_body(lua_State *L);

static int body_end(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Stack: the function and its arguments. Returns true and the results, or false and the error. */
int lt_coro_body(lua_State *L)
{
    return body_end(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, body_end), 0);
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

static int create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lt_thread_set_flag(co, lt_guarded, true);
    lua_pushcfunction(co, lt_coro_body);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

const char *lt_coro_state(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (L == co)
        return "running";
    if (lt_thread_flag(co, lt_failed))
        return "dead";
    if (lt_thread_flag(co, lt_in_await))
        return "normal";
    if (lua_status(co) == LUA_YIELD)
        return "suspended";
    if (lua_status(co) != LUA_OK)
        return "dead";
    if (lua_getstack(co, 0, &ar))
        return "normal";
    return lua_gettop(co) ? "suspended" : "dead";
}

enum outcome { returned, failed, awaits };

/* One lua_resume. What the coroutine yielded or returned, or its error, is then on L's stack. */
static enum outcome resume_once(lua_State *L, lua_State *co, int arguments, int *count)
{
    struct lt_vm *vm = lt_vm_of(L);
    struct lt_level level;
    bool blocked = !lua_isyieldable(L);
    if (lua_status(co) == LUA_OK && lt_thread_flag(co, lt_guarded))
        arguments++; /* the first time: the user's function is the body's argument */
    vm->blocked += blocked;
    lt_enter_level(vm, &level, co);
    int status = lua_resume(co, L, arguments, count);
    vm->levels = level.outer;
    vm->blocked -= blocked;
    if (status == LUA_YIELD && vm->awaiting)
        return awaits;
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return failed;
    }
    bool ok = true;
    if (status == LUA_OK && lt_thread_flag(co, lt_guarded)) {
        ok = lua_toboolean(co, -*count);
        --*count;
    }
    if (!lua_checkstack(L, *count + 1)) {
        lua_settop(co, 0);
        lua_pushliteral(L, "too many results to resume");
        return failed;
    }
    lua_xmove(co, L, *count);
    if (status == LUA_OK)
        lua_settop(co, 0);
    if (!ok) { /* coroutine.close tells it once more */
        lua_pushvalue(L, -1);
        lua_xmove(L, co, 1);
        lt_thread_set_flag(co, lt_failed, true);
    }
    return ok ? returned : failed;
}

/* Resumes co; when it awaits, so does the caller, and goes on here with `then`. */
static enum outcome resume_through(lua_State *L, lua_State *co, int arguments, int *count,
                                   lua_KFunction then)
{
    enum outcome outcome = resume_once(L, co, arguments, count);
    if (outcome == awaits) {
        lt_thread_set_flag(co, lt_in_await, true);
        lua_yieldk(L, 0, 0, then);
    }
    return outcome;
}

/* Moves the arguments over; false with a message on L when co cannot be resumed. */
static bool pass_arguments(lua_State *L, lua_State *co, int count)
{
    const char *state = lt_coro_state(L, co);
    if (*state != 's') {
        lua_pushfstring(L, *state == 'd' ? "cannot resume dead coroutine"
                                         : "cannot resume non-suspended coroutine");
        return false;
    }
    if (!lua_checkstack(co, count)) {
        lua_pushliteral(L, "too many arguments to resume");
        return false;
    }
    lua_xmove(L, co, count);
    return true;
}

/* coroutine.resume: the coroutine stays at index 1. */
static int resume_result(lua_State *L, enum outcome outcome, int count)
{
    lua_pushboolean(L, outcome == returned);
    int values = outcome == returned ? count : 1;
    lua_insert(L, -values - 1);
    return values + 1;
}

static int resume_again(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    lua_State *co = check_coroutine(L);
    int count;
    lt_thread_set_flag(co, lt_in_await, false);
    enum outcome outcome = resume_through(L, co, 0, &count, resume_again);
    return resume_result(L, outcome, count);
}

static int resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int arguments = lua_gettop(L) - 1, count;
    if (!pass_arguments(L, co, arguments))
        return resume_result(L, failed, 1);
    enum outcome outcome = resume_through(L, co, arguments, &count, resume_again);
    return resume_result(L, outcome, count);
}

/* What coroutine.wrap returned: the coroutine is its upvalue. */
static int wrap_result(lua_State *L, enum outcome outcome, int count)
{
    if (outcome == returned)
        return count;
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int count;
    lt_thread_set_flag(co, lt_in_await, false);
    enum outcome outcome = resume_through(L, co, 0, &count, wrap_again);
    return wrap_result(L, outcome, count);
}

static int wrap_call(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int arguments = lua_gettop(L), count;
    if (!pass_arguments(L, co, arguments))
        return wrap_result(L, failed, 1);
    enum outcome outcome = resume_through(L, co, arguments, &count, wrap_again);
    return wrap_result(L, outcome, count);
}

static int wrap(lua_State *L)
{
    create(L);
    lua_pushcclosure(L, wrap_call, 1);
    return 1;
}

static bool is_task(lua_State *L)
{
    const struct lt_vm *vm = lt_vm_of(L);
    return !vm->current || vm->current->L == L;
}

static int yield(lua_State *L)
{
    if (is_task(L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int status(lua_State *L)
{
    lua_pushstring(L, lt_coro_state(L, check_coroutine(L)));
    return 1;
}

static int isyieldable(lua_State *L)
{
    lua_State *co = lua_isnoneornil(L, 1) ? L : check_coroutine(L);
    lua_pushboolean(L, !is_task(co) && lua_isyieldable(co));
    return 1;
}

static int running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, is_task(L));
    return 2;
}

int luaopen_tutti_coroutine(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create", create},   {"resume", resume},       {"wrap", wrap},
        {"yield", yield},     {"status", status},       {"isyieldable", isyieldable},
        {"running", running}, {"close", lt_coro_close}, {NULL, NULL},
    };
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, functions, 0);
    return 1;
}
