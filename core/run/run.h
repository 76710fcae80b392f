/* A workflow's run: every task's whole life as one state machine. Pure: no I/O, no clock, no
 * randomness of its own. Inputs go in, effects come out.
 *
 *     tt_run_add(run, specs, n, …)                 the tasks, checked
 *     tt_run_tell(run, &started, …)
 *     for (;;) {
 *         while ((count = tt_run_take(run, &effects)))     a batch: carry it out
 *         if (tt_run_status(run) != TT_RUN_RUNNING) break;
 *         … wait for an operation's end, a grant, or until tt_run_wake_at(run) …
 *         tt_run_tell(run, &input, …)
 *     }
 *
 * The driver is whoever owns the run: the engine, a dry run, a simulation, a test. It carries out
 * the effects and tells the inputs.
 *
 * A run is decided by its options, its tasks and its inputs alone, and each of these can be written
 * down (core/journal/codec.h). The same ones lead to exactly the same effects: a journal of the
 * inputs rebuilds the state, and a virtual clock simulates it. Effects come in batches, so that the
 * inputs that led to them can be made durable before any effect is carried out. Reports, JSON, live
 * views and history are folds over inputs and effects.
 *
 * A task's life:  (needs and after have ended) → when → its slots → input → run → health → output
 *   - Slots are places in pools: its job, one of those that `-j` allows, and those that its spec
 *     names. The run owns no pool: it asks for a set (TT_FX_ACQUIRE), is told that the set is held
 *     (TT_IN_GRANTED), and gives it back (TT_FX_RELEASE). Several runs may share the same pools
 *     (core/pool/limits.h).
 *   - when holds no slot, and the timeout of an attempt applies to it alone. If it says no, the
 *     task is skipped, and those that need it too. If it fails, the task fails without an attempt.
 *   - A failure of input or run is tried again as its policy says; back-off holds no slot.
 *   - A health check that fails is repeated after its interval, never the operation. When its
 *     retries are used up the task fails for good, with kind `health`. The slots stay held.
 *   - A failure of output is for good, too.
 *   - timeout limits one attempt, input to output. deadline limits the whole task from its first
 *     attempt on, back-off included. A wait that would end after either is not begun: the task then
 *     fails by its last failure.
 *
 * When a task fails for good: `cancel` cancels what runs, `wait` lets what has
 * started go on to its end, retries included, `continue` goes on with all that does not need it.
 * Those never started end `skipped` if one that they need failed or was skipped, else `cancelled`.
 * When all has ended and something failed, or the run was cancelled, every task whose run operation
 * had begun and that has a rollback is compensated, one at a time, the last to end first.
 *
 * An operation that is cancelled still ends by TT_IN_ENDED, and its outcome counts. If it succeeded
 * and was the task's last, the task is `completed`. If health or output were still to come, they
 * are not begun and the task is `cancelled`.
 *
 * One thread. All times are ms of *run time*: 0 is the run's beginning. When a later process
 * carries a run on, its driver decides how much run time has passed in between. Time never goes
 * back: an input with an earlier `now` than the last one counts as told at that one. */
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
    const char *const *only; /* names of tasks or groups: those run, and all that they
                                need; copied */
    size_t only_count;       /* 0: all */
};

/* A task as the run sees it. Commands, functions and files stay with the driver, which knows them
 * by the task's index. Everything is copied. A spec with only a name is a task that does nothing.
 */
struct tt_task_spec {
    const char *name;  /* unique in the run */
    const char *group; /* the matrix whose instance it is, or NULL. A need of that name means all
                          members, which stand side by side in one batch */
    const char *const *needs; /* names of tasks or groups, of this batch or before */
    size_t need_count;
    const char *const *after; /* likewise; waited for whatever becomes of them */

    size_t after_count;
    bool has_when, has_input, has_run, has_health, has_output, has_rollback;
    int64_t timeout;          /* ms; 0: none */
    int64_t deadline;         /* ms; 0: none */
    int64_t rollback_timeout; /* ms; 0: none */
    struct tt_retry retry;
    struct {
        uint32_t retries; /* further checks after a failed first */
        int64_t interval; /* ms between two checks */
        int64_t timeout;  /* ms for each check; 0: only the attempt's */
    } health;
    const struct tt_pool_need *pools; /* held besides the run's job, while its commands may run */
    size_t pool_count;
    bool health_is_code; /* its health check is code, no command: `pools` are given back before it,
                            since commands of code claim places themselves */
    uint32_t weight;     /* its part of a path's length (tt_dag_path); 0 counts as 1 */
};

struct tt_run *tt_run_new(const struct tt_run_options *options);
void tt_run_free(struct tt_run *run);

/* Adds a batch of tasks, before the run is started; their indexes go on from tt_run_count. All or
 * none: -TT_INVALID for an empty or duplicate name, an unknown need, a cycle (all of it is named),
 * a number out of range, more of a pool than its limit. *culprit (may be NULL): the index in
 * `specs` of the wrong one, or of the cycle's first. */
int tt_run_add(struct tt_run *run, const struct tt_task_spec *specs, size_t count, size_t *culprit,
               struct tt_error **err);

/* What became of an operation. */
struct tt_outcome {
    enum tt_kind kind; /* TT_OK: it succeeded */
    bool refused;      /* of phase when: it succeeded and said no */
    int code;          /* exit code; -1: none */
    uint64_t value;    /* the driver's number for what it keeps; 0: none. The run only repeats it */
};

