#include "lua/value/value.h"

#include "core/base/json.h"
#include "lua/value/args.h"
#include "lua/value/error.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY "tutti.json.array"

enum { deepest = 100, most_packed = 1000000 };

static const char null_marker; /* its address is tutti.json.null */

void lt_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&null_marker);
}

static bool is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA &&
           lua_touserdata(L, index) == (const void *)&null_marker;
}

void lt_mark_array(lua_State *L)
{
    luaL_newmetatable(L, ARRAY);
    lua_setmetatable(L, -2);
}

static bool is_marked_array(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, ARRAY);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* --- from Lua --- */

/* Where in the value the conversion is, for messages and to see cycles. */
struct spot {
    const struct spot *outer;
    const char *what; /* of the outermost */
    const char *key;  /* or NULL: */
    lua_Integer position;
    const void *table;
    int depth;
};

static void add_path(struct tt_buf *out, const struct spot *spot)
{
    if (spot->outer)
        add_path(out, spot->outer);
    if (spot->what)
        tt_buf_text(out, spot->what);
    else if (spot->key)
        tt_buf_format(out, ".%s", spot->key);
    else
        tt_buf_format(out, "[%lld]", (long long)spot->position);
}

static json_t *refuse(const struct spot *spot, struct tt_error **err, const char *is)
{
    struct tt_buf path = {0};
    add_path(&path, spot);
    tt_fail(err, TT_INVALID, "%s %s", path.data, is);
    tt_buf_free(&path);
    return NULL;
}

static json_t *convert(lua_State *L, int index, const struct spot *spot, struct tt_error **err);

static json_t *convert_array(lua_State *L, int index, struct spot *inner, lua_Integer count,
                             struct tt_error **err)
{
    json_t *array = json_array();
    for (lua_Integer i = 1; i <= count; i++) {
        inner->position = i;
        lua_rawgeti(L, index, i);
        json_t *item = convert(L, -1, inner, err);
        lua_pop(L, 1);
        if (!item || json_array_append_new(array, item) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Members in the order of their keys: the same value always gives the same text. */
static json_t *convert_object(lua_State *L, int index, struct spot *inner, size_t count,
                              const struct spot *spot, struct tt_error **err)
{
    const char **keys = calloc(count + 1, sizeof *keys);
    size_t filled = 0;
    json_t *object = json_object();
    for (lua_pushnil(L); keys && lua_next(L, index); lua_pop(L, 1))
        if (filled < count)
            keys[filled++] = lua_tostring(L, -2);
    if (keys)
        qsort(keys, filled, sizeof *keys, by_key);
    for (size_t i = 0; object && i < filled; i++) {
        inner->key = keys[i];
        lua_pushstring(L, keys[i]);
        lua_rawget(L, index);
        json_t *item = convert(L, -1, inner, err);
        lua_pop(L, 1);
        if (!item || json_object_set_new(object, keys[i], item) < 0) {
            if (item)
                refuse(spot, err, "has a key that is not UTF-8");
            json_decref(object);
            object = NULL;
        }
    }
    free(keys);
    return object;
}

/* The `n` of what table.pack, tutti.all and tutti.map return: the list's length, nil items
 * included; -1 without. */
static lua_Integer packed_length(lua_State *L, int index)
{
    lua_pushliteral(L, "n");
    lua_rawget(L, index);
    lua_Integer n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    lua_pop(L, 1);
    return n >= 0 && n <= most_packed ? n : -1;
}

static json_t *convert_table(lua_State *L, int index, const struct spot *spot,
                             struct tt_error **err)
{
    const void *table = lua_topointer(L, index);
    for (const struct spot *s = spot; s; s = s->outer)
        if (s->table == table)
            return refuse(spot, err, "contains itself");
    if (spot->depth >= deepest)
        return refuse(spot, err, "is nested too deeply (100 levels)");
    struct spot inner = {spot, NULL, NULL, 0, table, spot->depth + 1};
    lua_Integer length = (lua_Integer)lua_rawlen(L, index), items = 0;
    lua_Integer packed = packed_length(L, index), last = packed > length ? packed : length;
    bool marked = is_marked_array(L, index);
    size_t names = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= last)
            items++;
        else if (lua_type(L, -2) == LUA_TSTRING && strlen(lua_tostring(L, -2)) == lua_rawlen(L, -2))
            names++;
        else {
            lua_pop(L, 2);
            return refuse(spot, err, "has a key that is neither text nor a place in a list");
        }
    }
    if (names == 1 && packed >= 0 && (items || marked))
        return convert_array(L, index, &inner, last, err);
    if (names && items)
        return refuse(spot, err, "has both list items and named fields");
    if (items != length)
        return refuse(spot, err, "is a list with holes (use tutti.json.null)");
    if (names)
        return convert_object(L, index, &inner, names, spot, err);
    if (items || marked)
        return convert_array(L, index, &inner, items, err);
    return json_object();
}

/* Objects of our own show their fields: __tojson(value) gives a table. */
static json_t *convert_own(lua_State *L, int index, const struct spot *spot, struct tt_error **err)
{
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        return refuse(spot, err, "cannot be converted");
    }
    json_t *json = convert(L, -1, spot, err);
    lua_pop(L, 1);
    return json;
}

