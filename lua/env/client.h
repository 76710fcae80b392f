/* The APIs of Docker daemons and Kubernetes clusters for the standard library: see lclient.c. */
#ifndef LT_LCLIENT_H
#define LT_LCLIENT_H

#include <lua.h>

int luaopen_tutti_client(lua_State *L);

#endif
