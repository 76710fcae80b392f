/* The rules of a run, one by one: failing, compensating, cancelling, adding tasks, checking. */
#include "tests/unit/core/run/story.h"

/* ---- failing --------------------------------------------------------------------------------- */

#define FOUR                                                                                       \
    {.name = "a", .has_run = true, .has_rollback = true},                                          \
        {.name = "b", .has_run = true, .has_rollback = true},                                      \
        {.name = "c", NEEDS("b"), .has_run = true, .has_rollback = true},                          \
    {                                                                                              \
        .name = "d", NEEDS("a"), .has_run = true                                                   \
    }

static void on_failure_cancel(void **state)
{
    (void)state;
    struct story s = STORY(NULL, FOUR);
    expect(&s, "a:run b:run");
    bad(&s, 1, "a", TT_EXIT);
    expect(&s, "a=failed b!run d=skipped");
    bad(&s, 5, "b", TT_CANCELLED);
    expect(&s, "b=cancelled c=cancelled b:rollback"); /* the last to end comes first */
    ok(&s, 6, "b");
    expect(&s, "b>cancelled a:rollback");
    bad(&s, 7, "a", TT_EXIT);
    expect(&s, "a>failed END failed");
    assert_int_equal(view_of(&s, "b").rollback, TT_ROLLBACK_COMPLETED);
    assert_int_equal(view_of(&s, "a").rollback, TT_ROLLBACK_BROKEN);
    assert_int_equal(view_of(&s, "a").rollback_outcome.kind, TT_EXIT);
    assert_int_equal(view_of(&s, "a").rollback_started, 6);
    assert_int_equal(view_of(&s, "a").rollback_ended, 7);
    uint32_t count;
    const uint32_t *failures = tt_run_failures(s.run, &count);
    assert_int_equal(count, 1);
    assert_int_equal(failures[0], 0);
    story_free(&s);
}

static void on_failure_wait(void **state)
{
    (void)state;
    struct story_options wait = {.on_failure = TT_ON_FAILURE_WAIT};
    struct story s =
        STORY(&wait, {.name = "a", .has_run = true, .has_rollback = true},
              {.name = "b", .has_run = true, .has_rollback = true, .retry = {.retries = 1}},
              {.name = "c", NEEDS("b"), .has_run = true}, {.name = "w", .has_when = true});
    expect(&s, "w:when b:run a:run"); /* longest path first */
    bad(&s, 1, "a", TT_EXIT);
    expect(&s, "a=failed");
    bad(&s, 2, "b", TT_EXIT);
    expect(&s, "b~2 b:run"); /* it has started: it goes on to its end */
    ok(&s, 3, "b");
    expect(&s, "b=completed c=cancelled");
    ok(&s, 4, "w");
    expect(&s, "w=cancelled b:rollback");
    bad(&s, 5, "b", TT_EXIT);
    expect(&s, "b>rollback_failed a:rollback"); /* the others go on */
    ok(&s, 6, "a");
    expect(&s, "a>failed END failed");
    story_free(&s);
}

static void on_failure_continue(void **state)
{
    (void)state;
    struct story_options go_on = {.on_failure = TT_ON_FAILURE_CONTINUE};
    struct story s = STORY(&go_on, FOUR);
    expect(&s, "a:run b:run");
    bad(&s, 1, "a", TT_EXIT);
    expect(&s, "a=failed d=skipped");
    ok(&s, 2, "b");
    expect(&s, "b=completed c:run");
    bad(&s, 3, "c", TT_NOT_FOUND);
    expect(&s, "c=failed c:rollback");
    ok(&s, 4, "c");
    expect(&s, "c>failed b:rollback");
    ok(&s, 5, "b");
    expect(&s, "b>rolled_back a:rollback");
    ok(&s, 6, "a");
    expect(&s, "a>failed END failed");
    uint32_t count;
    const uint32_t *failures = tt_run_failures(s.run, &count);
    assert_int_equal(count, 2);
    assert_int_equal(failures[0], 0); /* the first cause, then the others */
    assert_int_equal(failures[1], 2);
    assert_int_equal(tt_run_count_of(s.run, TT_TASK_ROLLED_BACK), 1);
    assert_int_equal(tt_run_count_of(s.run, TT_TASK_FAILED), 2);
    assert_int_equal(tt_run_count_of(s.run, TT_TASK_SKIPPED), 1);
    story_free(&s);
}

