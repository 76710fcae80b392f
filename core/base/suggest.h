/* "did you mean …?": the known name that is nearest to one that is not known. */
#ifndef TT_SUGGEST_H
#define TT_SUGGEST_H

#include <stddef.h>

/* Keeps the best of the names that it is shown. Start with {.wanted = name}. */
struct tt_suggest {
    const char *wanted;
    const char *best; /* NULL: none is near enough */
    size_t distance;
};
void tt_suggest_try(struct tt_suggest *suggest, const char *name);
/* How many bytes to insert, delete, replace or swap with a neighbour; names longer than 64 bytes
 * are infinitely far. */
size_t tt_name_distance(const char *a, const char *b);

#endif
