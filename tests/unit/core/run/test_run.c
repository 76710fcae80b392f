/* The rules of a run, one by one: what a task goes through when nothing stops it. */
#include "tests/unit/core/run/story.h"

/* ---- the way of a task ----------------------------------------------------------------------- */

static void all_phases_in_their_order(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a",
                                  .has_when = true,
                                  .has_input = true,
                                  .has_run = true,
                                  .has_health = true,
                                  .has_output = true,
                                  .has_rollback = true,
                                  .timeout = 100,
                                  .deadline = 90,
                                  .health = {.timeout = 5}});
    expect(&s, "a:when");
    assert_int_equal(s.deadlines[0], 100);
    assert_int_equal(view_of(&s, "a").status, TT_TASK_PENDING);
    ok(&s, 20, "a");
    expect(&s, "a:input");
    assert_int_equal(s.deadlines[0], 110); /* the task's: it counts from the first attempt */
    assert_int_equal(view_of(&s, "a").status, TT_TASK_RUNNING);
    ok(&s, 21, "a");
    expect(&s, "a:run");
    ok(&s, 22, "a");
    expect(&s, "a:health");
    assert_int_equal(s.deadlines[0], 27);
    ok(&s, 23, "a");
    expect(&s, "a:output");
    assert_int_equal(s.deadlines[0], 110);
    ok(&s, 30, "a");
    expect(&s, "a=completed END completed");
    struct tt_task_view view = view_of(&s, "a");
    assert_int_equal(view.attempts, 1);
    assert_int_equal(view.started, 20);
    assert_int_equal(view.ended, 30);
    assert_true(view.has_result && view.result.value == 7);
    assert_int_equal(view.error.kind, TT_OK);
    assert_int_equal(tt_run_started_at(s.run), 0);
    assert_int_equal(tt_run_ended_at(s.run), 30);
    story_free(&s);
}

static void a_false_when_skips_all_that_need_it(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a", .has_when = true, .has_run = true},
                           {.name = "b", NEEDS("a")}, {.name = "c", NEEDS("b"), .has_run = true},
                           {.name = "d", AFTER("a"), .has_run = true});
    expect(&s, "a:when");
    finish(&s, 5, "a", (struct tt_input){.outcome = {.refused = true}});
    expect(&s, "a=skipped b=skipped c=skipped d:run");
    ok(&s, 6, "d");
    expect(&s, "d=completed END completed");
    assert_int_equal(view_of(&s, "a").attempts, 0);
    story_free(&s);
}

static void a_broken_when_fails_the_task(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a",
                                  .has_when = true,
                                  .has_run = true,
                                  .has_rollback = true,
                                  .retry = {.retries = 5}});
    expect(&s, "a:when");
    bad(&s, 1, "a", TT_SCRIPT);
    expect(&s, "a=failed END failed"); /* no retry, and nothing to compensate */
    assert_int_equal(view_of(&s, "a").error_phase, TT_PHASE_WHEN);
    story_free(&s);
}

static void when_holds_no_slot(void **state)
{
    (void)state;
    struct story_options one = {.jobs = 1};
    struct story s = STORY(&one, {.name = "a", .has_when = true, .has_run = true},
                           {.name = "b", .has_run = true});
    expect(&s, "a:when b:run");
    ok(&s, 1, "a");
    expect(&s, "");
    ok(&s, 2, "b");
    expect(&s, "b=completed a:run");
    story_free(&s);
}

static void longest_path_first(void **state)
{
    (void)state;
    struct story_options one = {.jobs = 1};
    struct story s =
        STORY(&one, {.name = "x", .has_run = true}, {.name = "y", .has_run = true},
              {.name = "long", .has_run = true}, {.name = "tail", NEEDS("long"), .has_run = true});
    expect(&s, "long:run");
    ok(&s, 1, "long");
    expect(&s, "long=completed x:run");
    ok(&s, 2, "x");
    expect(&s, "x=completed y:run");
    story_free(&s);
}

