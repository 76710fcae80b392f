/* Fields of the table at the top of the stack. May throw. */
#ifndef LT_FIELDS_H
#define LT_FIELDS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* NULL leaves the field out. */
static inline void lt_set_text(lua_State *L, const char *field, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static inline void lt_set_integer(lua_State *L, const char *field, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, field);
}

static inline void lt_set_number(lua_State *L, const char *field, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, field);
}

static inline void lt_set_boolean(lua_State *L, const char *field, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, field);
}

#endif
