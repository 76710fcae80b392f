/* A command's result in Lua: a userdata over struct tt_result, whose fields are those of the
 * contract; stdout and stderr become Lua strings when they are first asked for. */
#include "core/base/json.h"
#include "lua/env/process.h"
#include "lua/value/error.h"
#include "lua/value/fields.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <string.h>

#define NAME "tutti.Result"

struct tt_result *lt_to_result(lua_State *L, int index)
{
    struct tt_result **box = luaL_testudata(L, index, NAME);
    return box ? *box : NULL;
}

static struct tt_result *check_result(lua_State *L)
{
    struct tt_result *result = lt_to_result(L, 1);
    if (!result)
        lt_invalid(L, "this is a method of a result: write result:name()");
    return result;
}

/* --- fields --- */

static int push_stream(lua_State *L, const struct tt_buf *bytes, int slot)
{
    if (lua_getiuservalue(L, 1, slot) == LUA_TSTRING)
        return 1;
    lua_pop(L, 1);
    lua_pushlstring(L, bytes->data ? bytes->data : "", bytes->length);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, slot);
    return 1;
}

/* nil where nothing could be observed. */
static int push_usage(lua_State *L, const struct tt_usage *usage)
{
    if (usage->cpu_user_s < 0 && usage->cpu_system_s < 0 && usage->max_rss_bytes < 0 &&
        usage->io_read_bytes < 0 && usage->io_write_bytes < 0)
        return 0;
    lua_createtable(L, 0, 5);
    if (usage->cpu_user_s >= 0)
        lt_set_number(L, "cpu_user", usage->cpu_user_s);
    if (usage->cpu_system_s >= 0)
        lt_set_number(L, "cpu_system", usage->cpu_system_s);
    if (usage->max_rss_bytes >= 0)
        lt_set_integer(L, "max_rss", usage->max_rss_bytes);
    if (usage->io_read_bytes >= 0)
        lt_set_integer(L, "io_read", usage->io_read_bytes);
    if (usage->io_write_bytes >= 0)
        lt_set_integer(L, "io_write", usage->io_write_bytes);
    return 1;
}

static int push_text(lua_State *L, const char *text)
{
    lua_pushstring(L, text);
    return 1;
}

static int push_field(lua_State *L, const struct tt_result *r, const char *name)
{
    if (strcmp(name, "ok") == 0)
        return lua_pushboolean(L, r->kind == TT_OK), 1;
    if (strcmp(name, "stdout") == 0)
        return push_stream(L, &r->out, 1);
    if (strcmp(name, "stderr") == 0)
        return push_stream(L, &r->err, 2);
    if (strcmp(name, "code") == 0)
        return r->code >= 0 ? (lua_pushinteger(L, r->code), 1) : 0;
    if (strcmp(name, "kind") == 0)
        return push_text(L, tt_kind_name(r->kind));
    if (strcmp(name, "signal") == 0)
        return push_text(L, r->signal ? tt_signal_name(r->signal) : NULL);
    if (strcmp(name, "message") == 0)
        return push_text(L, r->message);
    if (strcmp(name, "duration") == 0)
        return lua_pushnumber(L, r->duration), 1;
    if (strcmp(name, "env") == 0)
        return push_text(L, r->env);
    if (strcmp(name, "usage") == 0)
        return push_usage(L, &r->usage);
    if (strcmp(name, "truncated") == 0)
        return lua_pushboolean(L, r->truncated), 1;
    return 0;
}

static const char *const fields[] = {"ok",     "code",   "signal",    "kind",
                                     "stdout", "stderr", "message",   "duration",
                                     "env",    "usage",  "truncated", NULL};

/* Upvalue 1: the methods. */
static int result_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    return lua_type(L, 2) == LUA_TSTRING ? push_field(L, check_result(L), lua_tostring(L, 2)) : 0;
}

static int result_tojson(lua_State *L)
{
    const struct tt_result *result = check_result(L);
    lua_settop(L, 1);
    lua_createtable(L, 0, 11);
    for (int i = 0; fields[i]; i++)
        if (push_field(L, result, fields[i]))
            lua_setfield(L, 2, fields[i]);
    return 1;
}

/* --- methods --- */

static int next_line(lua_State *L)
{
    size_t length, from = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &length);
    if (from >= length)
        return 0;
    const char *end = memchr(text + from, '\n', length - from);
    size_t to = end ? (size_t)(end - text) : length;
    lua_pushlstring(L, text + from, to - from);
    lua_pushinteger(L, (lua_Integer)to + 1);
    lua_replace(L, lua_upvalueindex(2));
    return 1;
}

static int result_lines(lua_State *L)
{
    push_stream(L, &check_result(L)->out, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

static int box_gc(lua_State *L)
{
    json_t **box = lua_touserdata(L, 1);
    json_decref(*box);
    *box = NULL;
    return 0;
}

static int result_json(lua_State *L)
{
    const struct tt_result *result = check_result(L);
    struct tt_error *err = NULL;
    json_t **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    if (luaL_newmetatable(L, "tutti.Result.json")) {
        lua_pushcfunction(L, box_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (tt_json_parse(box, result->out.data ? result->out.data : "", result->out.length, "stdout",
                      &err) < 0)
        lt_raise(L, err);
    lt_push_json(L, *box);
    return 1;
}

static int result_tostring(lua_State *L)
{
    const struct tt_result *result = check_result(L);
    size_t length = result->out.length;
    if (length > 0 && result->out.data[length - 1] == '\n')
        length--;
    lua_pushlstring(L, result->out.data ? result->out.data : "", length);
    return 1;
}

static int result_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int result_gc(lua_State *L)
{
    struct tt_result **box = lua_touserdata(L, 1);
    tt_result_release(*box);
    *box = NULL;
    return 0;
}

static void push_metatable(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", result_tostring},
                                    {"__concat", result_concat},
                                    {"__tojson", result_tojson},
                                    {"__gc", result_gc},
                                    {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"lines", result_lines}, {"json", result_json}, {NULL, NULL}};
    if (!luaL_newmetatable(L, NAME))
        return;
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, result_index, 1);
    lua_setfield(L, -2, "__index");
}

void lt_push_result(lua_State *L, struct tt_result *result)
{
    struct tt_result **box = lua_newuserdatauv(L, sizeof *box, 2);
    *box = NULL;
    push_metatable(L);
    lua_setmetatable(L, -2);
    *box = tt_result_retain(result);
}

void lt_push_result_error(lua_State *L, struct tt_result *result)
{
    struct tt_error *err = tt_result_error(result);
    lt_push_error(L, err);
    tt_error_free(err);
    lt_push_result(L, result);
    lua_setfield(L, -2, "result");
    lua_pushstring(L, result->env);
    lua_setfield(L, -2, "env");
    if (result->code >= 0) {
        lua_pushinteger(L, result->code);
        lua_setfield(L, -2, "code");
    }
}
