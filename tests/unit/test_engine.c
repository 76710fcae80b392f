/* The engine over scripted commands and a virtual clock: nothing here waits for anything. */
#include "core/alloc.h"
#include "core/engine.h"
#include "core/json.h"
#include "core/report.h"
#include "core/tasklog.h"
#include "executors/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- user code: what a function does is its number --------------------------------------------
 */

enum { returns_nothing = 1, returns_false, returns_seven, fails_script, adds_task, adds_cycle };

static struct tt_plan *added_plan(struct tt_task_call *call, const char *need);

static struct tt_op *call(struct tt_host *host, uint32_t id, void *args, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"call", tt_op_cancel_now, tt_value_op_free};
    (void)host;
    struct tt_value_op *op = tt_zalloc(sizeof *op);
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    struct tt_error *err = NULL;
    switch (id) {
    case returns_false:
        op->value = json_false();
        break;
    case returns_seven:
        op->value = json_integer(7);
        break;
    case fails_script:
        err = tt_error_new(TT_SCRIPT, "demo.lua:3: boom");
        break;
    case adds_task:
        ((struct tt_task_call *)args)->added = added_plan(args, "first");
        break;
    case adds_cycle:
        ((struct tt_task_call *)args)->added = added_plan(args, "extra");
        break;
    default:
        break;
    }
    tt_op_finish(&op->op, err);
    return &op->op;
}

static char *describe(struct tt_host *host, uint32_t id)
{
    (void)host;
    return tt_format("function %u", id);
}

static const char *no_name(struct tt_host *host, uint32_t id)
{
    (void)host, (void)id;
    return NULL;
}

static void nothing(struct tt_host *host, uint32_t id)
{
    (void)host, (void)id;
}

static const struct tt_host_class host_class = {call, describe, no_name, nothing, nothing};
static struct tt_host host = {&host_class};

/* ---- the bench ---------------------------------------------------------------------------------
 */

struct bench {
    struct tt_loop *loop;
    struct tt_scope *scope;
    struct tt_env *env;
    struct tt_plan *plan;
    struct tt_op *op;
    struct tt_buf story; /* the events in short */
    struct tt_timer timer;
    bool finished;
    char dir[64];
};

