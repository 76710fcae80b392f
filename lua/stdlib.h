/* The table of embedded Lua modules that scripts/dev/embed.c makes from stdlib/. */
#ifndef LT_STDLIB_H
#define LT_STDLIB_H

#include <stddef.h>

struct lt_stdlib_module {
    const char *name; /* "cli" for stdlib/cli.lua; NULL ends the table */
    const unsigned char *bytes;
    size_t size;
};

extern const struct lt_stdlib_module lt_stdlib[];

#endif
