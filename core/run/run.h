/* A workflow's run: every task's whole life as one state machine. Pure: no I/O, no clock, no
 * randomness of its own. Inputs go in, effects come out.
 *
 *     tt_run_add(run, specs, n, …)                 the tasks, checked
 *     tt_run_tell(run, &started, …)
 *     for (;;) {
 *         while ((count = tt_run_take(run, &effects)))     a batch: carry out, tell who watches
 *         if (tt_run_status(run) != TT_RUN_RUNNING) break;
 *         … wait for an operation's end, a grant, or until tt_run_wake_at(run) …
 *         tt_run_tell(run, &input, …)
 *     }
 *
 * All that decides about a run is in its options, its tasks and its inputs, and each of those can
 * be written down (core/journal/codec.h). The same ones yield the same effects, each of them: a
 * journal of the inputs rebuilds the state, and a virtual clock simulates it. Effects come in
 * batches, so that what led to them can be made durable before any is carried out. Reports, JSON,
 * live views and history are folds over inputs and effects.
 *
 * A task's life:  (needs and after have ended) → when → its slots → input → run → health → output
 *   - Slots are places in pools: its job, one of those that `-j` allows, and those that its spec
 *     names. The run owns no pool: it asks (TT_FX_ACQUIRE), is told (TT_IN_GRANTED), and gives back
 *     (TT_FX_RELEASE); who grants decides between runs, too (core/pool/limits.h).
 *   - when holds no slot and has the attempt's timeout to itself. False: the task is skipped, and
 *     those that need it too. If it fails the task has failed, without an attempt.
 *   - A failure of input or run is tried again as its policy says; back-off holds no slot.
 *   - A health check that fails is repeated after its interval, never the operation. When its
 *     retries are used up the task fails for good, with kind `health`. The slots stay held.
 *   - A failure of output is for good, too.
 *   - timeout: all of one attempt, input to output. deadline: the whole task, from its first
 * attempt on, back-off included. A wait that would end after either is not begun: what failed last
 * is then the end. When a task fails for good: `cancel` cancels what runs, `wait` lets what has
 * started go on to its end, retries included, `continue` goes on with all that does not need it.
 * Those never started end `skipped` if one that they need failed or was skipped, else `cancelled`.
 * When all has ended and something failed, or the run was cancelled, every task whose run operation
 * had begun and that has a rollback is compensated, one at a time, the last to end first.
 *
 * An operation that is cancelled still ends by TT_IN_ENDED, and what that reports counts: one that
 * ended well is not undone, a task of which nothing is left to do is `completed`; if health or
 * output were still to come they are not begun, and it is `cancelled`.
 *
 * One thread. All times are ms of *run time*: 0 is the run's beginning, and what is between two
 * processes that carry it on is the caller's to say. A time before the last one counts as the last
 * one. */
#ifndef TT_RUN_H
#define TT_RUN_H

#include "core/base/error.h"
#include "core/pool/needs.h"
#include "core/run/dag.h"
#include "core/run/retry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TT_NEVER INT64_MAX /* a time that does not come */

struct tt_run;

/* ---- what is told to it -------------------------------------------------------------------- */

enum tt_on_failure { TT_ON_FAILURE_CANCEL, TT_ON_FAILURE_WAIT, TT_ON_FAILURE_CONTINUE };

enum tt_rollback_mode {
    TT_ROLLBACK_ALL,    /* every task that started */
    TT_ROLLBACK_FAILED, /* only those that failed */
    TT_ROLLBACK_NONE
};

struct tt_run_options {
    enum tt_on_failure on_failure;
    enum tt_rollback_mode rollback;
    uint64_t seed;           /* for the jitter */
    const char *const *only; /* names of tasks or groups: those and all their needs; copied */
    size_t only_count;       /* 0: all */
};

/* A task as the core sees it. What it does (commands, functions, files) stays with the driver, by
 * the task's index. Everything is copied; all zero but the name is a task that does nothing. */
struct tt_task_spec {
    const char *name;         /* unique in the run */
    const char *group;        /* NULL, or the matrix that it is an instance of: a need of that name
                                 means all. Members stand side by side in one batch. */
    const char *const *needs; /* names of tasks or groups, of this batch or before */
    size_t need_count;
    const char *const *after;
    size_t after_count;
    bool has_when, has_input, has_run, has_health, has_output, has_rollback;
    int64_t timeout;          /* ms; 0: none */
    int64_t deadline;         /* ms; 0: none */
    int64_t rollback_timeout; /* ms; 0: none */
    struct tt_retry retry;
    struct {
        uint32_t retries; /* checks after the first */
        int64_t interval; /* ms between two */
        int64_t timeout;  /* ms for each; 0: none of its own */
    } health;
    const struct tt_pool_need *pools; /* beside the run's job: while its commands may run */
    size_t pool_count;
    bool health_is_code; /* its health check is no command: the pools are given back before it,
                            since commands that the code runs take places themselves */
    uint32_t weight;     /* its part of a path's length; 0 counts as 1 */
};