static struct bench *bench_new(void)
{
    struct bench *b = tt_zalloc(sizeof *b);
    assert_int_equal(tt_loop_new(&b->loop, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    b->scope = tt_scope_new(b->loop, NULL);
    b->env = tx_fake_new(b->loop, "fake:");
    b->plan = tt_plan_new(&host, "demo", "demo.lua", 1);
    tt_plan_hold_env(b->plan, b->env);
    strcpy(b->dir, "/tmp/tutti-test-engine-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    return b;
}

static void bench_free(struct bench *b)
{
    tt_op_release(b->op);
    tt_plan_release(b->plan);
    tt_scope_release(b->scope);
    tt_env_release(b->env);
    assert_int_equal(tt_loop_live_ops(b->loop), 0);
    tt_loop_free(b->loop);
    tt_buf_free(&b->story);
    char *remove = tt_format("rm -rf %s", b->dir);
    assert_int_equal(system(remove), 0);
    free(remove);
    free(b);
}

static struct tt_names names(struct tt_plan *plan, const char *words)
{
    struct tt_names list = {tt_plan_alloc(plan, 16 * sizeof(char *)), 0};
    while (words && *words) {
        size_t length = strcspn(words, " ");
        list.items[list.count++] = tt_plan_text(plan, words, length);
        words += length;
        words += strspn(words, " ");
    }
    return list;
}

static struct tt_action shell(struct tt_plan *plan, const char *line)
{
    return (struct tt_action){.form = TT_ACTION_SHELL,
                              .shell = tt_plan_text(plan, line, strlen(line))};
}

static struct tt_action function(uint32_t id)
{
    return (struct tt_action){.form = TT_ACTION_CALL, .function = id};
}

static struct tt_task *declare(struct tt_plan *plan, struct tt_env *env, const char *name,
                               const char *run, const char *needs)
{
    struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
    task->name = tt_plan_text(plan, name, strlen(name));
    task->file = tt_plan_intern(plan, "demo.lua");
    task->env = env;
    task->run = shell(plan, run ? run : name);
    task->needs = names(plan, needs);
    assert_int_equal(tt_plan_add(plan, task, NULL), 0);
    return task;
}

static struct tt_task *task(struct bench *b, const char *name, const char *needs)
{
    return declare(b->plan, b->env, name, NULL, needs);
}

static struct tt_task_more *more(struct bench *b, struct tt_task *of)
{
    return tt_task_need_more(b->plan, of);
}

static struct tt_plan *added_plan(struct tt_task_call *about, const char *need)
{
    const struct tt_plan *whole = tt_engine_plan(about->engine);
    struct tt_plan *plan = tt_plan_new(tt_plan_host(whole), "demo", "demo.lua", 1);
    tt_plan_hold_env(plan, about->env);
    declare(plan, about->env, "extra", NULL, need);
    return plan;
}

static void on_event(void *arg, const struct tt_event *event)
{
    struct bench *b = arg;
    static const char *const words[] = {
        [TT_EV_RUN_STARTED] = "run",       [TT_EV_ATTEMPT_STARTED] = "start",
        [TT_EV_OUTPUT] = "output",         [TT_EV_RETRY] = "retry",
        [TT_EV_HEALTH] = "health",         [TT_EV_TASK_ENDED] = "end",
        [TT_EV_TASKS_ADDED] = "added",     [TT_EV_CANCELLING] = "cancelling",
        [TT_EV_ROLLBACK_STARTED] = "back", [TT_EV_ROLLBACK_ENDED] = "undone",
        [TT_EV_WARNING] = "warning",       [TT_EV_RUN_ENDED] = "over"};
    const struct tt_run *run = tt_engine_run(tt_engine_of(b->op));
    tt_buf_format(&b->story, "%s%s", b->story.length ? " " : "", words[event->type]);
    switch (event->type) {
    case TT_EV_RUN_STARTED:
    case TT_EV_RUN_ENDED:
    case TT_EV_CANCELLING:
        break;
    default:
        tt_buf_format(&b->story, ":%s", tt_run_name(run, event->task));
    }
    if (event->type == TT_EV_TASK_ENDED)
        tt_buf_format(&b->story, "=%s", tt_task_status_name(event->status));
    if (event->type == TT_EV_ROLLBACK_ENDED)
        tt_buf_format(&b->story, "=%s", event->error ? "failed" : "ok");
    if (event->type == TT_EV_HEALTH)
        tt_buf_format(&b->story, "=%s", event->error ? "bad" : "good");
    if (event->type == TT_EV_OUTPUT)
        tt_buf_format(&b->story, "=%.*s", (int)event->length, event->text);
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    ((struct bench *)arg)->finished = true;
}

static void begin(struct bench *b, uint32_t jobs, json_t *params)
{
    struct tt_engine_options options = {.plan = b->plan,
                                        .params = params,
                                        .jobs = jobs,
                                        .state_dir = b->dir,
                                        .listener = {on_event, b, true}};
    b->op = tt_engine_start(b->scope, &options);
    tt_op_await(b->op, on_done, b);
}

static struct tt_engine *finish(struct bench *b)
{
    assert_true(tt_loop_run(b->loop, &b->finished));
    return tt_engine_of(b->op);
}

static struct tt_engine *run(struct bench *b, uint32_t jobs)
{
    begin(b, jobs, NULL);
    return finish(b);
}

static void assert_story(struct bench *b, const char *story)
{
    assert_string_equal(b->story.data, story);
}

static void assert_status(struct bench *b, enum tt_run_status status)
{
    assert_null(b->op->error);
    assert_int_equal(tt_run_status(tt_engine_run(tt_engine_of(b->op))), status);
}

static bool exists(const char *dir, const char *below)
{
    char *path = tt_format("%s%s", dir, below);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

/* ---- the tests ---------------------------------------------------------------------------------
 */

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
    struct bench *b = (struct bench *)(void *)((char *)timer - offsetof(struct bench, timer));
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

static void test_output_goes_to_the_log_and_the_report(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_output outputs[] = {{5, TT_STDOUT, "hello "},
                                                    {6, TT_STDERR, "oh\n"}};
    static const struct tx_fake_command commands[] = {
        {.line = "say", .lasts = 10, .outputs = outputs, .output_count = 2}, {.line = "quiet"}};
    tx_fake_add(b->env, commands, 2);
    declare(b->plan, b->env, "a/b", "say", NULL);
    task(b, "quiet", "a/b");
    struct tt_engine *engine = run(b, 4);
    const char *log = tt_engine_log(engine, 0);
    assert_non_null(log);
    assert_non_null(strstr(log, "/logs/a%2Fb.log"));
    FILE *file = fopen(log, "r");
    char text[32] = {0};
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text - 1, file), 9);
    fclose(file);
    assert_string_equal(text, "hello oh\n");
    assert_null(tt_engine_log(engine, 1));
    assert_non_null(strstr(b->story.data, "output:a/b=hello "));

    json_t *document = tt_report_document(engine);
    const json_t *first = json_array_get(json_object_get(document, "tasks"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "output")), "hello ");
    json_decref(document);
    bench_free(b);
}

static void test_secrets_are_masked_across_chunks(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_output outputs[] = {
        {1, TT_STDOUT, "key=hun"}, {2, TT_STDOUT, "ter2 "}, {3, TT_STDOUT, "hun"}};
    static const struct tx_fake_command commands[] = {
        {.line = "say", .lasts = 10, .outputs = outputs, .output_count = 3}};
    tx_fake_add(b->env, commands, 1);
    declare(b->plan, b->env, "say", "say", NULL);
    struct tt_masker *masker = tt_masker_new();
    tt_masker_add(masker, "hunter2", 7);
    struct tt_engine_options options = {
        .plan = b->plan, .state_dir = b->dir, .masker = masker, .listener = {on_event, b, true}};
    b->op = tt_engine_start(b->scope, &options);
    tt_op_await(b->op, on_done, b);
    struct tt_engine *engine = finish(b);
    FILE *file = fopen(tt_engine_log(engine, 0), "r");
    char text[64] = {0};
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "key=*** hun");
    assert_null(strstr(b->story.data, "hunter2"));
    tt_masker_free(masker);
    bench_free(b);
}

