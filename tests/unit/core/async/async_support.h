/* A loop on the virtual clock and a scope, for the tests of core/async: nothing here sleeps. */
#ifndef ASYNC_SUPPORT_H
#define ASYNC_SUPPORT_H

#include "core/async/op.h"
#include "core/base/alloc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAYBE   __attribute__((unused))
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct tt_loop *loop;
static struct tt_scope *root;
static const bool never;
MAYBE static char story[256]; /* what happened, a letter each */

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    root = tt_scope_new(loop, NULL);
    memset(story, 0, sizeof story);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tt_scope_release(root);
    assert_false(tt_loop_run(loop, &never));
    assert_int_equal(tt_loop_live_ops(loop), 0);
    tt_loop_free(loop);
    return 0;
}

MAYBE static void note(char letter)
{
    size_t length = strlen(story);
    assert_true(length + 1 < sizeof story);
    story[length] = letter;
}

/* Runs all that there is. */
MAYBE static void run_all(void)
{
    assert_false(tt_loop_run(loop, &never));
}

static void set_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

/* Runs the loop until op is done. The caller still releases it. */
MAYBE static struct tt_op *await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, set_done, &done);
    assert_true(tt_loop_run(loop, &done));
    return op;
}

/* True when it ends the process by abort. */
MAYBE static bool aborts(void (*what)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        signal(SIGABRT, SIG_DFL);
        what();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* An operation that ends only when told: by finish() or when it is cancelled. */
struct held {
    struct tt_op op;
    char letter;   /* noted when it is cancelled, in upper case when it is freed */
    bool stubborn; /* being cancelled does not end it */
};

static void held_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct held *held = (struct held *)(void *)op;
    note(held->letter);
    if (!held->stubborn)
        tt_op_finish(op, tt_error_copy(why));
}

static void held_free(struct tt_op *op)
{
    note((char)(((struct held *)(void *)op)->letter - 'a' + 'A'));
    free(op);
}

MAYBE static struct tt_op *held_new(struct tt_scope *scope, char letter)
{
    static const struct tt_op_class class_ = {"held", held_cancel, held_free};
    struct held *held = tt_zalloc(sizeof *held);
    held->letter = letter;
    tt_op_init(&held->op, &class_, scope);
    return &held->op;
}

MAYBE static struct tt_error *reason(void)
{
    return tt_error_new(TT_CANCELLED, "the test said so");
}

#endif
