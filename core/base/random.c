#include "core/base/random.h"

/* splitmix64, after Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014),
 * with the constants of Vigna's variant, which is in the public domain. */
uint64_t tt_random_next(struct tt_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double tt_random_unit(struct tt_random *random)
{
    return (double)(tt_random_next(random) >> 11) * 0x1p-53;
}