static void rollback_of_the_failed_or_of_none(void **state)
{
    (void)state;
    struct story_options failed = {.rollback = TT_ROLLBACK_FAILED};
    struct story s = STORY(&failed, FOUR);
    drain(&s);
    ok(&s, 1, "b");
    drain(&s);
    bad(&s, 2, "a", TT_EXIT);
    expect(&s, "a:run b:run b=completed c:run a=failed c!run d=skipped");
    bad(&s, 3, "c", TT_CANCELLED);
    expect(&s, "c=cancelled a:rollback");
    ok(&s, 4, "a");
    expect(&s, "a>failed END failed");
    story_free(&s);

    struct story_options none = {.rollback = TT_ROLLBACK_NONE};
    s = STORY(&none, FOUR);
    drain(&s);
    bad(&s, 2, "a", TT_EXIT);
    drain(&s);
    bad(&s, 3, "b", TT_CANCELLED);
    expect(&s, "a:run b:run a=failed b!run d=skipped b=cancelled c=cancelled END failed");
    story_free(&s);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static void the_real_end_counts(void **state)
{
    (void)state;
    struct story s =
        STORY(NULL, {.name = "good", .has_run = true, .has_rollback = true},
              {.name = "half", .has_run = true, .has_output = true},
              {.name = "bad", .has_run = true, .retry = {.retries = 3}},
              {.name = "waits", .has_run = true, .retry = {.retries = 3, .first = 50}});
    expect(&s, "good:run half:run bad:run waits:run");
    bad(&s, 1, "waits", TT_EXIT);
    cancel(&s, 2);
    expect(&s, "waits~51 good!run half!run bad!run waits=cancelled");
    assert_true(tt_run_interrupted(s.run));
    cancel(&s, 2);
    expect(&s, "");
    ok(&s, 3, "good");
    expect(&s, "good=completed");
    ok(&s, 3, "half"); /* its output is not collected */
    expect(&s, "half=cancelled");
    bad(&s, 3, "bad", TT_EXIT);
    expect(&s, "bad=failed good:rollback");
    cancel(&s, 4);
    expect(&s, ""); /* compensation goes on */
    ok(&s, 5, "good");
    expect(&s, "good>rolled_back END cancelled"); /* what came first */
    story_free(&s);
}

static void cancelled_by_itself_is_a_failure(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a", .has_run = true, .retry = {.retries = 3}});
    expect(&s, "a:run");
    bad(&s, 1, "a", TT_CANCELLED);
    expect(&s, "a=failed END failed");
    story_free(&s);
}

static void a_failure_before_the_interrupt_counts(void **state)
{
    (void)state;
    struct story_options wait = {.on_failure = TT_ON_FAILURE_WAIT};
    struct story s = STORY(&wait, {.name = "a", .has_run = true}, {.name = "b", .has_run = true});
    expect(&s, "a:run b:run");
    bad(&s, 1, "a", TT_EXIT);
    cancel(&s, 2);
    expect(&s, "a=failed b!run");
    bad(&s, 3, "b", TT_CANCELLED);
    expect(&s, "b=cancelled END failed");
    story_free(&s);
}

/* ---- adding tasks ---------------------------------------------------------------------------- */

static void a_function_adds_tasks(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "gen", .has_run = true, .retry = {.retries = 1}},
                           {.name = "last", .has_run = true});
    struct tt_task_spec more[] = {{.name = "x", NEEDS("y", "last", "gen"), .has_run = true},
                                  {.name = "y", .has_run = true}};
    expect(&s, "gen:run last:run");
    finish(&s, 1, "gen",
           (struct tt_input){.outcome = {.kind = TT_SCRIPT}, .added = more, .added_count = 2});
    expect(&s, "gen~1 gen:run"); /* dropped */
    assert_int_equal(tt_run_count(s.run), 2);
    finish(&s, 2, "gen", (struct tt_input){.added = more, .added_count = 2});
    expect(&s, "+x +y gen=completed y:run");
    ok(&s, 3, "y");
    ok(&s, 4, "last");
    expect(&s, "y=completed last=completed x:run");
    ok(&s, 5, "x");
    expect(&s, "x=completed END completed");
    story_free(&s);
}

