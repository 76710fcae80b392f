/* The one owner of what may be in use at once in this process: the jobs of each run (`-j`), the
 * hosts with a `limit`, and later named pools. Runs and the commands of functions ask here alike,
 * so that they share them. There is one for each loop.
 *
 * A claim is what somebody wants to hold: it waits for a set of pools and gets all of it or nothing
 * (core/pool/grants.h says in which order). A grant comes later, as a job, never inside the call
 * that asked for it. Loop thread. */
#ifndef TT_LIMITS_H
#define TT_LIMITS_H

#include "core/async/loop.h"
#include "core/pool/needs.h"

struct tt_limits;

/* Lives inside its owner; all zero neither waits nor holds. */
struct tt_claim {
    void (*granted)(struct tt_claim *claim); /* it holds its set from now on */
    struct tt_limits *limits;                /* NULL: it neither waits nor holds */
    uint32_t number;
    bool held;
};

/* Ranks: of all that wait for one place the highest priority goes first, then the lowest order. A
 * command that runs for code holds up a task that has started already, so it goes before tasks, and
 * commands among each other as they came. */
#define TT_COMMAND_PRIORITY (UINT64_MAX >> 1)
uint32_t tt_limits_order(struct tt_limits *limits); /* grows with every call */

struct tt_limits *tt_limits_of(struct tt_loop *loop);

/* The number of a set of pools, as tt_needs_set gives it: -TT_INVALID for more than there is. Of
 * two limits of one pool the smaller one holds. */
int tt_limits_set(struct tt_limits *limits, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err);

/* A pool of one's own, with that limit (0: none), under a key that nobody else has. */
enum { tt_jobs_key_size = 16 };
void tt_jobs_open(struct tt_limits *limits, uint32_t limit, char key[tt_jobs_key_size]);
/* Nobody waits for it or holds any of it any more. */
void tt_jobs_close(struct tt_limits *limits, const char *key);

/* The claim, which neither waits nor holds, stands in line for the set. */
void tt_claim_wait(struct tt_limits *limits, struct tt_claim *claim, uint32_t set,
                   uint64_t priority, uint32_t order);
/* Gives back what it holds, or stops waiting. For one that does neither, nothing happens. */
void tt_claim_release(struct tt_claim *claim);
/* Gives back all that it holds but this set, which is a part of it. */
void tt_claim_keep(struct tt_claim *claim, uint32_t set);

#endif