static json_t *convert(lua_State *L, int index, const struct spot *spot, struct tt_error **err)
{
    if (!lua_checkstack(L, 8))
        return refuse(spot, err, "is nested too deeply");
    index = lua_absindex(L, index);
    if (is_null(L, index))
        return json_null();
    if (lua_type(L, index) == LUA_TUSERDATA && luaL_getmetafield(L, index, "__tojson") != LUA_TNIL)
        return convert_own(L, index, spot, err);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return json_integer(lua_tointeger(L, index));
        if (!isfinite(lua_tonumber(L, index)))
            return refuse(spot, err, "is not a finite number");
        return json_real(lua_tonumber(L, index));
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        json_t *string = json_stringn(text, length);
        return string ? string : refuse(spot, err, "is a string that is not UTF-8");
    }
    case LUA_TTABLE:
        return convert_table(L, index, spot, err);
    default: {
        char is[64];
        bool named = luaL_getmetafield(L, index, "__name") == LUA_TSTRING;
        snprintf(is, sizeof is, "is a %s", named ? lua_tostring(L, -1) : luaL_typename(L, index));
        return refuse(spot, err, is);
    }
    }
}

json_t *lt_to_json(lua_State *L, int index, const char *what, struct tt_error **err)
{
    const struct spot spot = {NULL, what, NULL, 0, NULL, 0};
    return convert(L, index, &spot, err);
}

/* --- to Lua --- */

static void push(lua_State *L, const json_t *json)
{
    luaL_checkstack(L, 4, "value");
    switch (json_typeof(json)) {
    case JSON_NULL:
        lt_push_null(L);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(json));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(json));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(json));
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(json), json_string_length(json));
        break;
    case JSON_ARRAY: {
        size_t count = json_array_size(json);
        lua_createtable(L, (int)(count > INT32_MAX ? INT32_MAX : count), 0);
        for (size_t i = 0; i < count; i++) {
            push(L, json_array_get(json, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        lt_mark_array(L);
        break;
    }
    case JSON_OBJECT: {
        const char *key;
        json_t *value;
        lua_createtable(L, 0, (int)json_object_size(json));
        json_object_foreach((json_t *)(uintptr_t)json, key, value)
        {
            push(L, value);
            lua_setfield(L, -2, key);
        }
        break;
    }
    }
}

void lt_push_json(lua_State *L, const json_t *json)
{
    if (!json || json_is_null(json))
        lua_pushnil(L);
    else
        push(L, json);
}

/* --- tutti.json --- */

/* Lets go of a json_t when the function that holds it throws. */
static int box_close(lua_State *L)
{
    json_t **box = lua_touserdata(L, 1);
    json_decref(*box);
    *box = NULL;
    return 0;
}

static json_t **push_box(lua_State *L)
{
    json_t **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    if (luaL_newmetatable(L, "tutti.json.box")) {
        lua_pushcfunction(L, box_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return box;
}

static int decode(lua_State *L)
{
    size_t length;
    struct tt_error *err = NULL;
    if (lua_type(L, 1) != LUA_TSTRING)
        lt_invalid(L, "tutti.json.decode: expected a string, got %s", lt_describe(L, 1));
    const char *text = lua_tolstring(L, 1, &length);
    json_t **box = push_box(L);
    if (tt_json_parse(box, text, length, "tutti.json.decode", &err) < 0)
        lt_raise(L, err);
    lt_push_json(L, *box);
    json_decref(*box);
    *box = NULL;
    return 1;
}

static int text_free(lua_State *L)
{
    tt_buf_free(lua_touserdata(L, 1));
    return 0;
}

static int encode(lua_State *L)
{
    static const char *const names[] = {"indent", NULL};
    struct tt_error *err = NULL;
    struct lt_options o;
    luaL_checkany(L, 1);
    lt_options_open(L, &o, 2, "tutti.json.encode", names, false);
    int indent = (int)lt_option_integer(&o, "indent", 0, 0, 16);
    json_t **box = push_box(L);
    struct tt_buf *text = lua_newuserdatauv(L, sizeof *text, 0);
    *text = (struct tt_buf){0};
    if (luaL_newmetatable(L, "tutti.json.text")) {
        lua_pushcfunction(L, text_free);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *box = lt_to_json(L, 1, "the value", &err);
    if (!*box || tt_json_dump(text, *box, indent, &err) < 0)
        lt_raise(L, err ? err : tt_error_new(TT_IO, "tutti.json.encode: no memory"));
    lua_pushlstring(L, text->data, text->length);
    tt_buf_free(text);
    json_decref(*box);
    *box = NULL;
    return 1;
}

/* tutti.json.array(t): marks a table as a list, so that it is [] when empty. */
static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lt_mark_array(L);
    return 1;
}

int luaopen_tutti_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"decode", decode}, {"encode", encode}, {"array", array}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lt_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
