#include "lua/value/owned.h"

#include <stdint.h>
#include <string.h>

void *lt_push_owned(lua_State *L, size_t size, lua_CFunction gc)
{
    const void *key = (const void *)(uintptr_t)gc; /* one metatable for all with that function */
    void *memory = memset(lua_newuserdatauv(L, size, 1), 0, size);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, key);
    }
    lua_setmetatable(L, -2);
    return memory;
}
