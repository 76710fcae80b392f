/* The engine over scripted commands and a virtual clock: nothing here waits for anything. */
#include "engine_support.h"

#include "core/base/owner.h"

static void test_independent_tasks_run_at_once(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .lasts = 1000},
                                                      {.line = "b", .lasts = 1000}};
    tx_fake_add(b->env, commands, 2);
    task(b, "a", NULL);
    task(b, "b", NULL);
    int64_t from = tt_loop_now(b->loop);
    run(b, 8);
    assert_status(b, TT_RUN_COMPLETED);
    assert_int_equal(tt_loop_now(b->loop) - from, 1000);
    assert_story(b, "run start:a start:b end:a=completed end:b=completed over");
    assert_false(exists(b->dir, "/runs"));
    bench_free(b);
}

static void test_one_job_runs_one_at_a_time(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .lasts = 1000},
                                                      {.line = "b", .lasts = 1000}};
    tx_fake_add(b->env, commands, 2);
    task(b, "a", NULL);
    task(b, "b", NULL);
    int64_t from = tt_loop_now(b->loop);
    run(b, 1);
    assert_int_equal(tt_loop_now(b->loop) - from, 2000);
    bench_free(b);
}

static void test_limit_of_an_environment(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "true", .lasts = 100}};
    tx_fake_add(b->env, commands, 1);
    b->env->limit = 2;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        declare(b->plan, b->env, name, "true", NULL);
    }
    int64_t from = tt_loop_now(b->loop);
    run(b, 8);
    assert_int_equal(tt_loop_now(b->loop) - from, 300);
    bench_free(b);
}

static void test_failure_cancels_and_compensates(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a"},
                                                      {.line = "slow", .lasts = 5000},
                                                      {.line = "bad", .lasts = 10, .code = 3},
                                                      {.line = "undo a"},
                                                      {.line = "undo slow"},
                                                      {.line = "undo bad", .code = 1}};
    tx_fake_add(b->env, commands, 6);
    static const char *const all[] = {"a", "slow", "bad", "never"};
    for (int i = 0; i < 4; i++) {
        struct tt_task *t = task(b, all[i], i == 2 ? "a" : i == 3 ? "bad" : NULL);
        char undo[32];
        snprintf(undo, sizeof undo, "undo %s", all[i]);
        more(b, t)->rollback = shell(b->plan, undo);
    }
    struct tt_engine *engine = run(b, 8);
    assert_status(b, TT_RUN_FAILED);
    assert_story(b, "run start:a start:slow end:a=completed start:bad end:bad=failed "
                    "end:never=skipped end:slow=cancelled back:slow undone:slow=ok back:bad "
                    "undone:bad=failed back:a undone:a=ok over");
    struct tt_error *why = tt_engine_error(engine, 2);
    assert_int_equal(why->kind, TT_EXIT);
    tt_error_free(why);
    why = tt_engine_error(engine, 1);
    assert_int_equal(why->kind, TT_CANCELLED);
    assert_non_null(strstr(why->message, "task \"bad\" failed"));
    tt_error_free(why);
    bench_free(b);
}

static void test_retries_with_back_off(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .code = 1}};
    tx_fake_add(b->env, commands, 1);
    more(b, task(b, "a", NULL))->retry =
        (struct tt_retry){.retries = 2, .first = 1000, .factor = 3};
    int64_t from = tt_loop_now(b->loop);
    run(b, 1);
    assert_status(b, TT_RUN_FAILED);
    assert_int_equal(tt_loop_now(b->loop) - from, 4000);
    assert_int_equal(tx_fake_run_count(b->env), 3);
    assert_story(b, "run start:a retry:a start:a retry:a start:a end:a=failed over");
    bench_free(b);
}

static void test_timeout_ends_the_command(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .lasts = TT_NEVER}};
    tx_fake_add(b->env, commands, 1);
    task(b, "a", NULL)->timeout = 5000;
    struct tt_engine *engine = run(b, 1);
    assert_status(b, TT_RUN_FAILED);
    struct tt_error *why = tt_engine_error(engine, 0);
    assert_int_equal(why->kind, TT_TIMEOUT);
    tt_error_free(why);
    assert_int_equal(tx_fake_run(b->env, 0)->signals[0], 15);
    assert_int_equal(tx_fake_run(b->env, 0)->ended_at - tx_fake_run(b->env, 0)->started_at, 5000);
    bench_free(b);
}

static void test_health_is_checked_again_never_the_operation(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a"}, {.line = "up?", .code = 7}};
    tx_fake_add(b->env, commands, 2);
    struct tt_task_more *rest = more(b, task(b, "a", NULL));
    rest->health = shell(b->plan, "up?");
    rest->health_retries = 2;
    rest->health_interval = 500;
    rest->retry.retries = 3;
    struct tt_engine *engine = run(b, 1);
    assert_story(b, "run start:a health:a=bad health:a=bad end:a=failed over");
    assert_int_equal(tx_fake_run_count(b->env), 4);
    struct tt_error *why = tt_engine_error(engine, 0);
    assert_int_equal(why->kind, TT_HEALTH);
    assert_string_equal(why->message, "the health check failed 3 times");
    assert_non_null(why->cause);
    tt_error_free(why);
    bench_free(b);
}

