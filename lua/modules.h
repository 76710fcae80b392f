/* The C modules of the runtime. Each is opened when it is first required, by its name below
 * "tutti.": require "tutti.core" and so on. They are internal: what people use is put together by
 * stdlib/tutti.lua. */
#ifndef LT_MODULES_H
#define LT_MODULES_H

#include <lua.h>

struct lt_module {
    const char *name; /* without "tutti."; NULL ends the table */
    lua_CFunction open;
};

extern const struct lt_module lt_modules[];

#endif
