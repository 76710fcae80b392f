/* A second, slow and obvious reading of the rules by which a run goes: no heaps, no lists, no
 * counters that are kept up to date. After every event it looks at all tasks again and again until
 * there is nothing left that must happen. The real one (core/run/run.h) has to agree at every step.
 */
#ifndef TT_TEST_MODEL_H
#define TT_TEST_MODEL_H

#include "core/run/run.h"

#define MODEL_TASKS 64
#define MODEL_POOLS 4

enum model_place {
    PLACE_BEFORE, /* something it comes after has not ended */
    PLACE_OP,     /* an operation runs */
    PLACE_LINE,   /* wants its slots */
    PLACE_SLEEP,  /* between two attempts */
    PLACE_REST,   /* between two health checks */
    PLACE_END
};

struct model_task {
    struct tt_task_spec spec; /* without its names: the next fields are them */
    char name[32], group[32];
    bool needs[MODEL_TASKS], after[MODEL_TASKS];
    char pools[MODEL_POOLS][16];

    bool selected;
    enum model_place place;
    enum tt_phase phase; /* of its operation */
    enum tt_task_status status;
    uint32_t attempt, check;
    bool told, began; /* told to stop; its run operation has begun */
    int64_t alarm;    /* when it wakes, or is late; TT_NEVER: it doesn't */
    int64_t last_moment, attempt_last_moment;
    uint64_t rank;     /* its longest path when it got in line */
    uint32_t end_rank; /* 1: ended first; 0: not yet */
    enum tt_kind error;
    enum tt_rollback_status rollback;
};

struct model {
    struct tt_run_options options;
    uint32_t jobs;
    struct tt_random random;
    struct model_task tasks[MODEL_TASKS];
    uint32_t count;
    int64_t now;
    enum tt_run_status status;
    bool wait, cancel; /* nothing new starts; and what runs was told to stop */
    bool interrupted, failed, interrupted_first;
    uint32_t ends; /* tasks that have ended */
    uint32_t failures[MODEL_TASKS], failure_count;
    uint32_t rollbacks[MODEL_TASKS], rollback_count; /* begun, in that order */
};

void model_init(struct model *model, const struct tt_run_options *options, uint32_t jobs);
/* False, and nothing changed, when the batch is wrong. */
bool model_add(struct model *model, const struct tt_task_spec *specs, size_t count);
void model_start(struct model *model, int64_t now);
void model_ended(struct model *model, int64_t now, uint32_t task, const struct tt_input *end);
void model_tick(struct model *model, int64_t now);
void model_cancel(struct model *model, int64_t now);
int64_t model_wake_at(const struct model *model);
/* Whether an operation of that task runs now, a rollback included. */
bool model_operates(const struct model *model, uint32_t task);
bool model_holds(const struct model *model, uint32_t task);

#endif
