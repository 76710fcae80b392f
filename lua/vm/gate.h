/* A gate: fibers wait until somebody opens it; then it stays open. For stdlib/. */
#ifndef LT_GATE_H
#define LT_GATE_H

#include <lua.h>

int lt_gate(lua_State *L); /* gate() → an object with wait() and open() */

#endif