static void a_wrong_batch_fails_the_function(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "gen", .has_run = true, .retry = {.retries = 5}});
    struct tt_task_spec more[] = {{.name = "x", NEEDS("y")}, {.name = "y", AFTER("x")}};
    expect(&s, "gen:run");
    finish(&s, 1, "gen", (struct tt_input){.added = more, .added_count = 2});
    expect(&s, "gen=failed END failed");
    struct tt_task_view view = view_of(&s, "gen");
    assert_int_equal(view.error.kind, TT_INVALID);
    assert_string_equal(view.message, "tasks wait for each other in a cycle: x -> y -> x");
    assert_int_equal(tt_run_count(s.run), 1);
    assert_int_equal(tt_run_find(s.run, "x"), TT_NO_TASK);
    story_free(&s);
}

static void only_a_run_operation_adds(void **state)
{
    (void)state;
    struct story s = STORY(NULL, {.name = "a", .has_when = true});
    struct tt_task_spec more = {.name = "x"};
    expect(&s, "a:when");
    struct tt_input end = {.type = TT_IN_ENDED, .op = s.ops[0], .added = &more, .added_count = 1};
    assert_int_equal(tell(&s, 1, end), -TT_INVALID);
    end.added_count = 0;
    assert_int_equal(tell(&s, 1, end), 0);
    assert_int_equal(tell(&s, 1, end), -TT_INVALID); /* it has ended */
    end.op = (uint64_t)7 << 32 | 1;
    assert_int_equal(tell(&s, 1, end), -TT_INVALID);
    expect(&s, "a=completed END completed");
    story_free(&s);
}

/* ---- checking -------------------------------------------------------------------------------- */

static void refused(const struct tt_task_spec *specs, size_t count, size_t culprit,
                    const char *message)
{
    struct tt_run_options plain = {.seed = 2};
    struct tt_run *run = tt_run_new(&plain);
    struct tt_error *err = NULL;
    size_t who = 99;
    struct tt_task_spec before = {.name = "old", .group = "olds"};
    assert_int_equal(tt_run_add(run, &before, 1, NULL, &err), 0);
    assert_int_equal(tt_run_add(run, specs, count, &who, &err), -TT_INVALID);
    char *text = tt_error_text(err);
    assert_string_equal(text, message);
    assert_int_equal(who, culprit);
    assert_int_equal(tt_run_count(run), 1); /* nothing of it is left */
    for (size_t i = 0; i < count; i++)
        if (specs[i].name && strcmp(specs[i].name, "old") != 0)
            assert_int_equal(tt_run_find(run, specs[i].name), TT_NO_TASK);
    struct tt_task_spec again = {.name = "new", .group = specs[0].group};
    if (again.group && strcmp(again.group, "old") != 0)
        assert_int_equal(tt_run_add(run, &again, 1, NULL, NULL), 0); /* its name is free */
    free(text);
    tt_error_free(err);
    tt_run_free(run);
}
#define REFUSED(culprit, message, ...)                                                             \
    refused((struct tt_task_spec[]){__VA_ARGS__},                                                  \
            sizeof((struct tt_task_spec[]){__VA_ARGS__}) / sizeof(struct tt_task_spec), culprit,   \
            message)

