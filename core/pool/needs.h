/* What is needed at once: sets of pools and amounts, each different set with a number of its own.
 * A run has such a table for its tasks, and whoever grants has one for all runs. Pure; one thread.
 */
#ifndef TT_NEEDS_H
#define TT_NEEDS_H

#include <stddef.h>
#include <stdint.h>

struct tt_error;
struct tt_names;

/* How much of a pool is needed. */
struct tt_pool_need {
    const char *key; /* the pool's identity: an environment's identity, a resource's name */
    uint32_t amount; /* how much of it; 0 counts as 1 */
    uint32_t limit;  /* how much there is; 0: not stated here */
};

/* Which of two limits holds when a key is named with both. */
enum tt_two_limits {
    TT_LIMITS_REFUSED, /* -TT_INVALID: one script contradicts itself */
    TT_LIMITS_SMALLEST /* the smaller one */
};

struct tt_needs {
    enum tt_two_limits two_limits;
    struct tt_names *keys; /* a pool's number is its key's */
    struct tt_needed_pool {
        uint32_t limit; /* 0: none stated */
        uint32_t most;  /* the largest amount that a set has */
    } * pools;
    uint32_t pool_capacity;
    struct tt_names *texts; /* of sets, to find them again */
    struct tt_needed_set {
        struct tt_needed_part {
            uint32_t pool, amount;
        } * parts; /* ascending by pool */
        uint32_t count;
    } * sets;
    uint32_t set_capacity;
};

void tt_needs_init(struct tt_needs *needs, enum tt_two_limits two_limits);
void tt_needs_clear(struct tt_needs *needs);

/* The number of the set of these pools, the same for the same needs in any order; 0 is the first
 * one. A key named twice adds up. Pools come to be when first named; one whose limit nobody stated
 * is unlimited. Refused (-TT_INVALID, nothing changed): more than there is, and two limits of one
 * key where they are refused. */
int tt_needs_set(struct tt_needs *needs, const struct tt_pool_need *list, size_t count,
                 uint32_t *set, struct tt_error **err);
uint32_t tt_needs_pool_count(const struct tt_needs *needs);
uint32_t tt_needs_set_count(const struct tt_needs *needs);
const char *tt_needs_key(const struct tt_needs *needs, uint32_t pool);

#endif
