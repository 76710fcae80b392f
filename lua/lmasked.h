/* Where Lua code writes words for people: `print` and io.stderr:write, which pass the masker. Bytes
 * given to io.write or to any other file are data and stay exact. */
#ifndef LT_MASKED_H
#define LT_MASKED_H

#include <lua.h>

/* Replaces `print` and the files' `write` in the globals and libraries that are open. */
int lt_open_masked(lua_State *L);

#endif