static void wrong_batches(void **state)
{
    (void)state;
    struct tt_pool_need wide = {"gpu", 3, 2}, nameless = {"", 1, 1};
    REFUSED(1, "there are two tasks named \"a\"", {.name = "a"}, {.name = "a"});
    REFUSED(1, "there are two tasks named \"old\"", {.name = "a"}, {.name = "old"});
    REFUSED(0, "there are two tasks named \"olds\"", {.name = "olds"});
    REFUSED(0, "there are two tasks named \"old\"", {.name = "x", .group = "old"});
    REFUSED(2, "there are two tasks named \"g\"", {.name = "x", .group = "g"}, {.name = "y"},
            {.name = "z", .group = "g"});
    REFUSED(0, "a task has no name", {.name = ""});
    REFUSED(0, "a task has no name", {0});
    REFUSED(1, "task \"b\" needs \"bild\", which does not exist", {.name = "build"},
            {.name = "b", NEEDS("build", "bild")});
    REFUSED(0, "task \"a\" comes after \"x\", which does not exist", {.name = "a", AFTER("x")});
    REFUSED(0, "tasks wait for each other in a cycle: a -> a", {.name = "a", NEEDS("a")});
    REFUSED(1, "tasks wait for each other in a cycle: a -> b -> c -> a", {.name = "z", NEEDS("b")},
            {.name = "a", NEEDS("old", "b")}, {.name = "b", AFTER("c")}, {.name = "c", NEEDS("a")});
    REFUSED(0, "task \"a\": a duration is negative", {.name = "a", .timeout = -1});
    REFUSED(0, "task \"a\": backoff.jitter is 2, not 0 to 1",
            {.name = "a", .retry = {.jitter = 2}});
    REFUSED(0, "task \"a\": 3 of gpu are needed at once, where there are 2",
            {.name = "a", .pools = &wide, .pool_count = 1});
    REFUSED(0, "task \"a\": a pool has no name",
            {.name = "a", .pools = &nameless, .pool_count = 1});
}

static void a_run_without_tasks(void **state)
{
    (void)state;
    struct tt_run_options plain = {.seed = 2};
    struct tt_run *run = tt_run_new(&plain);
    assert_int_equal(tt_run_tell(run, &(struct tt_input){.type = TT_IN_STARTED}, NULL),
                     -TT_INVALID);
    tt_run_free(run);
    const char *only[] = {"nobody"};
    plain.only = only;
    plain.only_count = 1;
    run = tt_run_new(&plain);
    assert_int_equal(tt_run_add(run, &(struct tt_task_spec){.name = "a"}, 1, NULL, NULL), 0);
    struct tt_error *err = NULL;
    assert_int_equal(tt_run_tell(run, &(struct tt_input){.type = TT_IN_STARTED}, &err),
                     -TT_INVALID);
    assert_string_equal(err->message, "there is no task \"nobody\"");
    tt_error_free(err);
    assert_int_equal(tt_run_status(run), TT_RUN_PENDING);
    tt_run_free(run);
}

