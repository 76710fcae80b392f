#include "lua/env/words.h"

#include "lua/value/error.h"
#include "lua/vm/secret.h"

#include <lauxlib.h>
#include <string.h>

const char *lt_to_data(lua_State *L, int index, size_t *length)
{
    return lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, length)
                                             : lt_to_secret(L, index, length);
}

const char *lt_to_bytes(lua_State *L, int index, size_t *length)
{
    return lua_type(L, index) == LUA_TNUMBER ? lua_tolstring(L, index, length)
                                             : lt_to_data(L, index, length);
}

struct tt_word lt_check_word(lua_State *L, const char *what, int number)
{
    struct tt_word word;
    if (lt_to_secret(L, -1, NULL))
        lt_invalid(L, "%s: a secret cannot be an argument, which others can list: use env or stdin",
                   what);
    word.bytes = lt_to_bytes(L, -1, &word.length);
    if (!word.bytes)
        lt_invalid(L, "%s: argument %d must be a string or a number, got %s", what, number,
                   lt_describe(L, -1));
    if (memchr(word.bytes, 0, word.length))
        lt_invalid(L, "%s: argument %d holds a NUL byte", what, number);
    return word;
}

void lt_push_words(lua_State *L, int index, size_t count, const char *what, struct tt_word *words)
{
    index = lua_absindex(L, index);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        words[i] = lt_check_word(L, what, (int)i + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static bool is_variable_name(const char *name)
{
    return *name && !strchr("0123456789", *name) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
               strlen(name);
}

void lt_option_vars(const struct lt_options *o, lt_each_var *each, void *arg)
{
    lua_State *L = o->L;
    int type = lt_option_push(o, "env"), table = lua_gettop(L);
    if (type != LUA_TNIL && type != LUA_TTABLE)
        lt_option_wrong(o, "env", "a table { NAME = \"value\" }");
    if (type == LUA_TTABLE)
        lua_pushnil(L);
    while (type == LUA_TTABLE && lua_next(L, table)) {
        size_t length;
        if (lua_type(L, -2) != LUA_TSTRING || !is_variable_name(lua_tostring(L, -2)) ||
            strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2)) {
            const char *name = luaL_tolstring(L, -2, NULL);
            lt_invalid(L, "%s: '%s' is no name for an environment variable", o->what, name);
        }
        const char *name = lua_tostring(L, -2), *value = lt_to_bytes(L, -1, &length);
        if (!value)
            lt_invalid(L,
                       "%s: the environment variable %s must be a string, a number or a secret, "
                       "got %s",
                       o->what, name, lt_describe(L, -1));
        if (strlen(value) != length)
            lt_invalid(L, "%s: the environment variable %s holds a NUL byte", o->what, name);
        each(o, arg, name, value);
        lua_pop(L, 1);
    }
    lua_settop(L, table - 1);
}

const char *lt_option_secret(const struct lt_options *o, const char *name)
{
    lt_option_push(o, name);
    const char *text = lt_to_secret(o->L, -1, NULL);
    lua_pop(o->L, 1); /* the table holds it */
    return text ? text : lt_option_string(o, name, NULL);
}
