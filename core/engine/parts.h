/* What the files of the engine share, and only they include:
 *   engine.c     a run's operation: begun, cancelled, freed
 *   pump.c       inputs to the run, effects from it
 *   operation.c  one operation of a task, up to what it yielded
 *   command.c    the command of an operation
 *   record.c     what is known of a task: a fold over what its operations yielded
 *   read.c       what others may ask
 * They call each other both ways: one idea in several files. */
#ifndef TT_ENGINE_PARTS_H
#define TT_ENGINE_PARTS_H

#include "core/engine/engine.h"
#include "core/journal/yield.h"
#include "core/pool/limits.h"
#include "core/store/tasklog.h"

enum { tt_engine_kept_tail = 64 << 10 }; /* of each stream of a task's command */

struct tt_operation;

/* A record and what belongs to the task while the engine lives. */
struct task_state {
    struct tt_engine *engine;
    uint32_t task;
    struct tt_claim claim;  /* on the task's slots */
    uint64_t claim_op;      /* as which the run asked for them */
    struct tt_error *never; /* why the slots can never be granted; NULL once the run was told */
    struct tt_record record;
    struct tt_tasklog log;
    struct tt_operation *operation; /* the operation that runs, or NULL; a task has one at most */
    uint32_t announced;             /* the last attempt whose start the listener was told */
};

/* Tasks that were added while the run went on. */
struct joined {
    struct tt_plan *plan; /* held */
    uint32_t first;       /* the index of its first task */
};

struct tt_engine {
    unsigned refs;
    struct tt_loop *loop;
    struct tt_op *op; /* the operation of tt_engine_start; NULL once it has finished */
    struct tt_plan *plan;
    struct joined *joined; /* ascending by first */
    uint32_t joined_count;
    struct tt_plan *joining; /* borrowed: the plan that the run is being told of right now */
    struct tt_run *run;
    struct tt_scope *scope; /* of all operations; only effects of the run cancel there */
    json_t *params;
    struct tt_var *param_vars; /* PARAM_name */
    size_t param_count;
    uint32_t jobs;
    char *id, *run_dir;
    bool dir_made;
    struct tt_store *store;
    const struct tt_masker *masker;
    struct tt_listener listener;
    struct tt_recorder recorder;
    int64_t epoch; /* run time 0 on the loop's clock */
    int64_t wall;  /* … and in ms since 1970 */
    struct tt_timer timer;
    struct tt_job job; /* runs the pump */
    bool pumping;      /* effects are being carried out: no input is told meanwhile */
    bool cancel_asked; /* the run is to be told TT_IN_CANCELLED after them */
    struct tt_limits *limits;
    char jobs_key[tt_jobs_key_size];
    uint32_t *sets; /* of each set of the run: its number in limits */
    uint32_t set_count;
    bool some_never; /* some task's slots can never be granted */
    struct task_state **states;
    uint32_t state_room;
    uint64_t names;       /* numbers for tt_outcome.value, given out so far */
    struct tt_error *why; /* why the run was asked to stop; NULL: it was not */
    bool announced_why;
};

struct task_state *tt_engine_state(struct tt_engine *engine, uint32_t task); /* made when missing */
void tt_engine_tell(struct tt_engine *engine, struct tt_event *event);       /* fills `at` */
void tt_engine_warn(struct tt_engine *engine, uint32_t task, const struct tt_error *why);

/* --- pump.c --- */

/* Tells the run an input, now, and carries out the effects. */
void tt_engine_hear(struct tt_engine *engine, struct tt_input *input);
/* Tells the run TT_IN_CANCELLED; while effects are carried out, after them. */
void tt_engine_hear_cancelled(struct tt_engine *engine);
/* Carries out what the run has decided. In a job, so that listeners and operations never see a
 * half-done change. */
void tt_engine_pump(struct tt_engine *engine);
int64_t tt_engine_now(const struct tt_engine *engine); /* run time */

/* --- record.c --- */

/* Updates the record with an operation of that phase that has ended. */
void tt_record_fold(struct tt_record *record, enum tt_phase phase, const struct tt_outcome *outcome,
                    const struct tt_yield *yield);
void tt_record_clear(struct tt_record *record);

/* --- the rest --- */

/* Why running operations are cancelled: an error of kind `cancelled`. The caller's. */
struct tt_error *tt_engine_stop_reason(const struct tt_engine *engine);
/* Opens engine->store unless it is open. */
int tt_engine_open_store(struct tt_engine *engine, struct tt_error **err);

/* The artifacts of the task's ancestors that match its input patterns. */
int tt_engine_inputs(struct tt_engine *engine, uint32_t task, const struct tt_texts *patterns,
                     struct tt_artifacts *out, struct tt_error **err);

/* Begins the operation that the effect orders. Its end goes to tt_engine_hear, later. */
void tt_operation_begin(struct tt_engine *engine, const struct tt_effect *effect);
void tt_operation_cancel(struct tt_operation *operation, const struct tt_error *why);
/* The same, unless it is a rollback: an interrupted run still compensates. */
void tt_operation_interrupt(struct tt_operation *operation, const struct tt_error *why);

/* --- the command of an operation: command.c --- */

/* Fills a command from the task, its matrix, the run's parameters and the action (shell or argv).
 * Its texts are borrowed; free only command->vars. */
void tt_engine_command(const struct tt_engine *engine, const struct tt_task *task,
                       const struct tt_action *action, struct tt_command *command);

#endif
