/* Operations: everything that can be awaited.
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
 * References: tt_op_init leaves two, the caller's (tt_op_release) and the operation's own, which
 * ends after it finished and `done` ran. The class's free runs with the last one.
 *
 * In a scope that is cancelled already, tt_op_init finishes the operation with the scope's reason:
 * check tt_op_finished before doing any work. A typed result is read from the finished operation by
 * its own accessor (tt_read_result and so on) while the caller holds its reference. */
#ifndef TT_OP_H
#define TT_OP_H

#include "core/async/scope.h"

struct tt_op;

struct tt_op_class {
    const char *name; /* what it does, for messages: "sleep", "read" */
    /* The scope, or somebody holding the operation, wants it to stop. Called at most once, while
     * it runs; it may call tt_op_finish at once or later, with the reason or with the outcome that
     * was observed. tt_op_cancel_now is the implementation for what holds nothing. */
    void (*cancel)(struct tt_op *op, const struct tt_error *why);
    void (*free)(struct tt_op *op); /* frees the whole object; tt_op_free for plain ones */
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
/* Takes err. Finishing twice is a bug and aborts. */
void tt_op_finish(struct tt_op *op, struct tt_error *err);
static inline bool tt_op_finished(const struct tt_op *op)
{
    return op->state != TT_OP_RUNNING;
}

/* Asks for `done` once; also when the operation finished before. */
void tt_op_await(struct tt_op *op, tt_op_done *done, void *arg);
/* The awaiter no longer wants `done`. */
void tt_op_unawait(struct tt_op *op);
void tt_op_cancel(struct tt_op *op, const struct tt_error *why);
void tt_op_retain(struct tt_op *op);
void tt_op_release(struct tt_op *op);
/* Lets go of an operation that nobody needs any more: no `done`, cancelled for that reason (NULL:
 * not cancelled), released, and *op set to NULL. A NULL *op is fine. */
void tt_op_drop(struct tt_op **op, const struct tt_error *why);
/* The same with a reason in words, of kind cancelled. */
void tt_op_drop_because(struct tt_op **op, const char *why);

/* With TT_FAULTS: names the operations that were not freed on stderr; how many. Without: 0. */
size_t tt_op_report_leaks(void);

/* Ready-made parts. */
void tt_op_cancel_now(struct tt_op *op, const struct tt_error *why); /* finishes with the reason */
void tt_op_free(struct tt_op *op);                                   /* free(op) */
/* An operation that has finished already, with err (taken) or with success. */
struct tt_op *tt_op_finished_new(struct tt_scope *scope, struct tt_error *err);

struct tt_op *tt_sleep(struct tt_scope *scope, int64_t ms);

/* Blocking work on a worker thread. `work` runs there and touches only arg; after it `done`
 * semantics are the operation's. It cannot be interrupted: cancelled work is awaited to its end.
 * `work` returns 0 or a negative code and fills err. `drop` frees arg when the operation is freed.
 */
struct tt_op *tt_work(struct tt_scope *scope, const char *name,
                      int (*work)(void *arg, struct tt_error **err), void *arg,
                      void (*drop)(void *arg));
void *tt_work_arg(struct tt_op *op);
/* What makes `work` end early when the operation is cancelled; called on the loop thread. */
void tt_work_on_cancel(struct tt_op *op, void (*interrupt)(void *arg));

#endif