struct tt_run *tt_run_new(const struct tt_run_options *options);
void tt_run_free(struct tt_run *run);

/* Before the start: adds a batch of tasks, indexes counting on from tt_run_count. All or nothing:
 * -TT_INVALID for an empty or duplicate name, an unknown need, a cycle (the whole path is named), a
 * number out of range, a pool asked for more than it has. *culprit (may be NULL): which spec it was
 * (the first of the path, for a cycle). */
int tt_run_add(struct tt_run *run, const struct tt_task_spec *specs, size_t count, size_t *culprit,
               struct tt_error **err);

/* What became of an operation. */
struct tt_outcome {
    enum tt_kind kind; /* TT_OK: it succeeded */
    bool refused;      /* of `when`: it succeeded and said no */
    int code;          /* exit code; -1: none */
    uint64_t value;    /* the driver's name for the result or error that it keeps; 0: none. The core
                          only repeats it. */
};

enum tt_input_type {
    /* The run begins. Refused when there is no task, or `only` names one that does not exist. */
    TT_IN_STARTED,
    /* It is `now`: what was waiting for that goes on. */
    TT_IN_TICK,
    /* What TT_FX_ACQUIRE asked for as `op` is held now; or, when the outcome is no success, never
     * will be: the task fails by that. A grant that nobody wants any more is given back. */
    TT_IN_GRANTED,
    /* What was granted as `op` is not held any more, and why (kind `expired`): the attempt that
     * holds it is cancelled and has failed by that. */
    TT_IN_REVOKED,
    /* The operation `op` has ended. Refused when no such operation runs. */
    TT_IN_ENDED,
    /* Somebody asked for it to stop: what runs is cancelled, and what started is compensated.
     * Again, or when compensation has begun, or before the start or after the end, it changes
     * nothing. */
    TT_IN_CANCELLED
};

/* What an operation yielded beside its outcome, as data; the run only passes it by, so that one
 * input is all there is to write down: core/journal/yield.h. */
struct tt_yield;

struct tt_input {
    enum tt_input_type type;
    int64_t now;
    uint64_t op; /* as it was begun or asked for */
    struct tt_outcome outcome;
    const struct tt_yield *yield; /* of TT_IN_ENDED, or NULL */
    /* Tasks that this run operation added. They join as one batch if it succeeded, and are dropped
     * if not; if their check fails, the attempt fails with `invalid` (which is never tried again).
     * Only of TT_IN_ENDED and phase run. */
    const struct tt_task_spec *added;
    size_t added_count;
};

/* Tells it that. -TT_INVALID when it is refused; nothing has changed then. */
int tt_run_tell(struct tt_run *run, const struct tt_input *input, struct tt_error **err);

/* When TT_IN_TICK is next of use; TT_NEVER: not before another input. */
int64_t tt_run_wake_at(const struct tt_run *run);

/* ---- what comes out ------------------------------------------------------------------------- */

enum tt_phase {
    TT_PHASE_NONE,
    TT_PHASE_WHEN,
    TT_PHASE_INPUT,
    TT_PHASE_RUN,
    TT_PHASE_HEALTH,
    TT_PHASE_OUTPUT,
    TT_PHASE_ROLLBACK
};

enum tt_task_status {
    TT_TASK_PENDING,
    TT_TASK_RUNNING, /* from its first attempt on, back-off included */
    TT_TASK_COMPLETED,
    TT_TASK_FAILED,
    TT_TASK_SKIPPED,
    TT_TASK_CANCELLED,
    TT_TASK_ROLLED_BACK,
    TT_TASK_ROLLBACK_FAILED,
    TT_TASK_STATUS_COUNT
};

enum tt_run_status {
    TT_RUN_PENDING, /* not started */
    TT_RUN_RUNNING,
    TT_RUN_COMPLETED,
    TT_RUN_FAILED,   /* a task failed */
    TT_RUN_CANCELLED /* it was cancelled before any task had failed */
};