static void a_full_host_blocks_nobody_else(void **state)
{
    (void)state;
    struct story_options two = {.jobs = 2};
    struct tt_pool_need host = {"ssh://a", 1, 1};
    struct story s = STORY(&two, {.name = "a", .has_run = true, .pools = &host, .pool_count = 1},
                           {.name = "b", .has_run = true, .pools = &host, .pool_count = 1},
                           {.name = "c", .has_run = true}, {.name = "d", .has_run = true});
    expect(&s, "a:run c:run");
    ok(&s, 1, "c");
    expect(&s, "c=completed d:run");
    ok(&s, 2, "a");
    expect(&s, "a=completed b:run");
    story_free(&s);
}

/* ---- trying again ---------------------------------------------------------------------------- */

static void back_off_holds_no_slot(void **state)
{
    (void)state;
    struct story_options one = {.jobs = 1};
    struct story s = STORY(&one,
                           {.name = "a",
                            .has_run = true,
                            .weight = 9,
                            .timeout = 50,
                            .retry = {.retries = 2, .first = 10, .factor = 3}},
                           {.name = "b", .has_run = true});
    expect(&s, "a:run");
    bad(&s, 5, "a", TT_EXIT);
    expect(&s, "a~15 b:run");
    assert_int_equal(tt_run_wake_at(s.run), 15);
    tick(&s, 15);
    expect(&s, ""); /* b has the slot */
    assert_int_equal(tt_run_wake_at(s.run), TT_NEVER);
    ok(&s, 20, "b");
    expect(&s, "b=completed a:run");
    assert_int_equal(s.deadlines[0], 70); /* each attempt has its own timeout */
    bad(&s, 21, "a", TT_TIMEOUT);
    expect(&s, "a~51");
    tick(&s, 50);
    expect(&s, "");
    tick(&s, 51);
    expect(&s, "a:run");
    bad(&s, 52, "a", TT_SIGNAL);
    expect(&s, "a=failed END failed");
    struct tt_task_view view = view_of(&s, "a");
    assert_int_equal(view.attempts, 3);
    assert_int_equal(view.error.kind, TT_SIGNAL);
    assert_int_equal(view.error.code, 3);
    assert_int_equal(view.error.value, 8);
    story_free(&s);
}

static void a_failed_input_is_tried_again(void **state)
{
    (void)state;
    struct story s =
        STORY(NULL, {.name = "a", .has_input = true, .has_run = true, .retry = {.retries = 1}});
    expect(&s, "a:input");
    bad(&s, 1, "a", TT_CONNECT);
    expect(&s, "a~1 a:input"); /* no back-off: at once */
    ok(&s, 2, "a");
    expect(&s, "a:run");
    story_free(&s);
}

static void lost_only_when_idempotent(void **state)
{
    (void)state;
    struct story_options go_on = {.on_failure = TT_ON_FAILURE_CONTINUE};
    struct story s =
        STORY(&go_on, {.name = "a", .has_run = true, .retry = {.retries = 1}},
              {.name = "b", .has_run = true, .retry = {.retries = 1, .idempotent = true}});
    expect(&s, "a:run b:run");
    bad(&s, 1, "a", TT_LOST);
    expect(&s, "a=failed");
    bad(&s, 1, "b", TT_LOST);
    expect(&s, "b~1 b:run");
    story_free(&s);
}

static void the_deadline_covers_back_off(void **state)
{
    (void)state;
    struct tt_task_spec spec = {.name = "a",
                                .has_run = true,
                                .weight = 9,
                                .deadline = 50,
                                .retry = {.retries = 9, .first = 20}};
    struct story_options one = {.jobs = 1, .on_failure = TT_ON_FAILURE_CONTINUE};
    struct story s = STORY(&one, spec, {.name = "b", .has_run = true});
    expect(&s, "a:run");
    bad(&s, 29, "a", TT_EXIT);
    expect(&s, "a~49 b:run");
    tick(&s, 49);
    assert_int_equal(tt_run_wake_at(s.run), 50);
    tick(&s, 50); /* still no slot */
    expect(&s, "a=failed");
    struct tt_task_view view = view_of(&s, "a");
    assert_int_equal(view.error.kind, TT_TIMEOUT);
    assert_string_equal(view.message,
                        "task \"a\" timed out after 0.05s, waiting to be tried again");
    assert_int_equal(view.result.kind, TT_EXIT);
    story_free(&s);

    s = STORY(&one, spec);
    expect(&s, "a:run");
    assert_int_equal(s.deadlines[0], 50);
    bad(&s, 30, "a", TT_EXIT); /* would wait until the deadline: not begun */
    expect(&s, "a=failed END failed");
    assert_int_equal(view_of(&s, "a").error.kind, TT_EXIT);
    story_free(&s);
}

