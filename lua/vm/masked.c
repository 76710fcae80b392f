#include "lua/vm/masked.h"

#include "core/base/mask.h"
#include "lua/value/owned.h"
#include "lua/vm/masker.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* What is still held back of standard error, because it may begin a secret. */
struct errors {
    struct tt_mask mask;
};

static int lost;         /* why standard output lost something, the first time; or 0 */
static bool is_log;      /* nobody's result is on standard output … */
static bool result_lost; /* … but was to go to what it was before, and did not */

static void note_lost(int errnum)
{
    if (!lost)
        lost = errnum;
}

static bool put(FILE *file, const char *bytes, size_t length)
{
    return length == 0 || fwrite(bytes, 1, length, file) == length;
}

static int errors_gc(lua_State *L)
{
    struct errors *errors = lua_touserdata(L, 1);
    struct tt_buf out = {0};
    tt_mask_end(&errors->mask, &out);
    put(stderr, out.data, out.length);
    tt_buf_free(&out);
    return 0;
}

/* io.stderr:write(…); upvalues: the files' own write, the struct errors. */
static int masked_write(lua_State *L)
{
    luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);
    struct tt_masker *masker = lt_masker(L);
    if (!stream || stream->f != stderr || tt_masker_empty(masker)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
        if (stream && stream->f == stdout && lua_isnil(L, 1) && lua_isinteger(L, 3))
            note_lost((int)lua_tointeger(L, 3));
        return lua_gettop(L);
    }
    struct errors *errors = lua_touserdata(L, lua_upvalueindex(2));
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++)
        luaL_checkstring(L, i);
    bool fine = true;
    for (int i = 2; i <= count; i++) {
        size_t length;
        const char *bytes = lua_tolstring(L, i, &length);
        struct tt_buf out = {0};
        tt_mask_feed(masker, &errors->mask, bytes, length, &out);
        fine = put(stderr, out.data, out.length) && fine;
        tt_buf_free(&out);
    }
    if (!fine)
        return luaL_fileresult(L, 0, NULL);
    lua_settop(L, 1);
    return 1;
}

static int masked_print(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    struct tt_masker *masker = lt_masker(L);
    struct tt_buf out = {0};
    if (!tt_masker_empty(masker)) {
        tt_mask_text(masker, bytes, length, &out);
        bytes = out.data;
        length = out.length;
    }
    if (!put(stdout, bytes, length) || fflush(stdout) != 0)
        note_lost(errno);
    tt_buf_free(&out);
    return 0;
}

bool lt_stdout_end(void)
{
    if (fflush(stdout) != 0)
        note_lost(errno);
    if (!result_lost && (is_log || (!lost && !ferror(stdout))))
        return true;
    fprintf(stderr, "tutti: what was written to standard output is lost%s%s\n", lost ? ": " : "",
            lost ? strerror(lost) : "");
    return false;
}

void lt_stdout_is_log(void)
{
    is_log = true;
}

void lt_stdout_lost(int errnum)
{
    lost = errnum;
    result_lost = true;
}

int lt_open_masked(lua_State *L)
{
    lua_pushcfunction(L, masked_print);
    lua_setglobal(L, "print");
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__index");
    lua_getfield(L, -1, "write");
    lt_push_owned(L, sizeof(struct errors), errors_gc);
    lua_pushcclosure(L, masked_write, 2);
    lua_setfield(L, -2, "write");
    lua_pop(L, 2);
    return 0;
}
