/* The APIs of Docker daemons and Kubernetes clusters for the standard library: see client.c. */
#ifndef LT_CLIENT_H
#define LT_CLIENT_H

#include <lua.h>

int luaopen_tutti_client(lua_State *L);

#endif