static void groups_and_only(void **state)
{
    (void)state;
    const char *names[] = {"test", "doc"};
    struct story_options some = {.only = names, .only_count = 2};
    struct story s =
        STORY(&some, {.name = "build", .has_run = true}, {.name = "lint", .has_run = true},
              {.name = "test[1]", .group = "test", NEEDS("build"), AFTER("lint"), .has_run = true},
              {.name = "test[2]", .group = "test", NEEDS("build"), .has_run = true},
              {.name = "doc", NEEDS("test"), .has_run = true},
              {.name = "release", NEEDS("doc"), .has_run = true});
    expect(&s, "build:run");
    ok(&s, 1, "build");
    expect(&s, "build=completed test[1]:run test[2]:run"); /* lint has no part in this */
    ok(&s, 2, "test[2]");
    expect(&s, "test[2]=completed");
    ok(&s, 3, "test[1]");
    expect(&s, "test[1]=completed doc:run");
    ok(&s, 4, "doc");
    expect(&s, "doc=completed END completed");
    assert_false(view_of(&s, "release").selected);
    assert_false(view_of(&s, "lint").selected);
    assert_int_equal(tt_run_count_of(s.run, TT_TASK_COMPLETED), 4);
    assert_int_equal(tt_run_count_of(s.run, TT_TASK_SKIPPED), 0);
    story_free(&s);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void the_critical_path(void **state)
{
    (void)state;
    struct story s =
        STORY(NULL, {.name = "quick", .has_run = true}, {.name = "slow", .has_run = true},
              {.name = "mid", NEEDS("quick", "slow"), .has_run = true},
              {.name = "end", NEEDS("mid"), .has_run = true},
              {.name = "aside", NEEDS("quick"), .has_run = true});
    drain(&s);
    ok(&s, 1, "quick");
    drain(&s);
    ok(&s, 9, "slow");
    ok(&s, 9, "aside");
    drain(&s);
    ok(&s, 12, "mid");
    drain(&s);
    ok(&s, 13, "end");
    uint32_t count, *path = tt_run_critical_path(s.run, &count);
    assert_int_equal(count, 3);
    assert_memory_equal(path, ((uint32_t[]){1, 2, 3}), 3 * sizeof *path);
    free(path);
    assert_int_equal(tt_dag_before_count(tt_run_dag(s.run), 2), 2);
    story_free(&s);
}

static void time_does_not_go_back(void **state)
{
    (void)state;
    struct story s =
        STORY(NULL, {.name = "a", .has_run = true, .retry = {.retries = 1, .first = 10}});
    drain(&s);
    bad(&s, 100, "a", TT_EXIT);
    tick(&s, 50);
    expect(&s, "a:run a~110");
    tick(&s, 110);
    expect(&s, "a:run");
    ok(&s, 3, "a");
    assert_int_equal(view_of(&s, "a").ended, 110);
    story_free(&s);
}

/* What was granted is taken away: the attempt is cancelled and has failed by that, and is tried
 * again like other failures. */
static void slots_are_revoked(void **state)
{
    (void)state;
    struct story s =
        STORY(NULL, {.name = "a", .has_run = true, .retry = {.retries = 1, .first = 5}});
    struct tt_input revoked = {.type = TT_IN_REVOKED,
                               .op = s.ops[0] - 1, /* by which it asked */
                               .outcome = {.kind = TT_LOST, .code = -1, .value = 9}};
    expect(&s, "a:run");
    revoked.outcome.kind = TT_OK;
    assert_int_equal(tell(&s, 1, revoked), -TT_INVALID);
    revoked.outcome.kind = TT_CONNECT;
    assert_int_equal(tell(&s, 1, revoked), 0);
    assert_int_equal(tell(&s, 1, revoked), 0); /* once is enough */
    expect(&s, "a!run");
    bad(&s, 2, "a", TT_CANCELLED);
    expect(&s, "a~7");
    tick(&s, 7);
    expect(&s, "a:run");
    assert_int_equal(tell(&s, 8, revoked), 0); /* of the attempt before */
    expect(&s, "");
    revoked.op = s.ops[0] - 1;
    assert_int_equal(tell(&s, 8, revoked), 0);
    expect(&s, "a!run");
    ok(&s, 9, "a"); /* it had ended well before it heard: nothing is left to do */
    expect(&s, "a=completed END completed");
    story_free(&s);
}

/* Slots that can never be had fail the task; a grant that nobody wants any more is given back. */
static void slots_never_granted_or_too_late(void **state)
{
    (void)state;
    struct tt_task_spec specs[] = {{.name = "a", .has_run = true}, {.name = "b", .has_run = true}};
    struct tt_run *run = tt_run_new(&(struct tt_run_options){.on_failure = TT_ON_FAILURE_CANCEL});
    const struct tt_effect *fx;
    assert_int_equal(tt_run_add(run, specs, 2, NULL, NULL), 0);
    assert_int_equal(tt_run_tell(run, &(struct tt_input){.type = TT_IN_STARTED}, NULL), 0);
    assert_int_equal(tt_run_take(run, &fx), 2);
    assert_int_equal(fx[0].type, TT_FX_ACQUIRE);
    struct tt_input a = {.type = TT_IN_GRANTED, .op = fx[0].op, .outcome = {TT_INVALID, 0, -1, 3}};
    struct tt_input b = {.type = TT_IN_GRANTED, .op = fx[1].op, .outcome.code = -1};
    assert_int_equal(tt_run_tell(run, &a, NULL), 0);
    assert_int_equal(tt_run_status(run), TT_RUN_FAILED); /* b was cancelled in its line */
    tt_run_take(run, &fx);
    assert_int_equal(tt_run_tell(run, &b, NULL), 0); /* after the end: nothing */
    assert_int_equal(tt_run_take(run, &fx), 0);
    tt_run_free(run);
}

/* A hundred thousand tasks, most of them added one at a time by the one before: any work in
 * proportion to the run at each event would take minutes. */
static void a_large_run_is_quick(void **state)
{
    (void)state;
    const uint32_t n = 100000;
    struct tt_run *run = tt_run_new(&(struct tt_run_options){.seed = 1});
    struct tt_slots slots;
    const char *needs[2];
    char(*names)[12] = calloc(n, sizeof *names);
    struct tt_task_spec *specs = calloc(n, sizeof *specs);
    struct tt_effect *begun = calloc(n, sizeof *begun);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "t%u", i);
        specs[i] = (struct tt_task_spec){.name = names[i], .has_run = i % 2, .has_rollback = true};
    }
    assert_int_equal(tt_run_add(run, specs, n / 2, NULL, NULL), 0);
    tt_slots_init(&slots, run, 8);
    struct tt_input input = {.type = TT_IN_STARTED};
    uint32_t added = n / 2, ended = 0, running = 0;
    while (tt_run_tell(run, &input, NULL) == 0) {
        const struct tt_effect *fx;
        for (size_t count; (count = tt_run_take(run, &fx)) > 0;)
            for (size_t i = 0; i < count; i++) {
                tt_slots_effect(&slots, &fx[i]);
                ended += fx[i].type == TT_FX_TASK_ENDED;
                if (fx[i].type == TT_FX_BEGIN)
                    begun[running++] = fx[i];
            }
        if (tt_slots_next(&slots, &input))
            continue;
        if (!running)
            break;
        const struct tt_effect *first = &begun[--running];
        input = (struct tt_input){.type = TT_IN_ENDED, .now = 1, .op = first->op};
        if (first->phase == TT_PHASE_RUN && added < n) {
            needs[0] = names[added - 1];
            needs[1] = names[first->task];
            specs[added].needs = needs;
            specs[added].need_count = 2;
            specs[added].has_run = true;
            input.added = &specs[added++];
            input.added_count = 1;
        } else if (first->phase == TT_PHASE_RUN && ended > n - 100) {
            input.outcome.kind = TT_EXIT; /* and all is rolled back */
        }
    }
    assert_int_equal(tt_run_status(run), TT_RUN_FAILED);
    assert_int_equal(tt_run_count(run), n);
    assert_true(tt_run_count_of(run, TT_TASK_ROLLED_BACK) > n - 200);
    tt_slots_clear(&slots);
    tt_run_free(run);
    free(names);
    free(specs);
    free(begun);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_failure_cancel),
        cmocka_unit_test(on_failure_wait),
        cmocka_unit_test(on_failure_continue),
        cmocka_unit_test(rollback_of_the_failed_or_of_none),
        cmocka_unit_test(the_real_end_counts),
        cmocka_unit_test(cancelled_by_itself_is_a_failure),
        cmocka_unit_test(a_failure_before_the_interrupt_counts),
        cmocka_unit_test(a_function_adds_tasks),
        cmocka_unit_test(a_wrong_batch_fails_the_function),
        cmocka_unit_test(only_a_run_operation_adds),
        cmocka_unit_test(wrong_batches),
        cmocka_unit_test(a_run_without_tasks),
        cmocka_unit_test(groups_and_only),
        cmocka_unit_test(the_critical_path),
        cmocka_unit_test(time_does_not_go_back),
        cmocka_unit_test(slots_are_revoked),
        cmocka_unit_test(slots_never_granted_or_too_late),
        cmocka_unit_test(a_large_run_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
