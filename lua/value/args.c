#include "lua/value/args.h"

#include "core/base/suggest.h"
#include "lua/value/error.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *lt_nearest(const char *word, const char *const *names)
{
    struct tt_suggest suggest = {.wanted = word};
    for (; *names; names++)
        tt_suggest_try(&suggest, *names);
    return suggest.best;
}

/* --- describing what came --- */

const char *lt_describe(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNONE:
        return lua_pushliteral(L, "nothing");
    case LUA_TNIL:
        return lua_pushliteral(L, "nil");
    case LUA_TBOOLEAN:
        return lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        return lua_tostring(L, -1);
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        if (length <= 60)
            return lua_pushfstring(L, "the string '%s'", text);
        lua_pushliteral(L, "the string '");
        lua_pushlstring(L, text, 57);
        lua_pushliteral(L, "…'");
        lua_concat(L, 3);
        return lua_tostring(L, -1);
    }
    default:
        if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
            lua_pushfstring(L, "a %s", lua_tostring(L, -1));
            lua_remove(L, -2);
            return lua_tostring(L, -1);
        }
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
}

/* --- units --- */

/* Reads "1h30m": digits with an optional fraction, a unit, and so on, each unit smaller than the
 * one before. */
static bool parse_units(const char *text, const char *const *units, const double *factors,
                        double *sum)
{
    size_t smallest = 0;
    *sum = 0;
    if (!*text)
        return false;
    while (*text) {
        char number[32];
        size_t digits = strspn(text, "0123456789."), letters = 0, unit = smallest;
        if (digits == 0 || digits >= sizeof number || !isdigit((unsigned char)*text))
            return false;
        memcpy(number, text, digits);
        number[digits] = 0;
        char *end;
        double value = strtod(number, &end);
        if (*end)
            return false;
        text += digits;
        while (isalpha((unsigned char)text[letters]))
            letters++;
        while (units[unit] &&
               (strlen(units[unit]) != letters || strncmp(units[unit], text, letters) != 0))
            unit++;
        if (!units[unit])
            return false;
        *sum += value * factors[unit];
        smallest = unit + 1;
        text += letters;
    }
    return true;
}

static bool to_units(lua_State *L, int index, const char *const *units, const double *factors,
                     double plain, int64_t *out)
{
    double value;
    if (lua_type(L, index) == LUA_TNUMBER)
        value = lua_tonumber(L, index) * plain;
    else if (lua_type(L, index) != LUA_TSTRING ||
             strlen(lua_tostring(L, index)) != lua_rawlen(L, index) ||
             !parse_units(lua_tostring(L, index), units, factors, &value))
        return false;
    if (!(value >= 0 && value <= 9e15))
        return false;
    *out = (int64_t)ceil(value - 1e-9);
    return true;
}

bool lt_to_duration(lua_State *L, int index, int64_t *ms)
{
    static const char *const units[] = {"d", "h", "m", "s", "ms", NULL};
    static const double factors[] = {86400e3, 3600e3, 60e3, 1e3, 1};
    return to_units(L, index, units, factors, 1e3, ms);
}

bool lt_to_size(lua_State *L, int index, int64_t *bytes)
{
    static const char *const units[] = {"TiB", "GiB", "MiB", "KiB", "B", NULL};
    static const double factors[] = {1099511627776.0, 1073741824.0, 1048576.0, 1024.0, 1};
    return to_units(L, index, units, factors, 1, bytes);
}

static const char duration_form[] =
    "a duration (\"250ms\", \"5s\", \"2m\", \"1h30m\", or a number of seconds)";
static const char size_form[] = "a size (\"64KiB\", \"16MiB\", or a number of bytes)";

/* --- option tables --- */

static bool is_name(const char *word, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(word, *names) == 0)
            return true;
    return false;
}

static void refuse_key(lua_State *L, const struct lt_options *o)
{
    if (lua_type(L, -2) != LUA_TSTRING) {
        lua_pushvalue(L, -2);
        lt_invalid(L, "%s: %s is not an option", o->what, lt_describe(L, -1));
    }
    const char *name = lua_tostring(L, -2), *nearest = lt_nearest(name, o->names);
    if (nearest)
        lt_invalid(L, "%s: unknown option '%s' (did you mean '%s'?)", o->what, name, nearest);
    lt_invalid(L, "%s: unknown option '%s'", o->what, name);
}

