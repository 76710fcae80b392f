#include "core/async/scope.h"

#include "core/async/op.h"
#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <stdlib.h>

struct tt_scope {
    struct tt_loop *loop;
    struct tt_scope *parent;                 /* held; NULL for a root */
    struct tt_scope *children, *next, *prev; /* linked, not held */
    struct tt_op *ops;
    size_t live; /* running operations, here and below */
    struct tt_error *why;
    int64_t deadline, length;
    char *what;
    struct tt_timer timer;
    void (*idle)(void *arg);
    void *idle_arg;
    struct tt_job idle_job;
    unsigned refs;
};

struct tt_scope *tt_scope_new(struct tt_loop *loop, struct tt_scope *parent)
{
    struct tt_scope *scope = tt_zalloc(sizeof *scope);
    scope->loop = loop;
    scope->refs = 1;
    scope->deadline = TT_NEVER;
    scope->parent = parent;
    if (parent) {
        tt_scope_retain(parent);
        scope->next = parent->children;
        if (scope->next)
            scope->next->prev = scope;
        parent->children = scope;
        scope->why = tt_error_copy(parent->why);
    }
    return scope;
}

struct tt_scope *tt_scope_shielded(struct tt_loop *loop, int64_t deadline)
{
    struct tt_scope *scope = tt_scope_new(loop, NULL);
    tt_scope_deadline(scope, deadline, "cleaning up");
    return scope;
}

void tt_scope_retain(struct tt_scope *scope)
{
    scope->refs++;
}

static void post_if_idle(struct tt_scope *scope)
{
    if (scope->idle && scope->live == 0)
        tt_loop_post(scope->loop, &scope->idle_job);
}

void tt_scope_release(struct tt_scope *scope)
{
    if (!scope || --scope->refs > 0)
        return;
    struct tt_scope *parent = scope->parent;
    if (parent) {
        if (scope->prev)
            scope->prev->next = scope->next;
        else
            parent->children = scope->next;
        if (scope->next)
            scope->next->prev = scope->prev;
    }
    tt_timer_stop(scope->loop, &scope->timer);
    tt_loop_unpost(scope->loop, &scope->idle_job);
    tt_error_free(scope->why);
    free(scope->what);
    free(scope);
    tt_scope_release(parent);
}

struct tt_loop *tt_scope_loop(const struct tt_scope *scope)
{
    return scope->loop;
}

bool tt_scope_within(const struct tt_scope *scope, const struct tt_scope *above)
{
    while (scope && scope != above)
        scope = scope->parent;
    return scope != NULL;
}

static void expire(struct tt_scope *scope)
{
    double seconds = (double)scope->length / 1000;
    struct tt_error *why =
        tt_error_new(TT_TIMEOUT, "%s timed out after %gs", scope->what, seconds > 0 ? seconds : 0);
    tt_scope_cancel(scope, why);
    tt_error_free(why);
}

static void on_deadline(struct tt_timer *timer)
{
    expire(tt_owner(timer, struct tt_scope, timer));
}

void tt_scope_expire(struct tt_scope *scope)
{
    int64_t now = tt_loop_now(scope->loop);
    for (struct tt_scope *first = scope; first;) {
        first = NULL;
        for (struct tt_scope *at = scope; at; at = at->parent)
            if (!at->why && at->deadline <= now && (!first || at->deadline < first->deadline))
                first = at;
        if (first)
            expire(first);
    }
}

void tt_scope_deadline(struct tt_scope *scope, int64_t at, const char *what)
{
    tt_scope_limit(scope, at, at - tt_loop_now(scope->loop), what);
}

void tt_scope_limit(struct tt_scope *scope, int64_t at, int64_t length, const char *what)
{
    scope->deadline = at;
    scope->length = length;
    free(scope->what);
    scope->what = tt_strdup(what);
    tt_timer_stop(scope->loop, &scope->timer);
    if (at != TT_NEVER && !scope->why)
        tt_timer_start(scope->loop, &scope->timer, at, on_deadline);
}

int64_t tt_scope_ends_at(const struct tt_scope *scope)
{
    int64_t earliest = TT_NEVER;
    for (; scope; scope = scope->parent)
        if (scope->deadline < earliest)
            earliest = scope->deadline;
    return earliest;
}

/* The next live child or operation that was not asked yet; asking may free any of them. */
static struct tt_scope *live_child(struct tt_scope *scope)
{
    struct tt_scope *child = scope->children;
    while (child && child->why)
        child = child->next;
    return child;
}

static struct tt_op *unasked_op(struct tt_scope *scope)
{
    struct tt_op *op = scope->ops;
    while (op && (op->cancelled || tt_op_finished(op)))
        op = op->next;
    return op;
}

void tt_scope_cancel(struct tt_scope *scope, const struct tt_error *why)
{
    if (scope->why)
        return;
    tt_scope_retain(scope);
    scope->why = tt_error_copy(why);
    tt_timer_stop(scope->loop, &scope->timer);
    for (struct tt_scope *child; (child = live_child(scope));)
        tt_scope_cancel(child, scope->why);
    for (struct tt_op *op; (op = unasked_op(scope));)
        tt_op_cancel(op, scope->why);
    tt_scope_release(scope);
}

const struct tt_error *tt_scope_why(const struct tt_scope *scope)
{
    return scope->why;
}

int tt_scope_check(const struct tt_scope *scope, struct tt_error **err)
{
    if (!scope->why)
        return 0;
    if (err) {
        tt_error_free(*err);
        *err = tt_error_copy(scope->why);
    }
    return -(int)scope->why->kind;
}

static void run_idle(struct tt_job *job)
{
    struct tt_scope *scope = tt_owner(job, struct tt_scope, idle_job);
    void (*idle)(void *) = scope->idle;
    if (!idle || scope->live > 0)
        return;
    scope->idle = NULL;
    idle(scope->idle_arg);
}

void tt_scope_on_idle(struct tt_scope *scope, void (*idle)(void *arg), void *arg)
{
    scope->idle = idle;
    scope->idle_arg = arg;
    scope->idle_job.run = run_idle;
    post_if_idle(scope);
}

void tt_scope_add_op(struct tt_scope *scope, struct tt_op *op)
{
    tt_scope_retain(scope);
    op->prev = NULL;
    op->next = scope->ops;
    if (op->next)
        op->next->prev = op;
    scope->ops = op;
    for (; scope; scope = scope->parent)
        scope->live++;
}

void tt_scope_remove_op(struct tt_scope *scope, struct tt_op *op)
{
    if (op->prev)
        op->prev->next = op->next;
    else
        scope->ops = op->next;
    if (op->next)
        op->next->prev = op->prev;
    op->next = op->prev = NULL;
    for (; scope; scope = scope->parent) {
        scope->live--;
        post_if_idle(scope);
    }
}
