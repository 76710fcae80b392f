/* Grants: pools that are counted, and which waiter gets its set of them next. `-j` is one pool,
 * each environment with a `limit` is one, each named resource is one. Pure: the caller asks who is
 * next, nobody is called.
 *
 * A waiter (a small dense number of the caller's) waits for a set of pools and gets all of it or
 * nothing. Waiters are ranked: higher priority first, then lower order. A waiter whose set is not
 * free stands in line at one pool that is short, and nobody of lower rank overtakes it *there*. At
 * all other pools others pass, so that an environment that is full never blocks those who go
 * elsewhere.
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

/* The number of a set, as tt_needs_set gives it. Of two limits stated for one pool the smaller
 * holds. */
int tt_grants_set(struct tt_grants *grants, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err);
/* The first pool of the set has that limit from now on (0: none), whatever was stated before. When
 * more than that is in use, nothing more of it is granted until enough was given back. */
void tt_grants_limit(struct tt_grants *grants, uint32_t set, uint32_t limit);

/* The waiter waits for a set: one at a time, and only while it holds none. */
void tt_grants_wait(struct tt_grants *grants, uint32_t waiter, uint32_t set, uint64_t priority,
                    uint32_t order);
/* The waiter waits no longer, and holds nothing. One that did not wait is fine. */
void tt_grants_leave(struct tt_grants *grants, uint32_t waiter);
/* The highest-ranked waiter whose set is free: it holds the set from now on. False when there is
 * none. */
bool tt_grants_next(struct tt_grants *grants, uint32_t *waiter);
/* Gives back what the waiter holds. */
void tt_grants_release(struct tt_grants *grants, uint32_t waiter);
/* The waiter keeps only this set, a part of what it holds, and gives back the rest. */
void tt_grants_keep(struct tt_grants *grants, uint32_t waiter, uint32_t set);

bool tt_grants_waiting(const struct tt_grants *grants, uint32_t waiter);
bool tt_grants_holds(const struct tt_grants *grants, uint32_t waiter);
/* How much of the pool of that key is in use, and its limit (0: none). False when there is no such
 * pool. Either pointer may be NULL. */
bool tt_grants_use(const struct tt_grants *grants, const char *key, uint32_t *used,
                   uint32_t *limit);

#endif