static void test_functions(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "child"}};
    tx_fake_add(b->env, commands, 1);
    task(b, "value", NULL)->run = function(returns_seven);
    struct tt_task *refused = task(b, "refused", "value");
    more(b, refused)->when = TT_WHEN_CALL;
    more(b, refused)->when_function = returns_false;
    task(b, "child", "refused");
    struct tt_engine *engine = run(b, 4);
    assert_status(b, TT_RUN_COMPLETED);
    assert_story(b,
                 "run start:value end:value=completed end:refused=skipped end:child=skipped over");
    assert_int_equal(json_integer_value(tt_engine_record(engine, 0)->value), 7);
    uint32_t index;
    assert_int_equal(tt_engine_ancestor(engine, 1, "value", &index, NULL), 0);
    assert_int_equal(index, 0);
    assert_int_equal(tt_engine_ancestor(engine, 0, "refused", &index, NULL), -TT_INVALID);
    assert_int_equal(tt_engine_ancestor(engine, 0, "nobody", &index, NULL), -TT_INVALID);
    bench_free(b);
}

static void test_function_that_fails(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    task(b, "f", NULL)->run = function(fails_script);
    struct tt_engine *engine = run(b, 4);
    struct tt_error *why = tt_engine_error(engine, 0);
    assert_int_equal(why->kind, TT_SCRIPT);
    assert_string_equal(why->message, "demo.lua:3: boom");
    tt_error_free(why);
    bench_free(b);
}

static void test_health_function_that_returns_false(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a"}, {.line = "b"}};
    tx_fake_add(b->env, commands, 2);
    more(b, task(b, "a", NULL))->health = function(returns_nothing);
    more(b, task(b, "b", "a"))->health = function(returns_false);
    run(b, 4);
    assert_story(b, "run start:a health:a=good end:a=completed start:b end:b=failed over");
    bench_free(b);
}

static void test_tasks_added_by_a_function(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "first"}, {.line = "extra"}};
    tx_fake_add(b->env, commands, 2);
    task(b, "first", NULL);
    task(b, "adder", "first")->run = function(adds_task);
    struct tt_engine *engine = run(b, 4);
    assert_status(b, TT_RUN_COMPLETED);
    assert_story(b, "run start:first end:first=completed start:adder added:adder "
                    "end:adder=completed start:extra end:extra=completed over");
    assert_string_equal(tt_engine_task(engine, 2)->name, "extra");
    assert_int_equal(tt_engine_selected(engine), 3);
    bench_free(b);
}

static void test_added_tasks_are_checked(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    task(b, "adder", NULL)->run = function(adds_cycle);
    struct tt_engine *engine = run(b, 4);
    assert_status(b, TT_RUN_FAILED);
    struct tt_error *why = tt_engine_error(engine, 0);
    assert_int_equal(why->kind, TT_INVALID);
    assert_non_null(strstr(why->message, "extra"));
    tt_error_free(why);
    assert_int_equal(tt_run_count(tt_engine_run(engine)), 1);
    bench_free(b);
}

static void interrupt(struct tt_timer *timer)
{
    struct bench *b = tt_owner(timer, struct bench, timer);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "interrupted");
    tt_scope_cancel(b->scope, why);
    tt_error_free(why);
}

static void test_interruption_compensates_and_ends_well(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {
        {.line = "a"}, {.line = "b", .lasts = 60000}, {.line = "undo a", .lasts = 3000}};
    tx_fake_add(b->env, commands, 3);
    more(b, task(b, "a", NULL))->rollback = shell(b->plan, "undo a");
    task(b, "b", "a");
    task(b, "c", "b");
    begin(b, 4, NULL);
    tt_timer_start(b->loop, &b->timer, tt_loop_now(b->loop) + 1000, interrupt);
    struct tt_engine *engine = finish(b);
    assert_status(b, TT_RUN_CANCELLED);
    assert_story(b, "run start:a end:a=completed start:b cancelling end:b=cancelled "
                    "end:c=cancelled back:a undone:a=ok over");
    struct tt_error *why = tt_engine_error(engine, 2);
    assert_string_equal(why->message, "interrupted");
    tt_error_free(why);
    bench_free(b);
}

static void test_interruption_before_it_began(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    task(b, "a", NULL);
    begin(b, 4, NULL);
    interrupt(&b->timer);
    finish(b);
    assert_status(b, TT_RUN_CANCELLED);
    assert_int_equal(tx_fake_run_count(b->env), 0);
    bench_free(b);
}

static void test_refused_before_anything_began(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    task(b, "a", "nobody");
    run(b, 4);
    assert_non_null(b->op->error);
    assert_int_equal(b->op->error->kind, TT_INVALID);
    assert_null(b->story.data);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_independent_tasks_run_at_once),
        cmocka_unit_test(test_one_job_runs_one_at_a_time),
        cmocka_unit_test(test_limit_of_an_environment),
        cmocka_unit_test(test_failure_cancels_and_compensates),
        cmocka_unit_test(test_retries_with_back_off),
        cmocka_unit_test(test_timeout_ends_the_command),
        cmocka_unit_test(test_health_is_checked_again_never_the_operation),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_function_that_fails),
        cmocka_unit_test(test_health_function_that_returns_false),
        cmocka_unit_test(test_tasks_added_by_a_function),
        cmocka_unit_test(test_added_tasks_are_checked),
        cmocka_unit_test(test_interruption_compensates_and_ends_well),
        cmocka_unit_test(test_interruption_before_it_began),
        cmocka_unit_test(test_refused_before_anything_began),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
