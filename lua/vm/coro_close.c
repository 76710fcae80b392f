/* coroutine.close, whose `__close` metamethods may await.
 *
 * lua_resetthread runs them where nothing can be suspended. So there they are only collected: a
 * hook notes each one that is called and makes it fail before its first instruction. Then they are
 * called here, in the same order, with what Lua would give them: the value, and the latest error.
 */
#include "lua/vm/state.h"

#include <lauxlib.h>

static const char list_key = 0; /* of the close that collects now: { { function, value }, … } */

/* Pushes an argument of the function that is being entered; false when it takes fewer. */
static bool push_argument(lua_State *L, const lua_Debug *ar, int n)
{
    bool named = *ar->what == 'C' || n <= ar->nparams;
    return (named || ar->isvararg) && lua_getlocal(L, ar, named ? n : ar->nparams - n);
}

static bool has_close(lua_State *L)
{
    int type = luaL_getmetafield(L, -1, "__close");
    if (type != LUA_TNIL)
        lua_pop(L, 1);
    return type != LUA_TNIL;
}

/* The value to be closed: the second argument of what is called through `__call`. A function
 * without parameters does not need it. */
static void push_value(lua_State *L, const lua_Debug *ar)
{
    for (int n = 1; n <= 2 && push_argument(L, ar, n); n++) {
        if (has_close(L))
            return;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
}

static void on_close(lua_State *L, lua_Debug *ar)
{
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_createtable(L, 2, 0);
    lua_getinfo(L, "Sfu", ar);
    push_value(L, ar);
    if (luaL_getmetafield(L, -1, "__close") != LUA_TNIL)
        lua_replace(L, -3);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lt_vm_of(L)->forcing = true;
    lua_pushliteral(L, "collected");
    lua_error(L);
}

/* Pushes the list; true, or false and the error that ended the coroutine. */
static bool collect(lua_State *L, lua_State *co)
{
    lua_Hook hook = lua_gethook(co);
    int mask = lua_gethookmask(co), count = lua_gethookcount(co);
    lua_newtable(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key); /* a finalizer may close one meanwhile */
    lua_pushvalue(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_sethook(co, on_close, LUA_MASKCALL, 0);
    bool failed = lua_resetthread(co) != LUA_OK;
    lua_sethook(co, hook, mask, count);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lt_vm_of(L)->forcing = false;
    failed = failed && lua_rawlen(L, -1) == 0;
    lua_pushboolean(L, !failed);
    if (failed)
        lua_xmove(co, L, 1);
    else
        lua_pushnil(L);
    lua_settop(co, 0);
    return !failed;
}

/* Stack: the coroutine, the list, whether all went well, the latest error. */
static int close_rest(lua_State *L, int status, lua_KContext done)
{
    for (;;) {
        if (status != LUA_OK && status != LUA_YIELD) {
            lua_replace(L, 4);
            lua_pushboolean(L, false);
            lua_replace(L, 3);
        }
        lua_settop(L, 4);
        if (lua_rawgeti(L, 2, ++done) == LUA_TNIL)
            break;
        lua_rawgeti(L, 5, 1);
        lua_rawgeti(L, 5, 2);
        lua_pushvalue(L, 4);
        status = lua_pcallk(L, 2, 0, 0, done, close_rest);
    }
    lua_settop(L, 4);
    return lua_toboolean(L, 3) ? (lua_settop(L, 3), 1) : 2;
}

int lt_coro_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    const char *state = lt_coro_state(L, co);
    if (*state != 's' && *state != 'd')
        return luaL_error(L, "cannot close a %s coroutine", state);
    lua_settop(L, 1);
    if (lt_thread_flag(co, lt_failed)) {
        lt_thread_set_flag(co, lt_failed, false);
        lua_pushboolean(L, false);
        lua_xmove(co, L, 1);
        lua_settop(co, 0);
        return 2;
    }
    if (!collect(L, co))
        return 2;
    return close_rest(L, LUA_OK, 0);
}
