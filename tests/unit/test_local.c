/* Real processes of this machine, through the whole of core/proc and executors/local. */
#include "core/alloc.h"
#include "core/proc.h"
#include "executors/guardian.h"
#include "executors/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct tt_loop *loop;
static struct tt_env *here;
static struct tt_scope *root;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL), 0);
    here = tx_local_new(loop, NULL);
    assert_non_null(here);
    root = tt_scope_new(loop, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bool never = false;
    tt_scope_release(root);
    while (tt_loop_live_ops(loop) && tt_loop_run(loop, &never))
        continue;
    tt_loop_run(loop, &never);
    assert_int_equal(tt_loop_live_ops(loop), 0);
    tt_env_release(here);
    tt_loop_free(loop);
    return 0;
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

static void await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    assert_true(tt_loop_run(loop, &done));
}

static struct tt_capture_options options;

/* Runs with `options`; the result is the caller's. */
static struct tt_result *capture(const struct tt_command *command)
{
    struct tt_op *op = tt_capture(here, root, command, &options);
    await(op);
    struct tt_result *result = tt_result_of(op);
    assert_non_null(result);
    tt_result_retain(result);
    tt_op_release(op);
    return result;
}

static struct tt_result *sh(const char *line)
{
    return capture(&(struct tt_command){.shell = (char *)line});
}

static void sh_ok(void **state)
{
    (void)state;
    tt_capture_defaults(&options);
    struct tt_result *r = sh("echo out; echo err >&2");
    assert_int_equal(r->kind, TT_OK);
    assert_int_equal(r->code, 0);
    assert_string_equal(r->out.data, "out\n");
    assert_string_equal(r->err.data, "err\n");
    assert_string_equal(r->env, "local:");
    assert_null(r->message);
    tt_result_release(r);
    r = sh("exit 3");
    assert_int_equal(r->kind, TT_EXIT);
    assert_int_equal(r->code, 3);
    tt_result_release(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sh_ok, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
