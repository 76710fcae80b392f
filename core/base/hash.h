/* FNV-1a, by Fowler, Noll and Vo: a hash of a text, the same in every process and version (the
 * names of long logs have it in them). Not for texts that an attacker chooses to collide. */
#ifndef TT_HASH_H
#define TT_HASH_H

#include <stdint.h>

static inline uint64_t tt_hash(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

#endif
