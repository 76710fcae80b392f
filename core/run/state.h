/* What a run is made of: shared by the run*.c files, and by nobody else.
 *   run.c       inputs in, effects out, the loop that lets things go on
 *   add.c       batches of tasks: names, checks
 *   task.c      a task's life
 *   rollback.c  compensation, and the run's end
 *   view.c      reading it
 * They call each other both ways: one idea in several files. */
#ifndef TT_RUN_STATE_H
#define TT_RUN_STATE_H

#include "core/base/heap.h"
#include "core/base/names.h"
#include "core/run/run.h"
#include "core/run/sched.h"

enum stage {
    STAGE_WAITING,   /* something before it has not ended */
    STAGE_OPERATING, /* an operation runs, `phase` says which */
    STAGE_QUEUED,    /* stands in line for its slots; the timer is its deadline, after a retry */
    STAGE_BACK_OFF,  /* the timer is its next attempt */
    STAGE_CHECKED,   /* between two health checks: holds its slots, the timer is the next check */
    STAGE_ENDED
};

struct health {
    uint32_t retries;
    int64_t interval, timeout;
};

struct task {
    /* as it was given */
    bool has_when : 1, has_input : 1, has_run : 1, has_health : 1, has_output : 1, has_rollback : 1;
    bool health_is_code : 1;
    /* as it is */
    bool selected : 1;
    bool holds : 1;      /* its slots */
    bool revoked : 1;    /* they were taken away: `error` says why */
    bool began : 1;      /* its run operation, once at least */
    bool cancelling : 1; /* its running operation was told to stop */
    bool has_result : 1;
    enum stage stage;
    enum tt_phase phase; /* of its operation, or of its last one */
    enum tt_task_status status;
    uint32_t set;    /* of pools */
    uint32_t serial; /* of its last operation */
    uint32_t claim;  /* … of the operation by which it asked for its slots */
    uint32_t attempt, check;
    uint32_t live_place; /* in run->live */
    uint32_t adder;      /* the task whose function added it, + 1; 0: it was there before */
    struct tt_retry retry;
    struct health health;
    int64_t timeout, deadline, rollback_timeout; /* lengths */
    int64_t ends_at, attempt_ends_at;            /* the task's and the attempt's deadline */
    int64_t started, ended;
    struct tt_outcome result, error;
    enum tt_phase error_phase;
    enum tt_rollback_status rollback;
    char *message;
    struct tt_outcome rollback_outcome;
    int64_t rollback_started, rollback_ended;
};

/* Tasks in an order; grows. */
struct tasks {
    uint32_t *items;
    uint32_t count, capacity;
};
void tt_tasks_push(struct tasks *tasks, uint32_t task);

/* A matrix: members side by side. */
struct group {
    uint32_t first, count;
};

enum stop {
    STOP_NOT,
    STOP_WAIT,  /* nothing new starts */
    STOP_CANCEL /* and what runs is cancelled */
};

struct tt_run {
    /* options */
    enum tt_on_failure on_failure;
    enum tt_rollback_mode rollback;
    char **only;
    size_t only_count;
    struct tt_random random;
    /* tasks */
    struct tt_names *names; /* a task's number is its index */
    struct tt_names *group_names;
    struct group *groups;
    uint32_t group_capacity;
    struct task *tasks;
    uint32_t count, capacity;
    struct tt_dag *dag;
    struct tt_needs needs;
    struct tt_sched *sched;
    uint32_t jobs_set; /* the set that is the jobs' pool alone */
    /* state */
    enum tt_run_status status;
    enum stop stop;
    bool interrupted;
    bool interrupted_first; /* before any task failed */
    int64_t now, started, ended;
    uint32_t unended; /* tasks that have not ended */
    uint32_t status_counts[TT_TASK_STATUS_COUNT];
    struct tasks live;         /* in any stage but waiting and ended */
    struct tasks compensation; /* what there may be to compensate, in the order of ending */
    struct tasks failures;
    struct tt_heap timers;
    uint32_t *timer_places;
    /* effects that were not taken yet */
    struct tt_effect *effects;
    size_t effect_count, effect_capacity;
    bool effects_taken;
    bool unfinished; /* there is more that can go on */
};

/* run.c */
/* A new effect of that type about that task, to be filled in; valid until the next. */
struct tt_effect *tt_run_emit(struct tt_run *run, enum tt_effect_type type, uint32_t task);
void tt_run_timer(struct tt_run *run, uint32_t task, int64_t at); /* one a task; TT_NEVER: none */
int64_t tt_run_after(const struct tt_run *run, int64_t length);   /* now + length; 0: TT_NEVER */

/* add.c */
int tt_run_join(struct tt_run *run, const struct tt_task_spec *specs, size_t count, size_t *culprit,
                struct tt_error **err);
/* The tasks that a name stands for: one, or a group's. False when there are none. */
bool tt_run_resolve(const struct tt_run *run, const char *name, struct group *found);

/* task.c */
/* All before it has ended: it goes on, or has come to its end. */
void tt_task_ready(struct tt_run *run, uint32_t task);
/* Its operation has ended. */
void tt_task_op_ended(struct tt_run *run, uint32_t task, const struct tt_input *end);
/* What it asked for is held, or never will be. */
void tt_task_granted(struct tt_run *run, uint32_t task, const struct tt_input *grant);
/* What it held is gone. */
void tt_task_revoked(struct tt_run *run, uint32_t task, const struct tt_outcome *why);
/* Its timer has come. */
void tt_task_timer(struct tt_run *run, uint32_t task);
/* Begins an operation, which is to end by that time. */
void tt_task_begin(struct tt_run *run, uint32_t task, enum tt_phase phase, int64_t deadline);
void tt_task_set_status(struct tt_run *run, uint32_t task, enum tt_task_status status);
uint64_t tt_task_op(const struct tt_run *run, uint32_t task); /* the running, or last, operation */
uint64_t tt_task_claim(const struct tt_run *run, uint32_t task); /* by which it asked for slots */
/* From now on nothing new starts, and with STOP_CANCEL what runs is told to stop. */
void tt_run_stop(struct tt_run *run, enum stop stop);

/* rollback.c */
/* All tasks have ended: the next compensation, or the run's end. */
void tt_run_wind_up(struct tt_run *run);
void tt_rollback_ended(struct tt_run *run, uint32_t task, const struct tt_outcome *outcome);

#endif
