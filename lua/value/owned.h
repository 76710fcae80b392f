/* C resources that Lua's collector frees: what holds them while things may throw, and what keeps
 * them as long as some Lua value lives. */
#ifndef LT_OWNED_H
#define LT_OWNED_H

#include <lua.h>

/* Pushes a userdata of that size, all zero, with one user value, and returns its memory. `gc` is
 * its __gc and gets it at index 1; it must bear what is still zero. */
void *lt_push_owned(lua_State *L, size_t size, lua_CFunction gc);

#endif
