#include "core/run/slots.h"

#include "core/base/alloc.h"

#include <stdlib.h>

void tt_slots_init(struct tt_slots *slots, const struct tt_run *run, uint32_t jobs)
{
    *slots = (struct tt_slots){.run = run, .grants = tt_grants_new(), .jobs = jobs};
}

void tt_slots_clear(struct tt_slots *slots)
{
    tt_grants_free(slots->grants);
    free(slots->ops);
    free(slots->sets);
    *slots = (struct tt_slots){0};
}

static uint32_t set_of(struct tt_slots *slots, uint32_t wanted)
{
    const struct tt_needs *needs = tt_run_needs(slots->run);
    if (wanted >= slots->set_count) {
        uint32_t count = tt_needs_set_count(needs);
        slots->sets = tt_reallocarray(slots->sets, count, sizeof *slots->sets);
        for (; slots->set_count < count; slots->set_count++) {
            const struct tt_needed_set *set = &needs->sets[slots->set_count];
            struct tt_pool_need *list = tt_reallocarray(NULL, set->count, sizeof *list);
            for (uint32_t i = 0; i < set->count; i++) {
                uint32_t pool = set->parts[i].pool;
                const char *key = tt_needs_key(needs, pool);
                list[i] = (struct tt_pool_need){key, set->parts[i].amount,
                                                *key ? needs->pools[pool].limit : slots->jobs};
            }
            tt_grants_set(slots->grants, list, set->count, &slots->sets[slots->set_count], NULL);
            free(list);
        }
    }
    return slots->sets[wanted];
}

static void remember(struct tt_slots *slots, uint32_t task, uint64_t op)
{
    if (task >= slots->task_count) {
        slots->task_count = tt_run_count(slots->run);
        slots->ops = tt_reallocarray(slots->ops, slots->task_count, sizeof *slots->ops);
    }
    slots->ops[task] = op;
}

void tt_slots_effect(struct tt_slots *slots, const struct tt_effect *fx)
{
    if (fx->type == TT_FX_ACQUIRE) {
        remember(slots, fx->task, fx->op);
        tt_grants_wait(slots->grants, fx->task, set_of(slots, fx->set), fx->priority, fx->task);
    } else if (fx->type == TT_FX_RELEASE) {
        if (!tt_grants_holds(slots->grants, fx->task))
            tt_grants_leave(slots->grants, fx->task);
        else if (fx->set == TT_NO_SET)
            tt_grants_release(slots->grants, fx->task);
        else
            tt_grants_keep(slots->grants, fx->task, set_of(slots, fx->set));
    }
}

bool tt_slots_next(struct tt_slots *slots, struct tt_input *grant)
{
    uint32_t task;
    if (!tt_grants_next(slots->grants, &task))
        return false;
    *grant = (struct tt_input){.type = TT_IN_GRANTED, .op = slots->ops[task], .outcome.code = -1};
    return true;
}

uint32_t tt_slots_used(const struct tt_slots *slots, const char *key)
{
    uint32_t used = 0;
    tt_grants_use(slots->grants, key, &used, NULL);
    return used;
}
