/* The engine: carries out the effects of a run (core/run/run.h), and tells it how they ended.
 *
 * A struct tt_engine is one run of a plan, and one operation (tt_engine_start). The operation
 * succeeds once everything that was started has ended, compensation included, whatever became of
 * the tasks: read the outcome from the engine. It fails, as `invalid`, only when the plan is
 * refused before anything began. Cancelling it asks the run to stop: running tasks are cancelled,
 * what started is compensated, and then the operation finishes, with the run's status `cancelled`.
 *
 * Tasks run in scopes of the engine's own. The caller's cancellation does not reach these; it is
 * told to the run, so that every decision is an effect of the run.
 *
 * On disk: STATE/runs/RUN/logs/TASK.log for a task that wrote something, and
 * STATE/runs/RUN/artifacts once a task collects outputs. Nothing is created before it is needed.
 *
 * Loop thread. */
#ifndef TT_ENGINE_H
#define TT_ENGINE_H

#include "core/base/mask.h"
#include "core/env/proc.h"
#include "core/plan/plan.h"
#include "core/run/run.h"
#include "core/store/store.h"

struct tt_engine;

/* ---- what can be watched -------------------------------------------------------------------- */

enum tt_event_type {
    TT_EV_RUN_STARTED,      /* count: tasks selected */
    TT_EV_ATTEMPT_STARTED,  /* task attempt environment */
    TT_EV_OUTPUT,           /* task phase stream text length */
    TT_EV_RETRY,            /* task attempt (the next one) delay error */
    TT_EV_HEALTH,           /* task check error (NULL: it passed) */
    TT_EV_TASK_ENDED,       /* task status attempt duration error */
    TT_EV_TASKS_ADDED,      /* task (that added them) first count */
    TT_EV_CANCELLING,       /* error: why; nothing new starts */
    TT_EV_ROLLBACK_STARTED, /* task environment */
    TT_EV_ROLLBACK_ENDED,   /* task status duration error */
    TT_EV_WARNING,          /* text: something went wrong that fails no task */
    TT_EV_RUN_ENDED         /* run_status duration */
};

/* An event. The members that its type lists are set; pointers are borrowed for the call. */
struct tt_event {
    enum tt_event_type type;
    enum tt_phase phase;
    enum tt_task_status status;
    enum tt_run_status run_status;
    enum tt_stream stream;
    uint32_t task, attempt, check, first, count;
    int64_t at;       /* ms since 1970 */
    int64_t delay;    /* ms */
    int64_t duration; /* ms */
    const char *environment;
    const struct tt_error *error;
    const char *text;
    size_t length;
};

struct tt_listener {
    /* Called inside a job. It may read from the engine and cancel its operation, nothing else. */
    void (*event)(void *arg, const struct tt_event *event);
    void *arg;
    bool output; /* whether it wants TT_EV_OUTPUT */
};

/* Is told all that decides about the run, before any effect of it is carried out: what a journal
 * keeps. Both functions are set, or neither. */
struct tt_recorder {
    /* Called once, first, with what the run is made of besides its plan; borrowed for the call. */
    void (*started)(void *arg, const struct tt_run_options *options, uint32_t jobs,
                    const json_t *params);
    /* Called with every input, TT_IN_STARTED first. */
    void (*input)(void *arg, const struct tt_input *input);
    void *arg;
};

/* ---- starting ------------------------------------------------------------------------------- */

struct tt_engine_options {
    struct tt_plan *plan; /* the engine takes a reference of its own */
    json_t *params; /* of tt_plan_params; the engine takes a reference of its own; NULL: none */
    const char *const *only; /* names of tasks and groups; only_count 0: all */
    size_t only_count;
    uint32_t jobs;         /* 0: the plan's, or max(8, 2 × CPUs) */
    bool no_rollback;      /* whatever the plan says */
    const char *state_dir; /* STATE above */
    /* Hides secrets in logs and events (NULL: there are none); outlives the engine. */
    const struct tt_masker *masker;
    struct tt_listener listener; /* event may be NULL */
    struct tt_recorder recorder; /* both functions may be NULL */
};