enum tt_input_type {
    /* The run begins. Refused when there is no task, or `only` names one that does not exist. */
    TT_IN_STARTED,
    /* Time has come to `now`: what waited for that goes on. */
    TT_IN_TICK,
    /* The set that TT_FX_ACQUIRE asked for as `op` is held now. With an outcome that is no success:
     * it never will be, and the task fails by that outcome. A grant that came too late is given
     * back (TT_FX_RELEASE). */
    TT_IN_GRANTED,
    /* The set granted as `op` is not held any more; the outcome (the outcome's kind) tells why. The
     * attempt that relied on it is cancelled, and fails by that outcome. */
    TT_IN_REVOKED,
    /* The operation `op` has ended. Refused when no such operation runs. */
    TT_IN_ENDED,
    /* Somebody asked the run to stop: what runs is cancelled, and what started is compensated. It
     * changes nothing before the start, after the end, once compensation has begun, or when told
     * again. */
    TT_IN_CANCELLED
};

/* What an operation yielded beside its outcome, as data: core/journal/yield.h. The run does not
 * read it; it is part of the input so that a journal has all in one record. */
struct tt_yield;

struct tt_input {
    enum tt_input_type type;
    int64_t now;
    uint64_t op; /* the number that TT_FX_BEGIN or TT_FX_ACQUIRE gave */
    struct tt_outcome outcome;
    const struct tt_yield *yield; /* of TT_IN_ENDED; NULL: none. Borrowed */
    /* Tasks that the operation added; only of TT_IN_ENDED and phase run. They join the run as one
     * batch if the operation succeeded, and are dropped if not. If they cannot be added
     * (tt_run_add), the attempt fails as `invalid`, which is never tried again. */
    const struct tt_task_spec *added;
    size_t added_count;
};

/* Tells the run an input. -TT_INVALID when the input is refused; nothing has changed then. */
int tt_run_tell(struct tt_run *run, const struct tt_input *input, struct tt_error **err);

/* The run time at which it wants a TT_IN_TICK; TT_NEVER: it waits for another input. */
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
    TT_RUN_CANCELLED /* the run was cancelled before any task had failed */
};

enum tt_effect_type {
    /* orders */
    TT_FX_BEGIN,   /* begin an operation: op task phase attempt check deadline */
    TT_FX_CANCEL,  /* cancel the operation, and report its end when it has ended: op task phase */
    TT_FX_ACQUIRE, /* wait for the set of pools, and report when it is held: op task set priority */
    TT_FX_RELEASE, /* give back what is held as op, or stop waiting for it; keep of it only this set
                      (TT_NO_SET: nothing): op task set */
    /* notes: for who watches, nothing to carry out */
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
    uint32_t set;      /* number of a set of pools in tt_run_needs */
    uint64_t priority; /* the task's longest remaining path: the greater goes first, then the lower
                          index */
    int64_t deadline;  /* run time; TT_NEVER: none. The driver ends the operation then: `timeout` */
    int64_t limit;     /* ms: the timeout or deadline as it was declared, for messages */
    int64_t at;        /* run time at which it goes on */

    int64_t now; /* run time of the input that led to it */
    struct tt_outcome outcome;
    const char *message; /* what the run itself found wrong, or NULL; lives as long as the run */
};

/* *effects: the next batch, in order. Returns how many; 0: none until the run is told something.
 * The array is valid until the run is asked or told again. */
size_t tt_run_take(struct tt_run *run, const struct tt_effect **effects);

#define TT_NO_SET UINT32_MAX /* no number of a set */
/* The sets of pools that the run's tasks need. The pool with key "" is the run's own jobs. */
const struct tt_needs *tt_run_needs(const struct tt_run *run);

/* "completed", "rolled_back" …: the words of reports and JSON. */
const char *tt_task_status_name(enum tt_task_status status);
const char *tt_run_status_name(enum tt_run_status status);
const char *tt_phase_name(enum tt_phase phase);

/* ---- reading its state ---------------------------------------------------------------------- */

enum tt_run_status tt_run_status(const struct tt_run *run);
uint32_t tt_run_count(const struct tt_run *run); /* tasks */
/* How many of the selected tasks have that status now. */
uint32_t tt_run_count_of(const struct tt_run *run, enum tt_task_status status);
int64_t tt_run_started_at(const struct tt_run *run); /* -1: not yet */
int64_t tt_run_ended_at(const struct tt_run *run);   /* -1: not yet */
bool tt_run_interrupted(const struct tt_run *run);   /* TT_IN_CANCELLED had an effect */

/* The task of that name, or TT_NO_TASK. */
uint32_t tt_run_find(const struct tt_run *run, const char *name);
const char *tt_run_name(const struct tt_run *run, uint32_t task);

enum tt_rollback_status {
    TT_ROLLBACK_NOT, /* it has none, or its turn has not come */
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
    int64_t started;           /* -1: never */
    int64_t ended;             /* -1: not yet */
    bool has_result;           /* `result` is set */
    struct tt_outcome result;  /* of the last run operation that ended */
    struct tt_outcome error;   /* by which the task failed or was cancelled; kind TT_OK: by none */
    enum tt_phase error_phase; /* of `error` */
    const char *message;       /* as in the effect */
    enum tt_rollback_status rollback;
    struct tt_outcome rollback_outcome;
    int64_t rollback_started, rollback_ended; /* -1: not */
};
void tt_run_task(const struct tt_run *run, uint32_t task, struct tt_task_view *view);

/* The tasks that failed, in the order of failing: the first is why the run failed. Borrowed. */
const uint32_t *tt_run_failures(const struct tt_run *run, uint32_t *count);
/* The tasks that made the run as long as it was, first to last. It ends with the task that ended
 * last; before each stands the task that it waited for longest, or whose function added it.
 * Allocated: free(). */
uint32_t *tt_run_critical_path(const struct tt_run *run, uint32_t *count);
/* The run's graph, to ask for neighbours, ancestors and paths. The caller adds nothing to it. */
struct tt_dag *tt_run_dag(const struct tt_run *run);

#endif
