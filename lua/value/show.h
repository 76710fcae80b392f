/* A value in short, for messages. */
#ifndef LT_SHOW_H
#define LT_SHOW_H

#include <lua.h>

/* Pushes the value at index as text, on one line and cut where it gets long: {"a", code = 4}. No
 * metamethod is called. */
void lt_push_contents(lua_State *L, int index);

#endif
