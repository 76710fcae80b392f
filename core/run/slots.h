/* The slots of a run that shares nothing: its jobs and pools, granted to nobody else. What dry
 * runs, simulations and tests drive a run with; the engine asks core/pool/limits.h instead. Pure.
 *
 *     tt_slots_init(&slots, run, jobs);
 *     … for each effect: tt_slots_effect(&slots, &effect);
 *     while (tt_slots_next(&slots, &grant)) { grant.now = now; tt_run_tell(run, &grant, …); …
 * effects }
 */
#ifndef TT_SLOTS_H
#define TT_SLOTS_H

#include "core/pool/grants.h"
#include "core/run/run.h"

struct tt_slots {
    const struct tt_run *run; /* borrowed */
    struct tt_grants *grants;
    uint64_t *ops;  /* by which each task asked */
    uint32_t *sets; /* of the run, as the grants number them */
    uint32_t task_count, set_count, jobs;
};

void tt_slots_init(struct tt_slots *slots, const struct tt_run *run,
                   uint32_t jobs); /* 0: no limit */
void tt_slots_clear(struct tt_slots *slots);
/* Carries out TT_FX_ACQUIRE and TT_FX_RELEASE; the others are none of its business. */
void tt_slots_effect(struct tt_slots *slots, const struct tt_effect *effect);
/* The next grant, to be told to the run before the next one is asked for. False when there is none.
 */
bool tt_slots_next(struct tt_slots *slots, struct tt_input *grant);
/* How many hold a slot of that key; "" is the jobs. */
uint32_t tt_slots_used(const struct tt_slots *slots, const char *key);

#endif
