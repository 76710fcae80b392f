/* The table of embedded Lua modules that scripts/dev/embed.c makes from stdlib/. */
#ifndef LT_STDLIB_H
#define LT_STDLIB_H

#include <stddef.h>

struct lt_stdlib_module {
    const char *name; /* "text" for stdlib/text.lua, "cli.run" for stdlib/cli/run.lua; NULL ends the
                         table */
    const unsigned char *bytes;
    size_t size;
};

extern const struct lt_stdlib_module lt_stdlib[];

#endif
