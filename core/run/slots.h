/* The slots of a run that shares its pools with nobody: for dry runs, simulations and tests. The
 * engine asks core/pool/limits.h instead. Pure; one thread.
 *
 *     tt_slots_init(&slots, run, jobs);
 *     … for each effect: tt_slots_effect(&slots, &effect);
 *     while (tt_slots_next(&slots, &grant)) {
 *         grant.now = now;
 *         tt_run_tell(run, &grant, …);
 *         … for each effect …
 *     }
 */
#ifndef TT_SLOTS_H
#define TT_SLOTS_H

#include "core/pool/grants.h"
#include "core/run/run.h"

struct tt_slots {
    const struct tt_run *run; /* borrowed */
    struct tt_grants *grants;
    uint64_t *ops;  /* of each task: as which it asked last */
    uint32_t *sets; /* of each set of the run: its number in grants */
    uint32_t task_count, set_count, jobs;
};

void tt_slots_init(struct tt_slots *slots, const struct tt_run *run,
                   uint32_t jobs); /* 0: no limit */
void tt_slots_clear(struct tt_slots *slots);
/* Carries out TT_FX_ACQUIRE and TT_FX_RELEASE; ignores other effects. */
void tt_slots_effect(struct tt_slots *slots, const struct tt_effect *effect);
/* *grant: the next TT_IN_GRANTED, without `now`; tell it before asking for the next. False when
 * there is none. */
bool tt_slots_next(struct tt_slots *slots, struct tt_input *grant);
/* How much of the pool of that key is in use; "" is the run's jobs. */
uint32_t tt_slots_used(const struct tt_slots *slots, const char *key);

#endif
