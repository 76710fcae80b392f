/* Who may go on: counting pools, and who waits for what in them. `-j` is one pool, every
 * environment with a `limit` is one, a named resource is one. Pure: who may go on is answered,
 * nobody is called.
 *
 * A waiter (a small dense number) asks for a set of pools and gets all of it or nothing. Waiters
 * are ranked: higher priority first, then lower order. A waiter that cannot go waits at one pool
 * that is short of what it wants, and nobody of lower rank overtakes it *there*; at all other pools
 * others pass freely, so that a full host never blocks those who go elsewhere.
 *
 * Cost: O(log n) a grant, however many wait and however many different sets there are. One thread.
 */
#ifndef TT_GRANTS_H
#define TT_GRANTS_H

#include "core/pool/needs.h"

#include <stdbool.h>

struct tt_grants;

struct tt_grants *tt_grants_new(void);
void tt_grants_free(struct tt_grants *grants);

/* The number of a set, as tt_needs_set gives it. Of two limits of one pool the smaller one holds.
 */
int tt_grants_set(struct tt_grants *grants, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err);
/* The first pool of the set has that limit from now on (0: none), whatever was stated. Below what
 * is in use nothing new is granted until it fits. */
void tt_grants_limit(struct tt_grants *grants, uint32_t set, uint32_t limit);

/* The waiter stands in line for a set. It waits for one set at a time and holds none meanwhile. */
void tt_grants_wait(struct tt_grants *grants, uint32_t waiter, uint32_t set, uint64_t priority,
                    uint32_t order);
/* It leaves the line with nothing. Not waiting is fine. */
void tt_grants_leave(struct tt_grants *grants, uint32_t waiter);
/* The best waiter that can have its set now; it holds it from here on. False when none can. */
bool tt_grants_next(struct tt_grants *grants, uint32_t *waiter);
/* Gives back what the waiter holds. */
void tt_grants_release(struct tt_grants *grants, uint32_t waiter);
/* Gives back all that the waiter holds but this set, which is a part of it. */
void tt_grants_keep(struct tt_grants *grants, uint32_t waiter, uint32_t set);

bool tt_grants_waiting(const struct tt_grants *grants, uint32_t waiter);
bool tt_grants_holds(const struct tt_grants *grants, uint32_t waiter);
/* What is in use of the pool of that key now, and its limit (0: none); false when there is no such
 * pool. Either pointer may be NULL. */
bool tt_grants_use(const struct tt_grants *grants, const char *key, uint32_t *used,
                   uint32_t *limit);

#endif
