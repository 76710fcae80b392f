/* Tunnels in Lua: env:tunnel{ from =, to =, reverse = } and what it gives, with the fields port and
 * open and the method close. It is closed with the fiber that opened it, too. */
#ifndef LT_TUNNEL_H
#define LT_TUNNEL_H

#include <lua.h>

int lt_env_tunnel(lua_State *L);

#endif
