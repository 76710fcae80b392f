/* Counting pools: how much of a thing may be in use at once. `-j` is one pool, every environment
 * with a `limit` is one, a named resource is one. Pure: who may go on is answered, nobody is
 * called.
 *
 * A waiter (a small dense number, a task's index) asks for a set of pools and gets all of it or
 * nothing. Waiters are ranked: higher priority first, then lower order. A waiter that cannot go
 * waits at one pool that is short of what it wants, and nobody of lower rank overtakes it *there*;
 * at all other pools others pass freely, so that a full host never blocks those who go elsewhere.
 *
 * Cost: O(log n) a grant, however many wait and however many different sets there are. One thread.
 */
#ifndef TT_GRANTS_H
#define TT_GRANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tt_error;
struct tt_pools;

/* How much a task takes of a pool. */
struct tt_pool_need {
    const char *key; /* the pool's identity: an environment's text form, a resource's name */
    uint32_t amount; /* how much of it; 0 counts as 1 */
    uint32_t limit;  /* how much there is; 0: not stated here */
};

struct tt_pools *tt_pools_new(void);
void tt_pools_free(struct tt_pools *pools);

/* The number of the set of these pools, the same for the same needs in any order. A key named twice
 * adds up. Pools come to be when first named; one whose limit nobody stated is unlimited. Refused
 * (-TT_INVALID, nothing changed): a limit other than the one stated before, more than there is. */
int tt_pools_set(struct tt_pools *pools, const struct tt_pool_need *needs, size_t count,
                 uint32_t *set, struct tt_error **err);

/* The waiter stands in line for a set. It waits for one set at a time and holds none meanwhile. */
void tt_pools_wait(struct tt_pools *pools, uint32_t waiter, uint32_t set, uint64_t priority,
                   uint32_t order);
/* It leaves the line with nothing. Not waiting is fine. */
void tt_pools_leave(struct tt_pools *pools, uint32_t waiter);
/* The best waiter that can have its set now; it holds it from here on. False when none can. */
bool tt_pools_next(struct tt_pools *pools, uint32_t *waiter);
/* Gives back what the waiter holds. */
void tt_pools_release(struct tt_pools *pools, uint32_t waiter);

bool tt_pools_waiting(const struct tt_pools *pools, uint32_t waiter);
bool tt_pools_holds(const struct tt_pools *pools, uint32_t waiter);
/* What is in use of the pool of that key now, and its limit (0: none); false when there is no such
 * pool. Either pointer may be NULL. */
bool tt_pools_use(const struct tt_pools *pools, const char *key, uint32_t *used, uint32_t *limit);

#endif
