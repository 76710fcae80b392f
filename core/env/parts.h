/* What the parts of a command's life share; for core/env/proc.c, streams.c and ladder.c only.
 *
 * Two scopes: `scope`, below the caller's, carries the deadline and holds `life`, an operation that
 * ends with the command, so that whoever waits for the scope waits for the command. `inner` is a
 * root of its own: what runs in it (the executor's wait, reads, signals) goes on while the command
 * is being terminated.
 *
 * References: `users` counts holders and their operations; without any, a command that still runs
 * is terminated. `refs` counts those, the life, and internal operations that are not delivered. */
#ifndef TT_PROC_PARTS_H
#define TT_PROC_PARTS_H

#include "core/env/proc.h"
#include "core/pool/limits.h"

enum state {
    QUEUED, /* waits for a place */
    STARTING,
    RUNNING,
    LEAVING, /* being terminated; the command ended, others of its group may live */
    ENDED,
};

struct stream {
    struct relay *pending; /* the read that runs */
    int64_t since;         /* when it began, or when the last one finished */
    int64_t idle_ms;       /* after the command's end, without a read */
    size_t late;           /* bytes read after the drain's two seconds */
    bool ended;            /* every further read finds the end */
    bool given_up;         /* `pending` was cancelled because the drain is over */
};

struct tt_proc {
    struct tt_op life;
    unsigned refs, users;
    struct tt_loop *loop;
    struct tt_scope *scope, *inner;
    struct tt_process *process; /* NULL until it runs */
    struct tt_result *result;
    struct tt_error *why;    /* it is being terminated for this */
    struct tt_error *failed; /* it did not start */
    enum state state;
    bool killed; /* KILL was sent */
    int64_t began, ended_at, grace;
    struct tt_claim claim;    /* of a place in the environment's limit */
    struct tt_env *queued_in; /* held, with the command, while it waits for one */
    struct tt_command queued;
    int64_t timeout;
    struct start *start;     /* the caller's operation while starting */
    struct tt_op *env_start; /* the executor's */
    struct tt_op *env_wait, *env_gone;
    struct tt_op *env_term, *env_kill; /* signals on their way */
    struct tt_timer ladder, drain;
    struct stream streams[2];
    struct waiter *waiters;
};

/* The caller's view of one operation of the executor. */
struct relay {
    struct tt_bytes_op base;
    struct tt_proc *proc;
    struct tt_op *inner;
    struct stream *stream; /* NULL unless it reads */
};

/* Gives up a reference that `refs` counts. */
void tt_proc_unref(struct tt_proc *proc);
/* The command has ended, as process->exit says, or could not be started, as `failed` says. */
void tt_proc_ended(struct tt_proc *proc);
/* After the end and after each read: whoever waits is told once both are over. */
void tt_proc_let_waiters_go(struct tt_proc *proc);

/* streams.c: sets the timer after which the reads that run are given up; after the end. */
void tt_proc_watch_silence(struct tt_proc *proc);
/* ladder.c: sends TERM, and what has to follow it in time. */
void tt_proc_climb(struct tt_proc *proc);

#endif
