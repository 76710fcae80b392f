/* Scopes: deadlines, the order of cancelling, and being idle. */
#include "async_support.h"

/* Fails when a child outlives its parent's deadline, or its own later one takes the place of it. */
static void a_deadline_is_the_earlier_of_both(void **state)
{
    (void)state;
    int64_t now = tt_loop_now(loop);
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    tt_scope_deadline(outer, now + 100, "outer");
    tt_scope_deadline(inner, now + 500, "inner");
    assert_int_equal(tt_scope_ends_at(inner), now + 100);
    struct tt_op *op = tt_sleep(inner, 1000);
    assert_int_equal(await(op)->error->kind, TT_TIMEOUT);
    assert_string_equal(op->error->message, "outer timed out after 0.1s");
    assert_int_equal(tt_loop_now(loop), now + 100);
    tt_op_release(op);
    tt_scope_release(inner);
    tt_scope_release(outer);

    outer = tt_scope_new(loop, root), inner = tt_scope_new(loop, outer);
    now = tt_loop_now(loop);
    tt_scope_deadline(outer, now + 500, "outer");
    tt_scope_deadline(inner, now + 100, "inner");
    assert_int_equal(tt_scope_ends_at(inner), now + 100);
    assert_int_equal(tt_scope_ends_at(outer), now + 500);
    op = tt_sleep(inner, 1000);
    assert_string_equal(await(op)->error->message, "inner timed out after 0.1s");
    assert_null(tt_scope_why(outer));
    tt_op_release(op);
    tt_scope_release(inner);
    tt_scope_release(outer);
}

/* Fails when a deadline that was moved or taken back still comes at its old time. */
static void a_deadline_can_be_moved(void **state)
{
    (void)state;
    int64_t now = tt_loop_now(loop);
    struct tt_scope *scope = tt_scope_new(loop, root);
    tt_scope_deadline(scope, now + 10, "it");
    tt_scope_deadline(scope, TT_NEVER, "it");
    struct tt_op *op = tt_sleep(scope, 100);
    assert_null(await(op)->error);
    tt_op_release(op);
    tt_scope_limit(scope, tt_loop_now(loop) + 10, 2500, "it");
    op = tt_sleep(scope, 100);
    assert_string_equal(await(op)->error->message, "it timed out after 2.5s");
    tt_op_release(op);
    tt_scope_release(scope);
}

/* Fails when a parent's operations are asked before its children's, or one is asked twice. */
static void children_are_cancelled_first(void **state)
{
    (void)state;
    struct tt_error *why = reason();
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    struct tt_op *a = held_new(outer, 'a'), *b = held_new(inner, 'b'), *c = held_new(outer, 'c');
    tt_scope_cancel(outer, why);
    assert_string_equal(story, "bca"); /* of one scope, the newest first */
    tt_scope_cancel(outer, why);
    assert_string_equal(tt_scope_why(inner)->message, "the test said so");
    tt_op_release(a);
    tt_op_release(b);
    tt_op_release(c);
    tt_scope_release(inner);
    tt_scope_release(outer);
    run_all();
    assert_int_equal(strlen(story), 6);
    tt_error_free(why);
}

/* Fails when a second reason takes the place of the first, or a child's reaches its parent. */
static void the_first_reason_stays(void **state)
{
    (void)state;
    struct tt_error *why = reason(), *other = tt_error_new(TT_IO, "another");
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    tt_scope_cancel(inner, why);
    assert_null(tt_scope_why(outer));
    tt_scope_cancel(outer, other);
    assert_string_equal(tt_scope_why(inner)->message, "the test said so");
    struct tt_error *err = NULL;
    assert_int_equal(tt_scope_check(inner, &err), -TT_CANCELLED);
    assert_string_equal(err->message, "the test said so");
    tt_error_free(err);
    struct tt_scope *late = tt_scope_new(loop, outer); /* it is born cancelled */
    assert_string_equal(tt_scope_why(late)->message, "another");
    tt_scope_release(late);
    tt_scope_release(inner);
    tt_scope_release(outer);
    tt_error_free(why);
    tt_error_free(other);
}