enum tt_effect_type {
    /* orders */
    TT_FX_BEGIN,   /* begin an operation: op task phase attempt check deadline */
    TT_FX_CANCEL,  /* stop it, and report its end when it has ended: op task phase */
    TT_FX_ACQUIRE, /* wait for this set of pools, and report that it is held: op task set priority
                    */
    TT_FX_RELEASE, /* give back what was asked for as op, or stop waiting for it, all but the set
                      (TT_NO_SET: all): op task set */
    /* notes: nothing to do, somebody may want to know */
    TT_FX_TASKS_ADDED,      /* task (whose function added them) first count */
    TT_FX_TASK_STARTED,     /* its first attempt begins: task */
    TT_FX_TASK_RETRYING,    /* an attempt failed, there will be another: task attempt phase outcome
                               message at (when) */
    TT_FX_HEALTH_WAITING,   /* a check failed, there will be another: task check outcome at */
    TT_FX_TASK_ENDED,       /* task status attempt phase outcome message */
    TT_FX_ROLLBACK_STARTED, /* task */
    TT_FX_ROLLBACK_ENDED,   /* task status (the task's, now) outcome */
    TT_FX_RUN_ENDED         /* run_status; task: the first that failed, or TT_NO_TASK */
};

struct tt_effect {
    enum tt_effect_type type;
    enum tt_phase phase;
    enum tt_task_status status;
    enum tt_run_status run_status;
    uint32_t task;
    uint32_t attempt;  /* counts from 1; 0 before the first */
    uint32_t check;    /* of health: which check of this attempt, from 1 */
    uint32_t first;    /* index of the first added task */
    uint32_t count;    /* how many */
    uint64_t op;       /* unique in the run, never 0 */
    uint32_t set;      /* number of a set of pools: tt_run_needs */
    uint64_t priority; /* the task's longest remaining path: the greater goes first, then the lower
                          index */
    int64_t deadline; /* absolute; TT_NEVER: none. The driver ends the operation then, as timeout */
    int64_t limit;    /* the length of time that this deadline stands for: what people are told */
    int64_t at;       /* when */
    int64_t now;      /* when this came to be */
    struct tt_outcome outcome;
    const char *message; /* what the core itself found wrong, else NULL; the run's, lives as long */
};

/* Takes the next batch of effects, in order: how many; 0 when there are none until the run is told
 * something. They stay where they are until it is asked or told again. */
size_t tt_run_take(struct tt_run *run, const struct tt_effect **effects);

#define TT_NO_SET UINT32_MAX
/* The table of sets of pools that its tasks need. The key "" is the run's own jobs. */
const struct tt_needs *tt_run_needs(const struct tt_run *run);

/* "completed", "rolled_back" …: the words of reports and JSON. */
const char *tt_task_status_name(enum tt_task_status status);
const char *tt_run_status_name(enum tt_run_status status);
const char *tt_phase_name(enum tt_phase phase);

/* ---- reading its state ---------------------------------------------------------------------- */

enum tt_run_status tt_run_status(const struct tt_run *run);
uint32_t tt_run_count(const struct tt_run *run); /* tasks */
/* How many tasks have that status now, of those selected. */
uint32_t tt_run_count_of(const struct tt_run *run, enum tt_task_status status);
int64_t tt_run_started_at(const struct tt_run *run); /* -1: not yet */
int64_t tt_run_ended_at(const struct tt_run *run);   /* -1: not yet */
bool tt_run_interrupted(const struct tt_run *run);   /* TT_IN_CANCELLED had an effect */

/* The task of that name, or TT_NO_TASK. */
uint32_t tt_run_find(const struct tt_run *run, const char *name);
const char *tt_run_name(const struct tt_run *run, uint32_t task);

enum tt_rollback_status {
    TT_ROLLBACK_NOT, /* it has none, or it was not its turn */
    TT_ROLLBACK_RUNNING,
    TT_ROLLBACK_COMPLETED,
    TT_ROLLBACK_BROKEN /* it failed */
};

struct tt_task_view {
    const char *name;
    bool selected; /* false: `only` left it out; it has no part in the run */
    bool began;    /* its run operation has begun at least once */
    enum tt_task_status status;
    uint32_t attempts;
    int64_t started; /* -1: never */
    int64_t ended;   /* -1: not yet */
    bool has_result;
    struct tt_outcome result; /* of the last run operation that ended */
    struct tt_outcome error;  /* what it failed or was cancelled by; kind TT_OK: nothing */
    enum tt_phase error_phase;
    const char *message; /* as in the effect */
    enum tt_rollback_status rollback;
    struct tt_outcome rollback_outcome;
    int64_t rollback_started, rollback_ended; /* -1: not */
};
void tt_run_task(const struct tt_run *run, uint32_t task, struct tt_task_view *view);

/* The tasks that failed, in the order of failing: the first is the run's cause. The run's. */
const uint32_t *tt_run_failures(const struct tt_run *run, uint32_t *count);
/* The tasks that the duration came from, first to last: the last to end, the one before it that it
 * waited for longest (or whose function added it), and so on back. Allocated: free(). */
uint32_t *tt_run_critical_path(const struct tt_run *run, uint32_t *count);
/* The graph, for its neighbours, ancestors and paths; add nothing. */
struct tt_dag *tt_run_dag(const struct tt_run *run);

#endif
