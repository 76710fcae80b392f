#include "core/pool/limits.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/pool/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jobs {
    uint32_t set;
    bool open;
};

struct tt_limits {
    struct tt_loop *loop;
    struct tt_grants *grants;
    struct tt_claim **claims; /* by number; NULL: free */
    uint32_t *spare;          /* numbers that are free again */
    uint32_t claim_count, spare_count, room;
    struct jobs *jobs; /* a key is used again once its run is over, so that they never pile up */
    uint32_t jobs_count;
    uint32_t order;
    struct tt_job job; /* grants what can be granted */
};

static void grant(struct tt_job *job)
{
    struct tt_limits *limits = tt_owner(job, struct tt_limits, job);
    uint32_t number;
    while (tt_grants_next(limits->grants, &number)) {
        struct tt_claim *claim = limits->claims[number];
        claim->held = true;
        claim->granted(claim);
    }
}

static void clear(void *slot)
{
    struct tt_limits *limits = slot;
    tt_grants_free(limits->grants);
    free(limits->claims);
    free(limits->spare);
    free(limits->jobs);
}

struct tt_limits *tt_limits_of(struct tt_loop *loop)
{
    static const struct tt_slot what = {sizeof(struct tt_limits), clear};
    struct tt_limits *limits = tt_loop_slot(loop, &what);
    if (!limits->loop) {
        limits->loop = loop;
        limits->grants = tt_grants_new();
        limits->job.run = grant;
    }
    return limits;
}

uint32_t tt_limits_order(struct tt_limits *limits)
{
    return limits->order++;
}

int tt_limits_set(struct tt_limits *limits, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err)
{
    return tt_grants_set(limits->grants, list, count, set, err);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* No environment's identity begins with this byte. */
#define JOBS "\1jobs"

void tt_jobs_open(struct tt_limits *limits, uint32_t limit, char key[tt_jobs_key_size])
{
    uint32_t i = 0;
    while (i < limits->jobs_count && limits->jobs[i].open)
        i++;
    snprintf(key, tt_jobs_key_size, JOBS "%u", i);
    if (i == limits->jobs_count) {
        limits->jobs = tt_reallocarray(limits->jobs, ++limits->jobs_count, sizeof *limits->jobs);
        tt_grants_set(limits->grants, &(struct tt_pool_need){.key = key, .amount = 1}, 1,
                      &limits->jobs[i].set, NULL);
    }
    limits->jobs[i].open = true;
    tt_grants_limit(limits->grants, limits->jobs[i].set, limit);
}

void tt_jobs_close(struct tt_limits *limits, const char *key)
{
    limits->jobs[strtoul(key + strlen(JOBS), NULL, 10)].open = false;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static uint32_t number_for(struct tt_limits *limits, struct tt_claim *claim)
{
    uint32_t number;
    if (limits->spare_count) {
        number = limits->spare[--limits->spare_count];
    } else {
        if (limits->claim_count == limits->room) {
            limits->room = limits->room ? limits->room * 2 : 16;
            limits->claims =
                tt_reallocarray(limits->claims, limits->room, sizeof(struct tt_claim *));
            limits->spare = tt_reallocarray(limits->spare, limits->room, sizeof *limits->spare);
        }
        number = limits->claim_count++;
    }
    limits->claims[number] = claim;
    return number;
}

void tt_claim_wait(struct tt_limits *limits, struct tt_claim *claim, uint32_t set,
                   uint64_t priority, uint32_t order)
{
    claim->limits = limits;
    claim->held = false;
    claim->number = number_for(limits, claim);
    tt_grants_wait(limits->grants, claim->number, set, priority, order);
    tt_loop_post(limits->loop, &limits->job);
}

void tt_claim_release(struct tt_claim *claim)
{
    struct tt_limits *limits = claim->limits;
    if (!limits)
        return;
    if (claim->held)
        tt_grants_release(limits->grants, claim->number);
    else
        tt_grants_leave(limits->grants, claim->number);
    limits->claims[claim->number] = NULL;
    limits->spare[limits->spare_count++] = claim->number;
    claim->limits = NULL;
    claim->held = false;
    tt_loop_post(limits->loop, &limits->job);
}

void tt_claim_keep(struct tt_claim *claim, uint32_t set)
{
    tt_grants_keep(claim->limits->grants, claim->number, set);
    tt_loop_post(claim->limits->loop, &claim->limits->job);
}