void lt_options_open(lua_State *L, struct lt_options *o, int index, const char *what,
                     const char *const *names, bool items)
{
    *o = (struct lt_options){L, 0, what, names};
    if (lua_isnoneornil(L, index))
        return;
    o->index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        lt_invalid(L, "%s: the options must be a table, got %s", what, lt_describe(L, index));
    lua_Integer count = items ? (lua_Integer)lua_rawlen(L, index) : 0;
    for (lua_pushnil(L); lua_next(L, o->index); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 && lua_tointeger(L, -2) <= count)
            continue;
        if (lua_type(L, -2) != LUA_TSTRING || !is_name(lua_tostring(L, -2), names))
            refuse_key(L, o);
    }
}

int lt_option_push(const struct lt_options *o, const char *name)
{
    if (o->index)
        return lua_getfield(o->L, o->index, name);
    lua_pushnil(o->L);
    return LUA_TNIL;
}

bool lt_option_given(const struct lt_options *o, const char *name)
{
    bool given = lt_option_push(o, name) != LUA_TNIL;
    lua_pop(o->L, 1);
    return given;
}

void lt_options_only(const struct lt_options *o, struct lt_options *only, const char *const *names)
{
    lua_newtable(o->L);
    *only = (struct lt_options){o->L, lua_gettop(o->L), o->what, names};
    for (const char *const *name = names; *name; name++) {
        lt_option_push(o, *name);
        lua_setfield(o->L, only->index, *name);
    }
}

void lt_option_wrong(const struct lt_options *o, const char *name, const char *expected)
{
    lt_option_push(o, name);
    lt_invalid(o->L, "%s: option '%s' must be %s, got %s", o->what, name, expected,
               lt_describe(o->L, -1));
}

const char *lt_option_bytes(const struct lt_options *o, const char *name, size_t *length)
{
    int type = lt_option_push(o, name);
    if (type != LUA_TNIL && type != LUA_TSTRING)
        lt_option_wrong(o, name, "a string");
    const char *bytes = lua_tolstring(o->L, -1, length);
    lua_pop(o->L, 1);
    return bytes;
}

const char *lt_option_string(const struct lt_options *o, const char *name, const char *fallback)
{
    size_t length;
    const char *text = lt_option_bytes(o, name, &length);
    if (text && strlen(text) != length)
        lt_option_wrong(o, name, "a string without a NUL byte");
    return text ? text : fallback;
}

int64_t lt_option_integer(const struct lt_options *o, const char *name, int64_t fallback,
                          int64_t min, int64_t max)
{
    if (lt_option_push(o, name) == LUA_TNIL) {
        lua_pop(o->L, 1);
        return fallback;
    }
    int exact;
    lua_Integer value = lua_tointegerx(o->L, -1, &exact);
    if (lua_type(o->L, -1) != LUA_TNUMBER || !exact || value < min || value > max) {
        const char *form =
            max == INT64_MAX ? lua_pushfstring(o->L, "an integer of at least %I", (LUAI_UACINT)min)
                             : lua_pushfstring(o->L, "an integer from %I to %I", (LUAI_UACINT)min,
                                               (LUAI_UACINT)max);
        lt_option_wrong(o, name, form);
    }
    lua_pop(o->L, 1);
    return value;
}

double lt_option_number(const struct lt_options *o, const char *name, double fallback, double min,
                        double max)
{
    if (lt_option_push(o, name) == LUA_TNIL) {
        lua_pop(o->L, 1);
        return fallback;
    }
    double value = lua_tonumber(o->L, -1);
    if (lua_type(o->L, -1) != LUA_TNUMBER || !(value >= min && value <= max)) {
        const char *form = isinf(max) ? lua_pushfstring(o->L, "a number of at least %f", min)
                                      : lua_pushfstring(o->L, "a number from %f to %f", min, max);
        lt_option_wrong(o, name, form);
    }
    lua_pop(o->L, 1);
    return value;
}

