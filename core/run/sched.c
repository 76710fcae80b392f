#include "core/run/sched.h"

#include "core/base/alloc.h"

#include <stdlib.h>

#define ENDED UINT32_MAX

struct tt_sched {
    struct tt_dag *dag;
    uint32_t *left; /* of each node: predecessors that have not ended; ENDED: it has itself */
    uint32_t count, capacity;
    uint32_t *ready; /* a queue: taken at `first`, filled at `last` */
    uint32_t first, last, ready_capacity;
};

struct tt_sched *tt_sched_new(struct tt_dag *dag)
{
    struct tt_sched *sched = tt_zalloc(sizeof *sched);
    sched->dag = dag;
    return sched;
}

void tt_sched_free(struct tt_sched *sched)
{
    if (!sched)
        return;
    free(sched->left);
    free(sched->ready);
    free(sched);
}

static void make_ready(struct tt_sched *sched, uint32_t node)
{
    if (sched->last == sched->ready_capacity) {
        sched->ready_capacity = sched->ready_capacity ? sched->ready_capacity * 2 : 16;
        sched->ready = tt_reallocarray(sched->ready, sched->ready_capacity, sizeof *sched->ready);
    }
    sched->ready[sched->last++] = node;
}

void tt_sched_join(struct tt_sched *sched)
{
    uint32_t first = sched->count, count = tt_dag_count(sched->dag);
    if (count > sched->capacity) {
        uint32_t half = sched->capacity + sched->capacity / 2;
        sched->capacity = count > half ? count : half;
        sched->left = tt_reallocarray(sched->left, sched->capacity, sizeof *sched->left);
    }
    sched->count = count;
    for (uint32_t node = first; node < count; node++)
        sched->left[node] = 0;
    for (uint32_t node = first; node < count; node++) {
        uint32_t left = 0;
        for (uint32_t i = 0, n = tt_dag_before_count(sched->dag, node); i < n; i++)
            left += sched->left[tt_dag_before(sched->dag, node, i, NULL)] != ENDED;
        sched->left[node] = left;
        if (!left)
            make_ready(sched, node);
    }
}

bool tt_sched_ready(struct tt_sched *sched, uint32_t *node)
{
    if (sched->first == sched->last)
        return false;
    *node = sched->ready[sched->first++];
    if (sched->first == sched->last)
        sched->first = sched->last = 0;
    return true;
}

void tt_sched_end(struct tt_sched *sched, uint32_t node)
{
    sched->left[node] = ENDED;
    tt_dag_close(sched->dag, node);
    for (struct tt_after after = tt_dag_after(sched->dag, node); tt_dag_next(sched->dag, &after);)
        if (--sched->left[after.node] == 0)
            make_ready(sched, after.node);
}
