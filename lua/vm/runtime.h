/* tutti.host: the functions in C that stdlib/ stands on: fibers, the process's streams, what the
 * command line decides about the script. */
#ifndef LT_RUNTIME_H
#define LT_RUNTIME_H

#include <lua.h>

int luaopen_tutti_host(lua_State *L);

#endif
