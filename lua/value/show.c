/* What a table holds, on one short line for people. */
#include "lua/value/show.h"

#include "core/base/buf.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_bytes = 200, most_fields = 16, deepest = 4 };

static void show_value(lua_State *L, int index, struct tt_buf *out, int depth);

static void show_string(lua_State *L, int index, struct tt_buf *out)
{
    size_t length;
    const char *bytes = lua_tolstring(L, index, &length);
    tt_buf_text(out, "\"");
    for (size_t i = 0; i < length && out->length <= most_bytes; i++)
        tt_buf_add(out, iscntrl((unsigned char)bytes[i]) ? " " : &bytes[i], 1);
    tt_buf_text(out, "\"");
}

static void show_number(lua_State *L, int index, struct tt_buf *out)
{
    char text[40];
    if (lua_isinteger(L, index))
        snprintf(text, sizeof text, LUA_INTEGER_FMT, lua_tointeger(L, index));
    else
        snprintf(text, sizeof text, LUA_NUMBER_FMT, lua_tonumber(L, index));
    tt_buf_text(out, text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Items in their order, then fields by name; other keys are left out. */
static void show_table(lua_State *L, int index, struct tt_buf *out, int depth)
{
    const char *names[most_fields], *between = "";
    size_t count = 0;
    bool more = false;
    tt_buf_text(out, "{");
    for (lua_Integer i = 1; lua_rawgeti(L, index, i) != LUA_TNIL && out->length <= most_bytes;
         i++) {
        tt_buf_text(out, between);
        show_value(L, lua_gettop(L), out, depth);
        between = ", ";
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && count < most_fields)
            names[count++] = lua_tostring(L, -2); /* the table keeps it */
        else
            more = more || !lua_isinteger(L, -2);
    }
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count && out->length <= most_bytes; i++) {
        tt_buf_text(out, between);
        tt_buf_text(out, names[i]);
        tt_buf_text(out, " = ");
        lua_pushstring(L, names[i]);
        lua_rawget(L, index);
        show_value(L, lua_gettop(L), out, depth);
        between = ", ";
        lua_pop(L, 1);
    }
    if (more) {
        tt_buf_text(out, between);
        tt_buf_text(out, "…");
    }
    tt_buf_text(out, "}");
}

static void show_value(lua_State *L, int index, struct tt_buf *out, int depth)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        show_string(L, index, out);
        break;
    case LUA_TNUMBER:
        show_number(L, index, out);
        break;
    case LUA_TBOOLEAN:
        tt_buf_text(out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TTABLE:
        if (depth < deepest && lua_checkstack(L, 8)) {
            show_table(L, index, out, depth + 1);
            break;
        }
        tt_buf_text(out, "{…}");
        break;
    default:
        tt_buf_text(out, lua_typename(L, lua_type(L, index)));
    }
}

void lt_push_contents(lua_State *L, int index)
{
    struct tt_buf out = {0};
    index = lua_absindex(L, index);
    show_value(L, index, &out, 0);
    size_t length = out.length;
    if (length > most_bytes)
        for (length = most_bytes; ((unsigned char)out.data[length] & 0xc0) == 0x80;)
            length--;
    bool cut = length < out.length;
    lua_pushlstring(L, out.data, length);
    tt_buf_free(&out);
    if (cut) {
        lua_pushliteral(L, "…");
        lua_concat(L, 2);
    }
}