static void test_document_has_exactly_its_fields(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .code = 4}, {.line = "undo"}};
    tx_fake_add(b->env, commands, 2);
    more(b, task(b, "a", NULL))->rollback = shell(b->plan, "undo");
    task(b, "b", "a");
    struct tt_engine *engine = run(b, 4);
    json_t *document = tt_report_document(engine);
    json_object_set_new(document, "run", json_string("R"));
    json_object_set_new(document, "started_at", json_string("T"));
    json_object_set_new(json_array_get(json_object_get(document, "tasks"), 0), "started_at",
                        json_string("T"));
    struct tt_buf text = {0};
    assert_int_equal(tt_json_dump(&text, document, 0, NULL), 0);
    assert_string_equal(
        text.data,
        "{\"workflow\":\"demo\",\"run\":\"R\",\"status\":\"failed\",\"started_at\":\"T\","
        "\"duration_s\":0.0,\"tasks\":[{\"id\":\"a\",\"status\":\"failed\",\"attempts\":1,"
        "\"environment\":\"fake:\",\"started_at\":\"T\",\"duration_s\":0.0,\"exit_code\":4,"
        "\"error\":{\"kind\":\"exit\",\"message\":\"ended with code 4\"},\"rollback\":{\"status\":"
        "\"rolled_back\",\"exit_code\":0,\"error\":null},\"output\":\"\",\"artifacts\":[]},"
        "{\"id\":\"b\",\"status\":\"skipped\",\"attempts\":0,\"environment\":\"fake:\","
        "\"started_at\":null,\"duration_s\":null,\"exit_code\":null,\"error\":null,"
        "\"rollback\":null,\"output\":null,\"artifacts\":[]}]}");
    tt_buf_free(&text);
    json_decref(document);
    bench_free(b);
}

static void test_file_names(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"build", "build"},
                                           {"a/b", "a%2Fb"},
                                           {"..", "%2E."},
                                           {"a%2Fb", "a%252Fb"},
                                           {"test[os=linux,v=1]", "test[os=linux,v=1]"},
                                           {"\xc3\xa9", "%C3%A9"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *name = tt_file_name(pairs[i][0]);
        assert_string_equal(name, pairs[i][1]);
        free(name);
    }
    char one[301], two[301];
    memset(one, 'x', 300);
    one[300] = 0;
    strcpy(two, one);
    two[299] = 'y';
    char *a = tt_file_name(one), *c = tt_file_name(two);
    assert_string_not_equal(a, c);
    assert_true(strlen(a) < 240);
    free(a);
    free(c);
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
        cmocka_unit_test(test_output_goes_to_the_log_and_the_report),
        cmocka_unit_test(test_secrets_are_masked_across_chunks),
        cmocka_unit_test(test_document_has_exactly_its_fields),
        cmocka_unit_test(test_file_names),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
