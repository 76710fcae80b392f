/* How a command is ended, and how its streams end after it: timeout, cancelling, draining. */
#include "proc_support.h"

/* --- timeout and cancel --- */

static void timeout_sends_term_and_keeps_output(void **state)
{
    (void)state;
    struct tx_fake_command script = {
        .lasts = TT_NEVER, .term_takes = 30, .outputs = early, .output_count = 2};
    options.proc.timeout = 5000;
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(elapsed(), 5030);
    assert_string_equal(r->out.data, "partial");
    assert_string_equal(r->err.data, "why");
    assert_int_equal(r->signal, 15);
    assert_contains(r->message, "timed out after 5s");
    assert_signals(15, 0);
    tt_result_release(r);
}

static void kill_follows_after_the_grace(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = TT_NEVER, .term_takes = TT_NEVER};
    options.proc.timeout = 1000;
    options.proc.grace = 700;
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(r->code, 137);
    assert_int_equal(elapsed(), 1700);
    assert_signals(15, 9);
    tt_result_release(r);
}

static void an_unconfirmed_end_is_lost(void **state)
{
    (void)state;
    struct tx_fake_command stuck = {
        .lasts = TT_NEVER, .term_takes = TT_NEVER, .unkillable = true, .holds = TT_NEVER};
    struct tx_fake_command deaf = {.lasts = TT_NEVER, .unsignallable = true};
    struct tx_fake_command *scripts[] = {&stuck, &deaf};
    options.proc.timeout = 1000;
    for (int i = 0; i < 2; i++) {
        began = tt_loop_now(loop);
        struct tt_result *r = capture(scripts[i]);
        assert_int_equal(r->kind, TT_LOST);
        assert_int_equal(r->code, -1);
        assert_contains(r->message, "may still be running");
        assert_in_range(elapsed(), 13000, 13200); /* and the drain */
        tt_result_release(r);
    }
}

static void the_group_is_the_boundary(void **state)
{
    (void)state;
    options.proc.timeout = 1000;
    struct tx_fake_command stays = {.lasts = TT_NEVER, .leaves = TT_NEVER, .holds = TT_NEVER};
    struct tt_result *r = capture(&stays);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(r->signal, 15);
    assert_signals(15, 9);
    assert_in_range(elapsed(), 3000, 3200);
    tt_result_release(r);

    began = tt_loop_now(loop);
    struct tx_fake_command goes = {.lasts = TT_NEVER, .leaves = 300, .holds = 300};
    r = capture(&goes);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_signals(15, 0);
    assert_int_equal(elapsed(), 1300);
    tt_result_release(r);
}

static void cancel(enum tt_kind kind)
{
    struct tt_error *why = tt_error_new(kind, "enough");
    tt_scope_cancel(root, why);
    tt_error_free(why);
}

static void a_cancelled_command_was_ended(void **state)
{
    (void)state;
    struct tx_fake_command script = {
        .lasts = TT_NEVER, .term_takes = 500, .outputs = early, .output_count = 2};
    struct tt_op *op = capture_op(&script);
    pass(100);
    cancel(TT_CANCELLED);
    await(op);
    assert_int_equal(op->error->kind, TT_CANCELLED);
    assert_int_equal(elapsed(), 600);
    assert_int_equal(tt_result_of(op)->kind, TT_CANCELLED);
    assert_string_equal(tt_result_of(op)->out.data, "partial");
    assert_true(tx_fake_run(env, 0)->ended_at >= 0);
    tt_op_release(op);
}

static void cancelled_and_not_confirmed_is_lost(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = TT_NEVER, .unsignallable = true};
    struct tt_op *op = capture_op(&script);
    pass(100);
    tt_op_cancel(op, &(struct tt_error){.kind = TT_CANCELLED, .message = (char[]){"enough"}});
    await(op);
    assert_int_equal(op->error->kind, TT_LOST);
    assert_contains(op->error->message, "may still be running");
    tt_op_release(op);
}

static void cancelled_before_it_started(void **state)
{
    (void)state;
    struct tx_fake_command script = {.start_takes = 1000};
    struct tt_op *op = capture_op(&script);
    pass(100);
    cancel(TT_CANCELLED);
    await(op);
    assert_int_equal(op->error->kind, TT_CANCELLED);
    assert_int_equal(tx_fake_run_count(env), 0);
    tt_op_release(op);
    op = capture_op(&script);
    await(op);
    assert_int_equal(op->error->kind, TT_CANCELLED);
    tt_op_release(op);
}

static void the_timeout_includes_the_start(void **state)
{
    (void)state;
    struct tx_fake_command script = {.start_takes = 1000};
    options.proc.timeout = 400;
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(elapsed(), 400);
    tt_result_release(r);
}

static void an_outer_deadline_raises(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = TT_NEVER};
    tt_scope_deadline(root, began + 250, "the task");
    struct tt_op *op = capture_op(&script);
    await(op);
    assert_int_equal(op->error->kind, TT_TIMEOUT);
    assert_contains(op->error->message, "the task");
    assert_int_equal(elapsed(), 250);
    tt_op_release(op);
}

/* --- drain --- */

static void a_silent_holder_is_not_waited_for(void **state)
{
    (void)state;
    struct tx_fake_command script = {
        .lasts = 100, .holds = TT_NEVER, .leaves = TT_NEVER, .outputs = early, .output_count = 2};
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data, "partial");
    assert_int_equal(elapsed(), 300);
    assert_signals(0, 0);
    tt_result_release(r);
}

static void a_chatty_holder_is_cut_off(void **state)
{
    (void)state;
    static struct tx_fake_output chatter[1000];
    for (int i = 0; i < 1000; i++)
        chatter[i] = (struct tx_fake_output){i * 100, TT_STDOUT, "x"};
    struct tx_fake_command script = {
        .lasts = 1000, .holds = TT_NEVER, .outputs = chatter, .output_count = 1000};
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_OK);
    assert_in_range(elapsed(), 3000, 3000);
    assert_in_range(r->out.length, 29, 31);
    tt_result_release(r);
}

static void what_comes_soon_after_the_end_is_kept(void **state)
{
    (void)state;
    static const struct tx_fake_output outputs[] = {{150, TT_STDOUT, "a"}, {300, TT_STDOUT, "b"}};
    struct tx_fake_command script = {
        .lasts = 100, .holds = 250, .outputs = outputs, .output_count = 2};
    struct tt_result *r = capture(&script);
    assert_string_equal(r->out.data, "ab");
    assert_int_equal(elapsed(), 350);
    tt_result_release(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(timeout_sends_term_and_keeps_output),
        T(kill_follows_after_the_grace),
        T(an_unconfirmed_end_is_lost),
        T(the_group_is_the_boundary),
        T(a_cancelled_command_was_ended),
        T(cancelled_and_not_confirmed_is_lost),
        T(cancelled_before_it_started),
        T(the_timeout_includes_the_start),
        T(an_outer_deadline_raises),
        T(a_silent_holder_is_not_waited_for),
        T(a_chatty_holder_is_cut_off),
        T(what_comes_soon_after_the_end_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
