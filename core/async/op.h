/* Operations: everything that can be awaited. Loop thread.
 *
 * A function that starts something returns a struct tt_op at once. The operation finishes exactly
 * once, successfully or with an error; `done` then runs from the run queue, never inside the call
 * that started it and never inside a libuv callback.
 *
 * An implementation embeds struct tt_op as its first member:
 *
 *     struct sleep_op { struct tt_op op; struct tt_timer timer; };
 *     static const struct tt_op_class sleep_class = { "sleep", sleep_cancel, sleep_free };
 *     struct sleep_op *s = tt_zalloc(sizeof *s);
 *     tt_op_init(&s->op, &sleep_class, scope);
 *     return &s->op;
 *
 * References: tt_op_init makes two. One is the caller's, who gives it back with tt_op_release. The
 * other is the operation's own and ends once it has finished and `done` has run. When the last
 * reference goes, the class's `free` is called.
 *
 * In a scope that is cancelled already, tt_op_init finishes the operation with the scope's reason:
 * check tt_op_finished before doing any work. A typed result is read from the finished operation by
 * an accessor of its kind (tt_bytes_of and so on), while the caller holds a reference. */
#ifndef TT_OP_H
#define TT_OP_H

#include "core/async/scope.h"

struct tt_op;

struct tt_op_class {
    const char *name; /* what it does, for messages: "sleep", "read" */
    /* The scope was cancelled, or tt_op_cancel was called. Called at most once, and only while the
     * operation runs. The class then calls tt_op_finish, now or later: with `why`, or with the
     * outcome that it observed. Use tt_op_cancel_now for an operation that holds nothing. */
    void (*cancel)(struct tt_op *op, const struct tt_error *why);
    void (*free)(struct tt_op *op); /* frees the whole object; use tt_op_free for a plain one */
};

enum tt_op_state { TT_OP_RUNNING, TT_OP_FINISHED, TT_OP_DELIVERED };

typedef void tt_op_done(struct tt_op *op, void *arg);

struct tt_op {
    const struct tt_op_class *class_;
    struct tt_loop *loop;
    struct tt_scope *scope; /* held until the operation is freed */
    struct tt_op *next, *prev;
    struct tt_error *error; /* once finished: NULL is success */
    tt_op_done *done;
    void *arg;
    struct tt_job job;
    enum tt_op_state state;
    bool cancelled; /* cancel was called */
    unsigned refs;
#ifdef TT_FAULTS
    struct tt_op *all_next, *all_prev; /* every operation that was not freed */
#endif
};

void tt_op_init(struct tt_op *op, const struct tt_op_class *class_, struct tt_scope *scope);
/* Ends the operation: with success when err is NULL, else with err (taken). Finishing twice is a
 * bug and aborts. */
void tt_op_finish(struct tt_op *op, struct tt_error *err);
static inline bool tt_op_finished(const struct tt_op *op)
{
    return op->state != TT_OP_RUNNING;
}

/* Calls `done` once, as a job, when the operation has finished; also when it had before. One
 * awaiter at a time. */
void tt_op_await(struct tt_op *op, tt_op_done *done, void *arg);
/* The awaiter no longer wants `done`. */
void tt_op_unawait(struct tt_op *op);
/* Asks it to stop, for that reason (copied). Does nothing when it was asked before or has finished.
 */
void tt_op_cancel(struct tt_op *op, const struct tt_error *why);
void tt_op_retain(struct tt_op *op);
void tt_op_release(struct tt_op *op);
/* Lets go of an operation that nobody needs any more: no `done` comes, the operation is cancelled
 * for that reason (NULL: it is left running), the reference is released, and *op becomes NULL. A
 * NULL *op is fine. */
void tt_op_drop(struct tt_op **op, const struct tt_error *why);
/* The same, for a reason of kind `cancelled` with that message. */
void tt_op_drop_because(struct tt_op **op, const char *why);

/* With TT_FAULTS: writes the names of the operations that were not freed to stderr, and returns how
 * many. Without: returns 0. */
size_t tt_op_report_leaks(void);

/* Ready-made parts. */
void tt_op_cancel_now(struct tt_op *op, const struct tt_error *why); /* finishes with the reason */
void tt_op_free(struct tt_op *op);                                   /* free(op) */
/* An operation that has finished already, with err (taken) or with success. */
struct tt_op *tt_op_finished_new(struct tt_scope *scope, struct tt_error *err);

/* Finishes after `ms` milliseconds. */
struct tt_op *tt_sleep(struct tt_scope *scope, int64_t ms);

/* Blocking work on a worker thread. `work` runs there and may touch only `arg`; it returns 0, or a
 * negative code and fills err. Then the operation finishes, on the loop thread as all others.
 * Cancelling does not interrupt work that has begun: the operation finishes after it. `drop` frees
 * arg when the operation is freed. */
struct tt_op *tt_work(struct tt_scope *scope, const char *name,
                      int (*work)(void *arg, struct tt_error **err), void *arg,
                      void (*drop)(void *arg));
void *tt_work_arg(struct tt_op *op);
/* Sets what makes `work` end early: `interrupt` is called on the loop thread when the operation is
 * cancelled, while `work` may be running. */
void tt_work_on_cancel(struct tt_op *op, void (*interrupt)(void *arg));

#endif
