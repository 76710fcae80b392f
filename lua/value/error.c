#include "lua/value/error.h"

#include "core/base/alloc.h"
#include "lua/value/show.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define NAME "tutti.Error"

enum { deepest_cause = 16, most_frames = 24 };

/* --- where --- */

/* Frames of C code and of the standard library are nobody's business. */
static bool is_user_frame(lua_State *L, lua_Debug *ar)
{
    lua_getinfo(L, "Sl", ar);
    return ar->currentline > 0 && strncmp(ar->source, "@tutti/", 7) != 0;
}

const char *lt_push_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++)
        if (is_user_frame(L, &ar))
            return lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    return lua_pushliteral(L, "");
}

static void add_frame(luaL_Buffer *out, lua_State *L, lua_State *of, lua_Debug *ar)
{
    lua_getinfo(of, "n", ar);
    if (*ar->what == 'm')
        lua_pushfstring(L, "\n\t%s:%d: in main chunk", ar->short_src, ar->currentline);
    else if (*ar->namewhat)
        lua_pushfstring(L, "\n\t%s:%d: in function '%s'", ar->short_src, ar->currentline, ar->name);
    else
        lua_pushfstring(L, "\n\t%s:%d: in function <%s:%d>", ar->short_src, ar->currentline,
                        ar->short_src, ar->linedefined);
    luaL_addvalue(out);
}

void lt_push_traceback(lua_State *L, lua_State *of, int level)
{
    luaL_Buffer out;
    lua_Debug ar;
    int frames = 0;
    luaL_buffinit(L, &out);
    luaL_addstring(&out, "stack traceback:");
    for (; lua_getstack(of, level, &ar) && frames < most_frames; level++) {
        if (!is_user_frame(of, &ar))
            continue;
        add_frame(&out, L, of, &ar);
        frames++;
    }
    if (frames == most_frames)
        luaL_addstring(&out, "\n\t…");
    luaL_pushresult(&out);
}

/* --- the value --- */

static void set_metatable(lua_State *L)
{
    luaL_getmetatable(L, NAME);
    lua_setmetatable(L, -2);
}

void lt_push_error(lua_State *L, const struct tt_error *err)
{
    luaL_checkstack(L, 4, "error");
    lua_createtable(L, 0, 4);
    lua_pushstring(L, tt_kind_name(err->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, err->message);
    lua_setfield(L, -2, "message");
    if (err->cause) {
        lt_push_error(L, err->cause);
        lua_setfield(L, -2, "cause");
    }
    set_metatable(L);
}

bool lt_is_error(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, NAME);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

void lt_raise_value(lua_State *L)
{
    lua_getfield(L, -1, "kind");
    const char *kind = lua_tostring(L, -1);
    bool placed = kind && strcmp(kind, "script") == 0; /* its message has its own position */
    lua_pop(L, 1);
    if (!placed) {
        lt_push_where(L);
        lua_getfield(L, -2, "message");
        lua_concat(L, 2);
        lua_setfield(L, -2, "message");
    }
    lua_error(L);
    abort();
}

void lt_raise(lua_State *L, struct tt_error *err)
{
    lt_push_error(L, err);
    tt_error_free(err);
    lt_raise_value(L);
}

void lt_raisef(lua_State *L, enum tt_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = tt_vformat(format, args);
    va_end(args);
    struct tt_error *err = tt_error_new(kind, "%s", message);
    free(message);
    lt_raise(L, err);
}

void lt_error_wrap(lua_State *L)
{
    int type = lua_type(L, -1);
    if (type == LUA_TTABLE || type == LUA_TUSERDATA)
        return;
    luaL_tolstring(L, -1, NULL);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "script");
    lua_setfield(L, -2, "kind");
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    set_metatable(L);
    lua_replace(L, -2);
}

void lt_error_set_traceback(lua_State *L, int index, const char *traceback)
{
    index = lua_absindex(L, index);
    if (!traceback || !lt_is_error(L, index))
        return;
    if (lua_getfield(L, index, "traceback") == LUA_TNIL) {
        lua_pushstring(L, traceback);
        lua_setfield(L, index, "traceback");
    }
    lua_pop(L, 1);
}

/* --- to C --- */

static int to_text(lua_State *L)
{
    bool plain = lua_istable(L, 1) && !luaL_getmetafield(L, 1, "__tostring") &&
                 !luaL_getmetafield(L, 1, "__name");
    if (plain)
        lt_push_contents(L, 1);
    else
        luaL_tolstring(L, 1, NULL);
    return 1;
}

/* Pushes the text of the value at index, whatever its __tostring does. */
static const char *push_text(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_pushcfunction(L, to_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK || !lua_tostring(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "an error object that cannot be shown");
    }
    return lua_tostring(L, -1);
}

/* A string field without metamethods; pushes one value. */
static const char *raw_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, index);
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

static struct tt_error *error_of(lua_State *L, int index, int depth)
{
    index = lua_absindex(L, index);
    if (!lua_checkstack(L, 8))
        return tt_error_new(TT_SCRIPT, "stack overflow");
    int top = lua_gettop(L);
    if (lua_type(L, index) != LUA_TTABLE) {
        struct tt_error *plain = tt_error_new(TT_SCRIPT, "%s", push_text(L, index));
        lua_settop(L, top);
        return plain;
    }
    const char *kind_name = raw_field(L, index, "kind");
    enum tt_kind kind = kind_name ? tt_kind_of(kind_name) : TT_OK;
    const char *message = raw_field(L, index, "message");
    struct tt_error *err =
        tt_error_new(kind ? kind : TT_SCRIPT, "%s", message ? message : push_text(L, index));
    lua_pushliteral(L, "cause");
    if (lua_rawget(L, index) != LUA_TNIL && depth < deepest_cause)
        err->cause = error_of(L, -1, depth + 1);
    lua_settop(L, top);
    return err;
}

struct tt_error *lt_error_of(lua_State *L, int index)
{
    return error_of(L, index, 0);
}

/* --- methods --- */

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return lt_error_text(L);
}

static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

int lt_error_text(lua_State *L)
{
    luaL_checkany(L, 1);
    struct tt_error *err = lt_error_of(L, 1);
    char *text = tt_error_text(err);
    tt_error_free(err);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* tutti.Error{ kind = "health", message = "…", cause = e }: for scripts that raise typed errors. */
static int error_new(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 3);
    }
    const char *kind = raw_field(L, 3, "kind");
    if (kind && !tt_kind_of(kind))
        lt_raisef(L, TT_INVALID, "tutti.Error: there is no kind '%s'", kind);
    if (!kind) {
        lua_pushliteral(L, "script");
        lua_setfield(L, 3, "kind");
    }
    if (!raw_field(L, 3, "message"))
        lt_raisef(L, TT_INVALID, "tutti.Error: a message is needed");
    lua_settop(L, 3);
    set_metatable(L);
    return 1;
}

int luaopen_tutti_error(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__tostring", error_tostring}, {"__concat", error_concat}, {NULL, NULL}};
    luaL_newmetatable(L, NAME);
    luaL_setfuncs(L, methods, 0);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, error_new);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
    return 1;
}
