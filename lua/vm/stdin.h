/* Reading standard input without blocking the loop: for stdlib/stdio.lua. */
#ifndef LT_STDIN_H
#define LT_STDIN_H

#include <lua.h>

/* read_stdin(): the bytes that are there, at least one, or nil at the end. One reader at a time. */
int lt_read_stdin(lua_State *L);

#endif
