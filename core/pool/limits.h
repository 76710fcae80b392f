/* The limits of a loop: the one owner of what may be in use at once in this process. Its pools are
 * the jobs of each run (`-j`), each environment with a `limit`, and later named resources. Runs
 * claim here for their tasks, and commands that user code starts claim for themselves, so that all
 * of them share the same places.
 *
 * A claim waits for a set of pools and is granted all of it or nothing (core/pool/grants.h says in
 * which order). `granted` is called later, as a job, never inside tt_claim_wait. Loop thread. */
#ifndef TT_LIMITS_H
#define TT_LIMITS_H

#include "core/async/loop.h"
#include "core/pool/needs.h"

struct tt_limits;

/* Lives inside its owner; all zero neither waits nor holds. */
struct tt_claim {
    void (*granted)(struct tt_claim *claim); /* the claim holds its set from now on */
    struct tt_limits *limits;                /* NULL: it neither waits nor holds */
    uint32_t number;                         /* the waiter's, in core/pool/grants.h */
    bool held;
};

/* The rank of commands: of all claims on one pool the highest priority goes first, then the lowest
 * order. A command of user code holds up a task that has started, so commands go before tasks;
 * among each other they go in the order of tt_limits_order. */
#define TT_COMMAND_PRIORITY (UINT64_MAX >> 1)
uint32_t tt_limits_order(struct tt_limits *limits); /* one more than the last */

struct tt_limits *tt_limits_of(struct tt_loop *loop);

/* The number of a set of pools, as tt_needs_set gives it. -TT_INVALID for an amount above a pool's
 * limit. Of two limits stated for one pool the smaller holds. */
int tt_limits_set(struct tt_limits *limits, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err);

/* Makes a pool for the jobs of one run, with that limit (0: none). `key` is filled with a key that
 * no other pool has. */
enum { tt_jobs_key_size = 16 };
void tt_jobs_open(struct tt_limits *limits, uint32_t limit, char key[tt_jobs_key_size]);
/* The run is over: no claim may wait for the pool or hold any of it. */
void tt_jobs_close(struct tt_limits *limits, const char *key);

/* The claim, which neither waits nor holds, waits for the set from now on. */
void tt_claim_wait(struct tt_limits *limits, struct tt_claim *claim, uint32_t set,
                   uint64_t priority, uint32_t order);
/* The claim gives back what it holds, or stops waiting; it may do neither. */
void tt_claim_release(struct tt_claim *claim);
/* The claim keeps only this set, a part of what it holds, and gives back the rest. */
void tt_claim_keep(struct tt_claim *claim, uint32_t set);

#endif
