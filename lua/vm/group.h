/* tutti.all, map, race and timeout: functions that run at once and are waited for together. */
#ifndef LT_GROUP_H
#define LT_GROUP_H

#include <lua.h>

int lt_all(lua_State *L);
int lt_map(lua_State *L);
int lt_race(lua_State *L);
int lt_timeout(lua_State *L);

#endif
