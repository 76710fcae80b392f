/* "did you mean …?": the known name that is nearest to one that is not known. */
#ifndef TT_SUGGEST_H
#define TT_SUGGEST_H

#include <stddef.h>

/* The search: start with {.wanted = name}, show it every known name, then read `best`. Names are
 * borrowed. */
struct tt_suggest {
    const char *wanted;
    const char *best; /* NULL: none is near enough */
    size_t distance;  /* from `wanted` to `best` */
};
void tt_suggest_try(struct tt_suggest *suggest, const char *name);
/* How many bytes of `a` to insert, delete, replace or swap with their neighbour to get `b`.
 * SIZE_MAX when either name is longer than 64 bytes. */
size_t tt_name_distance(const char *a, const char *b);

#endif
