#include "lua/libraries.h"

#include "lua/env/client.h"
#include "lua/env/env.h"
#include "lua/flow/flow.h"
#include "lua/stdlib.h"
#include "lua/value/error.h"
#include "lua/value/value.h"
#include "lua/vm/runtime.h"

#include <lauxlib.h>
#include <lua-cjson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_cjson_safe(lua_State *L); /* in the library, but not in its header */

/* By their names below "tutti."; each is opened when it is first required. They are internal: what
 * people use is put together by stdlib/tutti.lua. */
static const struct module {
    const char *name;
    lua_CFunction open;
} modules[] = {
    {"host", luaopen_tutti_host},     {"env", luaopen_tutti_env},
    {"client", luaopen_tutti_client}, {"engine", luaopen_tutti_engine},
    {"json", luaopen_tutti_json},     {NULL, NULL},
};

/* A module from the development folder, under the name that the embedded one would have; `path` is
 * its name with slashes. */
static bool load_from_folder(lua_State *L, const char *folder, const char *path)
{
    lua_pushfstring(L, "%s/%s.lua", folder, path);
    FILE *in = fopen(lua_tostring(L, -1), "rb");
    lua_pop(L, 1);
    if (!in)
        return false;
    luaL_Buffer source;
    luaL_buffinit(L, &source);
    size_t got;
    do {
        char *room = luaL_prepbuffer(&source);
        got = fread(room, 1, LUAL_BUFFERSIZE, in);
        luaL_addsize(&source, got);
    } while (got > 0);
    fclose(in);
    luaL_pushresult(&source);
    const char *chunk = lua_pushfstring(L, "@tutti/%s.lua", path);
    if (luaL_loadbuffer(L, lua_tostring(L, -2), lua_rawlen(L, -2), chunk) != LUA_OK)
        lua_error(L);
    return true;
}

/* Pushes the loader of "tutti.NAME", C or Lua; false when there is none. */
static bool push_loader(lua_State *L, const char *name)
{
    for (const struct module *m = modules; m->name; m++)
        if (strcmp(m->name, name) == 0) {
            lua_pushcfunction(L, m->open);
            return true;
        }
    const char *folder = getenv("TUTTI_STDLIB"), *path = luaL_gsub(L, name, ".", "/");
    if (folder && load_from_folder(L, folder, path))
        return true;
    for (const struct lt_stdlib_module *m = lt_stdlib; m->name; m++)
        if (strcmp(m->name, name) == 0) {
            char chunk[64];
            snprintf(chunk, sizeof chunk, "@tutti/%s.lua", path);
            if (luaL_loadbufferx(L, (const char *)m->bytes, m->size, chunk, "b") != LUA_OK)
                lua_error(L);
            return true;
        }
    return false;
}

/* find(name): the loader of a module of tutti's own, or nil. The first searcher of `require`. */
static int find_module(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    bool found = strcmp(name, "tutti") == 0
                     ? push_loader(L, "tutti")
                     : strncmp(name, "tutti.", 6) == 0 && push_loader(L, name + 6);
    return found;
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Runs stdlib/runtime.lua, which replaces what would block the loop. */
static int open_libraries(lua_State *L)
{
    luaL_requiref(L, "tutti.error", luaopen_tutti_error, 0);
    preload(L, "cjson", luaopen_cjson);
    preload(L, "cjson.safe", luaopen_cjson_safe);
    if (!push_loader(L, "runtime"))
        luaL_error(L, "the standard library has no module 'runtime'");
    lua_pushcfunction(L, find_module);
    lua_call(L, 1, 0);
    return 0;
}

int lt_libraries_open(struct lt_vm *vm, struct tt_error **err)
{
    return lt_vm_protect(vm, open_libraries, NULL, err);
}