struct tt_op *tt_engine_start(struct tt_scope *scope, const struct tt_engine_options *options);
/* The operation's engine: borrowed. To read it later retain the engine and release the operation,
 * which holds its scope. */
struct tt_engine *tt_engine_of(struct tt_op *op);
struct tt_engine *tt_engine_retain(struct tt_engine *engine);
void tt_engine_release(struct tt_engine *engine);

/* ---- reading, while it runs and after ------------------------------------------------------- */

/* What is known of a task besides its struct tt_task_view. */
struct tt_record {
    struct tt_env *env;       /* resolved; NULL before its first operation */
    char *where;              /* the text of where it ran, NULL before it did */
    struct tt_result *result; /* of its last command, or of the command that failed its function */
    json_t *value;            /* that its function returned */
    struct tt_error *error;   /* of its last operation that failed */
    char *trace;              /* traceback of `error`, if its function raised it; NULL: not known */
    uint64_t error_name;      /* tt_outcome.value of the outcome that `error` belongs to */
    struct tt_error *rollback_error;
    struct tt_result *rollback_result;
    struct tt_artifacts artifacts;
    bool log_broken;     /* its log is incomplete */
    int64_t peak_memory; /* bytes, of all its commands; -1: not observed */
    double cpu;          /* seconds, of all its commands; < 0: not observed */
};

const char *tt_engine_id(const struct tt_engine *engine);  /* the run's name, ordered by time */
const char *tt_engine_dir(const struct tt_engine *engine); /* STATE/runs/RUN, or NULL: not made */
struct tt_run *tt_engine_run(const struct tt_engine *engine);
const struct tt_plan *tt_engine_plan(const struct tt_engine *engine);
uint32_t tt_engine_jobs(const struct tt_engine *engine);
const json_t *tt_engine_params(const struct tt_engine *engine);           /* an object */
int64_t tt_engine_wall(const struct tt_engine *engine, int64_t run_time); /* ms since 1970 */
uint32_t tt_engine_selected(const struct tt_engine *engine); /* tasks that have a part in the run */
/* Any task of the run, those added while it runs included. */
const struct tt_task *tt_engine_task(const struct tt_engine *engine, uint32_t index);
/* NULL while nothing is known. */
const struct tt_record *tt_engine_record(const struct tt_engine *engine, uint32_t index);
/* The path of its log; NULL: nothing was written. */
const char *tt_engine_log(const struct tt_engine *engine, uint32_t index);
/* The error by which the task failed or was cancelled, for people; NULL: none. The caller's. */
struct tt_error *tt_engine_error(const struct tt_engine *engine, uint32_t index);
/* Why the task was skipped: "needs build, which failed". NULL: it was not. Allocated. */
char *tt_engine_skip_reason(const struct tt_engine *engine, uint32_t index);

/* ---- user code ------------------------------------------------------------------------------ */

/* What a task's function is called with, as `args` of struct tt_script_host_class. Phases are when,
 * run, health and rollback. A function of `when` that returns null, false or nothing says no. A
 * health check that returns null or false has failed; one that returns nothing has passed. */
struct tt_task_call {
    struct tt_engine *engine;
    uint32_t task;
    uint32_t attempt;
    enum tt_phase phase;
    struct tt_env *env; /* where the task runs; not resolved yet in `when` */
    /* Of phase run: the tasks that the function adds, in a plan that the script host makes. They
     * join the run when the function has returned, and are dropped if it fails. */
    struct tt_plan *added;
};

/* *index: the task of that name. -TT_INVALID when it is no ancestor of `task`, which therefore must
 * not see its record. */
int tt_engine_ancestor(struct tt_engine *engine, uint32_t task, const char *name, uint32_t *index,
                       struct tt_error **err);

#endif
