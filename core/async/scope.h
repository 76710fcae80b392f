/* Scopes: a tree of cancellation and deadlines.
 *
 * Every operation is started in a scope. A scope ends live operations in two ways: somebody cancels
 * it, or its deadline passes (the reason then has kind `timeout`). A child's deadline is the
 * minimum of its own and its parent's. Cancelling walks children first, and only *asks*: each
 * operation still reports its end itself, when what it held is really released.
 *
 * References: tt_scope_new gives the caller one. A child holds its parent, an operation its scope.
 *
 * Loop thread. Times are monotonic ms. */
#ifndef TT_SCOPE_H
#define TT_SCOPE_H

#include "core/async/loop.h"

struct tt_scope;
struct tt_op;

/* A child of parent, or a root of the loop when parent is NULL. */
struct tt_scope *tt_scope_new(struct tt_loop *loop, struct tt_scope *parent);
/* A scope without a parent, so that no cancellation from above reaches it: for cleaning up within a
 * deadline of its own. */
struct tt_scope *tt_scope_shielded(struct tt_loop *loop, int64_t deadline);
void tt_scope_retain(struct tt_scope *scope);
void tt_scope_release(struct tt_scope *scope);

/* Whether `scope` is `above` or lies somewhere below it. */
bool tt_scope_within(const struct tt_scope *scope, const struct tt_scope *above);
struct tt_loop *tt_scope_loop(const struct tt_scope *scope);
/* Sets this scope's own deadline (TT_NEVER: none). `what` (copied) begins the reason's message:
 * "WHAT timed out after 5s", counted from now. */
void tt_scope_deadline(struct tt_scope *scope, int64_t at, const char *what);
/* The same for a time limit that began before now: the message tells `length` (ms). */
void tt_scope_limit(struct tt_scope *scope, int64_t at, int64_t length, const char *what);
/* The earliest deadline of this scope and of all above it. */
int64_t tt_scope_ends_at(const struct tt_scope *scope);
/* Cancels this scope and those above it whose deadline has passed, now: for code that kept the loop
 * from doing so in time. The caller holds a reference to the scope. */
void tt_scope_expire(struct tt_scope *scope);
/* Cancels for that reason (copied; the first reason stays). Cancelling again does nothing. */
void tt_scope_cancel(struct tt_scope *scope, const struct tt_error *why);
/* Why it was cancelled, or NULL while it is live. Borrowed. */
const struct tt_error *tt_scope_why(const struct tt_scope *scope);
/* 0, or the reason as an error. */
int tt_scope_check(const struct tt_scope *scope, struct tt_error **err);
/* Calls `idle`, as a job, once no operation runs in the scope or below it. A scope has one such
 * function at a time. */
void tt_scope_on_idle(struct tt_scope *scope, void (*idle)(void *arg), void *arg);

/* For core/async/op.c. */
void tt_scope_add_op(struct tt_scope *scope, struct tt_op *op);
void tt_scope_remove_op(struct tt_scope *scope, struct tt_op *op);

#endif
