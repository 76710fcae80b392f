/* Sets of pools: how much of which pools somebody needs at once. The table numbers each different
 * set, and each pool. A run has a table for its tasks; tt_grants has one for all runs. Pure; one
 * thread. */
#ifndef TT_NEEDS_H
#define TT_NEEDS_H

#include <stddef.h>
#include <stdint.h>

struct tt_error;
struct tt_names;

/* A pool in a set, as asked for. */
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
    struct tt_names *keys; /* a pool has its key's number here */
    struct tt_needed_pool {
        uint32_t limit; /* 0: none stated */
        uint32_t most;  /* the largest amount of it in any set */
    } * pools;
    uint32_t pool_capacity;
    struct tt_names *texts; /* each set as text; its number here is the set's */
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

/* *set: the number of the set with these pools, from 0 on. The same list in any order has the same
 * number; amounts of a key that is listed twice add up. A pool exists from when it is first listed,
 * and is unlimited until a limit is stated. -TT_INVALID, with nothing changed, for an amount above
 * the pool's limit, and for two limits of one key under TT_LIMITS_REFUSED. */
int tt_needs_set(struct tt_needs *needs, const struct tt_pool_need *list, size_t count,
                 uint32_t *set, struct tt_error **err);
uint32_t tt_needs_pool_count(const struct tt_needs *needs);
uint32_t tt_needs_set_count(const struct tt_needs *needs);
const char *tt_needs_key(const struct tt_needs *needs, uint32_t pool);

#endif