/* ---- health and output ----------------------------------------------------------------------- */

static void a_health_check_never_runs_the_operation_again(void **state)
{
    (void)state;
    struct story_options one = {.jobs = 1};
    struct story s = STORY(&one,
                           {.name = "a",
                            .has_run = true,
                            .has_health = true,
                            .has_rollback = true,
                            .weight = 9,
                            .retry = {.retries = 7},
                            .health = {.retries = 2, .interval = 10}},
                           {.name = "b", .has_run = true});
    expect(&s, "a:run");
    ok(&s, 1, "a");
    expect(&s, "a:health");
    bad(&s, 2, "a", TT_EXIT);
    expect(&s, "a?12"); /* b does not get the slot */
    tick(&s, 12);
    expect(&s, "a:health");
    bad(&s, 13, "a", TT_LOST);
    expect(&s, "a?23");
    tick(&s, 23);
    expect(&s, "a:health");
    bad(&s, 24, "a", TT_TIMEOUT);
    expect(&s, "a=failed b=cancelled a:rollback");
    struct tt_task_view view = view_of(&s, "a");
    assert_int_equal(view.error.kind, TT_HEALTH);
    assert_int_equal(view.error.code, 3);
    assert_int_equal(view.attempts, 1);
    assert_string_equal(view.message, "the health check failed 3 times");
    assert_int_equal(view.result.kind, TT_OK);
    ok(&s, 25, "a");
    expect(&s, "a>failed END failed");
    assert_int_equal(view_of(&s, "a").rollback, TT_ROLLBACK_COMPLETED);
    story_free(&s);
}

static void a_check_waits_only_within_the_attempt(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a",
                                  .has_run = true,
                                  .has_health = true,
                                  .timeout = 30,
                                  .health = {.retries = 9, .interval = 10}});
    expect(&s, "a:run");
    ok(&s, 5, "a");
    expect(&s, "a:health");
    assert_int_equal(s.deadlines[0], 30);
    bad(&s, 15, "a", TT_EXIT);
    expect(&s, "a?25");
    tick(&s, 25);
    expect(&s, "a:health");
    bad(&s, 26, "a", TT_EXIT); /* the next would come at 36 */
    expect(&s, "a=failed END failed");
    assert_int_equal(view_of(&s, "a").error.kind, TT_HEALTH);
    story_free(&s);

    s = STORY(NULL, {.name = "a",
                     .has_run = true,
                     .has_health = true,
                     .health = {.retries = 9, .interval = 10}});
    expect(&s, "a:run");
    ok(&s, 5, "a");
    expect(&s, "a:health");
    bad(&s, 6, "a", TT_UNSUPPORTED); /* no use in asking again */
    expect(&s, "a=failed END failed");
    assert_string_equal(view_of(&s, "a").message, "the health check failed");
    story_free(&s);
}

static void output_is_for_good(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a",
                                  .has_run = true,
                                  .has_output = true,
                                  .has_rollback = true,
                                  .retry = {.retries = 7}});
    expect(&s, "a:run");
    ok(&s, 1, "a");
    expect(&s, "a:output");
    bad(&s, 2, "a", TT_ARTIFACT);
    expect(&s, "a=failed a:rollback");
    assert_int_equal(view_of(&s, "a").error_phase, TT_PHASE_OUTPUT);
    story_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_phases_in_their_order),
        cmocka_unit_test(a_false_when_skips_all_that_need_it),
        cmocka_unit_test(a_broken_when_fails_the_task),
        cmocka_unit_test(when_holds_no_slot),
        cmocka_unit_test(longest_path_first),
        cmocka_unit_test(a_full_host_blocks_nobody_else),
        cmocka_unit_test(back_off_holds_no_slot),
        cmocka_unit_test(a_failed_input_is_tried_again),
        cmocka_unit_test(lost_only_when_idempotent),
        cmocka_unit_test(the_deadline_covers_back_off),
        cmocka_unit_test(a_health_check_never_runs_the_operation_again),
        cmocka_unit_test(a_check_waits_only_within_the_attempt),
        cmocka_unit_test(output_is_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