static void a_shielded_scope_is_not_reached(void **state)
{
    (void)state;
    struct tt_error *why = reason();
    struct tt_scope *outer = tt_scope_new(loop, root);
    struct tt_scope *shielded = tt_scope_shielded(loop, tt_loop_now(loop) + 10);
    tt_scope_cancel(outer, why);
    assert_null(tt_scope_why(shielded));
    struct tt_op *op = tt_sleep(shielded, 100);
    assert_string_equal(await(op)->error->message, "cleaning up timed out after 0.01s");
    tt_op_release(op);
    tt_scope_release(shielded);
    tt_scope_release(outer);
    tt_error_free(why);
}

/* Fails when time that passed without the loop is not seen, or the later of two deadlines is told.
 */
static void expiring_takes_the_earliest(void **state)
{
    (void)state;
    int64_t now = tt_loop_now(loop);
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    tt_scope_limit(outer, now - 5, 1000, "outer");
    tt_scope_limit(inner, now - 3, 1000, "inner");
    tt_scope_expire(inner);
    assert_string_equal(tt_scope_why(inner)->message, "outer timed out after 1s");
    tt_scope_release(inner);
    tt_scope_release(outer);
}

static void note_idle(void *arg)
{
    note(*(const char *)arg);
}

/* Fails when idle comes while something runs below, inside the last end, or more than once. */
static void idle_comes_once_all_below_has_ended(void **state)
{
    (void)state;
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    struct tt_op *a = held_new(outer, 'a'), *b = held_new(inner, 'b');
    tt_scope_on_idle(outer, note_idle, "!");
    tt_op_finish(a, NULL);
    run_all();
    assert_string_equal(story, "");
    tt_op_finish(b, NULL);
    assert_string_equal(story, "");
    run_all();
    assert_string_equal(story, "!");
    struct tt_op *c = held_new(inner, 'c');
    tt_op_finish(c, NULL);
    run_all();
    assert_string_equal(story, "!");
    tt_scope_on_idle(outer, note_idle, "?"); /* it is idle already */
    run_all();
    assert_string_equal(story, "!?");
    tt_op_release(a);
    tt_op_release(b);
    tt_op_release(c);
    tt_scope_release(inner);
    tt_scope_release(outer);
}

/* Fails when what begins between the last end and the job is overlooked. */
static void idle_waits_for_what_began_meanwhile(void **state)
{
    (void)state;
    struct tt_scope *scope = tt_scope_new(loop, root);
    struct tt_op *a = held_new(scope, 'a');
    tt_scope_on_idle(scope, note_idle, "!");
    tt_op_finish(a, NULL);
    struct tt_op *b = held_new(scope, 'b');
    run_all();
    assert_string_equal(story, "");
    tt_op_finish(b, NULL);
    run_all();
    assert_string_equal(story, "!");
    tt_op_release(a);
    tt_op_release(b);
    tt_scope_release(scope);
}

static void within_goes_up_only(void **state)
{
    (void)state;
    struct tt_scope *outer = tt_scope_new(loop, root), *inner = tt_scope_new(loop, outer);
    assert_true(tt_scope_within(inner, outer));
    assert_true(tt_scope_within(inner, inner));
    assert_false(tt_scope_within(outer, inner));
    tt_scope_release(outer); /* the child holds it */
    assert_true(tt_scope_within(inner, root));
    tt_scope_release(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_deadline_is_the_earlier_of_both),
        T(a_deadline_can_be_moved),
        T(children_are_cancelled_first),
        T(the_first_reason_stays),
        T(a_shielded_scope_is_not_reached),
        T(expiring_takes_the_earliest),
        T(idle_comes_once_all_below_has_ended),
        T(idle_waits_for_what_began_meanwhile),
        T(within_goes_up_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
