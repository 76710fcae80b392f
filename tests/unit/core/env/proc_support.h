/* Scripted commands on a virtual clock, for the tests of a command's life: nothing here waits. */
#ifndef PROC_SUPPORT_H
#define PROC_SUPPORT_H

#include "core/base/alloc.h"
#include "core/env/proc.h"
#include "executors/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAYBE __attribute__((unused))

MAYBE static struct tt_loop *loop;
MAYBE static struct tt_env *env;
MAYBE static struct tt_scope *root;
MAYBE static int64_t began;
MAYBE static struct tt_capture_options options;

MAYBE static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    env = tx_fake_new(loop, "fake:");
    root = tt_scope_new(loop, NULL);
    began = tt_loop_now(loop);
    tt_capture_defaults(&options);
    return 0;
}

MAYBE static int tear_down(void **state)
{
    (void)state;
    bool never = false;
    tt_scope_release(root);
    tt_loop_run(loop, &never);
    assert_int_equal(tt_loop_live_ops(loop), 0);
    for (size_t i = 0; i < tx_fake_run_count(env); i++)
        assert_true(tx_fake_run(env, i)->freed);
    assert_int_equal(env->refs, 1);
    tt_env_release(env);
    tt_loop_free(loop);
    return 0;
}

MAYBE static int64_t elapsed(void)
{
    return tt_loop_now(loop) - began;
}

MAYBE static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

MAYBE static void await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    assert_true(tt_loop_run(loop, &done));
}

/* Lets that much time pass. */
MAYBE static void pass(int64_t ms)
{
    struct tt_scope *other = tt_scope_new(loop, NULL);
    struct tt_op *op = tt_sleep(other, ms);
    await(op);
    tt_op_release(op);
    tt_scope_release(other);
}

MAYBE static struct tt_op *capture_op(struct tx_fake_command *script)
{
    script->line = "it";
    tx_fake_add(env, script, 1);
    return tt_capture(env, root, &(struct tt_command){.shell = (char *)"it"}, &options);
}

MAYBE static struct tt_result *finished(struct tt_op *op)
{
    await(op);
    assert_null(op->error);
    struct tt_result *result = tt_result_retain(tt_result_of(op));
    tt_op_release(op);
    return result;
}

MAYBE static struct tt_result *capture(struct tx_fake_command *script)
{
    return finished(capture_op(script));
}

MAYBE static void assert_signals(int first, int second)
{
    const struct tx_fake_run *run = tx_fake_run(env, tx_fake_run_count(env) - 1);
    assert_int_equal(run->signals[0], first);
    assert_int_equal(run->signals[1], second);
    assert_int_equal(run->signals[2], 0);
}

MAYBE static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "(null)", part);
}

MAYBE static const struct tx_fake_output early[] = {{10, TT_STDOUT, "partial"},
                                                    {20, TT_STDERR, "why"}};

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