bool lt_option_boolean(const struct lt_options *o, const char *name, bool fallback)
{
    int type = lt_option_push(o, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        lt_option_wrong(o, name, "true or false");
    bool value = type == LUA_TNIL ? fallback : lua_toboolean(o->L, -1);
    lua_pop(o->L, 1);
    return value;
}

static int64_t option_units(const struct lt_options *o, const char *name, int64_t fallback,
                            bool (*convert)(lua_State *, int, int64_t *), const char *form)
{
    int64_t value = fallback;
    if (lt_option_push(o, name) != LUA_TNIL && !convert(o->L, -1, &value))
        lt_option_wrong(o, name, form);
    lua_pop(o->L, 1);
    return value;
}

int64_t lt_option_duration(const struct lt_options *o, const char *name, int64_t fallback)
{
    return option_units(o, name, fallback, lt_to_duration, duration_form);
}

int64_t lt_option_size(const struct lt_options *o, const char *name, int64_t fallback)
{
    return option_units(o, name, fallback, lt_to_size, size_form);
}

int lt_option_choice(const struct lt_options *o, const char *name, const char *const *choices,
                     int fallback)
{
    const char *word = lt_option_string(o, name, NULL);
    if (!word)
        return fallback;
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], word) == 0)
            return i;
    luaL_Buffer form;
    luaL_buffinit(o->L, &form);
    for (int i = 0; choices[i]; i++) {
        luaL_addstring(&form, i == 0 ? "'" : choices[i + 1] ? "', '" : "' or '");
        luaL_addstring(&form, choices[i]);
    }
    luaL_addchar(&form, '\'');
    luaL_pushresult(&form);
    lt_option_wrong(o, name, lua_tostring(o->L, -1));
}

size_t lt_option_strings(const struct lt_options *o, const char *name)
{
    static const char form[] = "a string or a list of strings";
    lua_State *L = o->L;
    int type = lt_option_push(o, name);
    lua_newtable(L);
    if (type == LUA_TSTRING) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, -2, 1);
    } else if (type == LUA_TTABLE) {
        size_t keys = 0;
        for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1))
            keys++;
        if (keys != lua_rawlen(L, -2))
            lt_option_wrong(o, name, form);
        for (lua_Integer i = 1; i <= (lua_Integer)keys; i++) {
            if (lua_rawgeti(L, -2, i) != LUA_TSTRING)
                lt_option_wrong(o, name, form);
            lua_rawseti(L, -2, i);
        }
    } else if (type != LUA_TNIL) {
        lt_option_wrong(o, name, form);
    }
    lua_remove(L, -2);
    return lua_rawlen(L, -1);
}

void lt_list_strings(lua_State *L, int index, const char **to)
{
    index = lua_absindex(L, index);
    size_t count = lua_rawlen(L, index);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        to[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
}

/* --- positional arguments --- */

const char *lt_check_string(lua_State *L, int index, const char *what, const char *name)
{
    if (lua_type(L, index) != LUA_TSTRING)
        lt_invalid(L, "%s: the %s must be a string, got %s", what, name, lt_describe(L, index));
    const char *text = lua_tostring(L, index);
    if (strlen(text) != lua_rawlen(L, index))
        lt_invalid(L, "%s: the %s holds a NUL byte", what, name);
    return text;
}

int64_t lt_check_duration(lua_State *L, int index, const char *what)
{
    int64_t ms;
    if (!lt_to_duration(L, index, &ms))
        lt_invalid(L, "%s: expected %s, got %s", what, duration_form, lt_describe(L, index));
    return ms;
}

void lt_check_function(lua_State *L, int index, const char *what, const char *name)
{
    if (lua_isfunction(L, index))
        return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        lt_invalid(L, "%s: the %s must be a function, got %s", what, name, lt_describe(L, index));
    lua_pop(L, 1);
}

size_t lt_check_sequence(lua_State *L, int index, const char *what, const char *name)
{
    if (!lua_istable(L, index))
        lt_invalid(L, "%s: the %s must be a list, got %s", what, name, lt_describe(L, index));
    index = lua_absindex(L, index);
    lua_Integer count = (lua_Integer)lua_rawlen(L, index), keys = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), keys++)
        if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > count)
            lt_invalid(L, "%s: the %s must be a list without holes, but has the key %s", what, name,
                       luaL_tolstring(L, -2, NULL));
    if (keys != count)
        lt_invalid(L, "%s: the %s must be a list without holes", what, name);
    return (size_t)count;
}
