/* Plans: building, checking with its messages, order, parameters. */
#include "core/base/alloc.h"
#include "core/plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int released;

static void hold(struct tt_script_host *host, uint32_t id)
{
    (void)host, (void)id;
}

static void let_go(struct tt_script_host *host, uint32_t id)
{
    (void)host;
    released += (int)id;
}

static char *describe(struct tt_script_host *host, uint32_t id)
{
    (void)host;
    return tt_format("function %u", id);
}

static const char *name_of(struct tt_script_host *host, uint32_t id)
{
    (void)host, (void)id;
    return NULL;
}

static int no_find(struct tt_script_host *host, const char *name, uint32_t *id,
                   struct tt_error **err)
{
    (void)host, (void)id;
    return tt_fail(err, TT_NOT_FOUND, "%s", name);
}

static struct tt_op *call(struct tt_script_host *host, uint32_t id, void *args,
                          struct tt_scope *scope)
{
    (void)host, (void)id, (void)args;
    return tt_op_finished_new(scope, NULL);
}

static const struct tt_script_host_class host_class = {call,    describe, name_of,
                                                       no_find, hold,     let_go};
static struct tt_script_host host = {&host_class};

static void free_env(struct tt_env *env)
{
    free(env);
}

static struct tt_env *env_new(int limit)
{
    static const struct tt_env_class class_ = {.kind = "test", .free = free_env};
    struct tt_env *env = tt_zalloc(sizeof *env);
    tt_env_init(env, &class_, "test:", "test");
    env->limit = limit;
    return env;
}

static struct tt_plan *plan_new(void)
{
    struct tt_plan *plan = tt_plan_new(&host, "demo", "demo.lua", 3);
    struct tt_env *env = env_new(0);
    tt_plan_hold_env(plan, env);
    tt_env_release(env);
    return plan;
}

static struct tt_env *env_of(struct tt_plan *plan)
{
    static struct tt_env env = {.text = (char *)"test:", .identity = (char *)"test"};
    (void)plan;
    return &env;
}

/* needs: names with blanks between them, or NULL */
static struct tt_task *declare(struct tt_plan *plan, const char *name, const char *needs, int line)
{
    struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
    task->name = tt_plan_text(plan, name, strlen(name));
    task->file = tt_plan_intern(plan, "demo.lua");
    task->line = line;
    task->env = env_of(plan);
    task->run.form = TT_ACTION_SHELL;
    task->run.shell = tt_plan_text(plan, "true", 4);
    while (needs && *needs) {
        size_t length = strcspn(needs, " ");
        if (!task->needs.items)
            task->needs.items = tt_plan_alloc(plan, 8 * sizeof(char *));
        task->needs.items[task->needs.count++] = tt_plan_text(plan, needs, length);
        needs += length;
        needs += strspn(needs, " ");
    }
    return task;
}

static void add(struct tt_plan *plan, const char *name, const char *needs, int line)
{
    assert_int_equal(tt_plan_add(plan, declare(plan, name, needs, line), NULL), 0);
}

static void assert_refused(int rc, struct tt_error *err, const char *message)
{
    assert_int_equal(rc, -TT_INVALID);
    assert_non_null(err);
    if (!strstr(err->message, message))
        fail_msg("\"%s\" is not in \"%s\"", message, err->message);
    tt_error_free(err);
}

static void test_duplicate_task_names_both_places(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    add(plan, "build", NULL, 4);
    int rc = tt_plan_add(plan, declare(plan, "build", NULL, 9), &err);
    assert_refused(rc, err,
                   "demo.lua:9: task \"build\" is declared twice: the first time at demo.lua:4");
    assert_int_equal(tt_plan_count(plan), 1);
    tt_plan_release(plan);
}

static void test_unknown_need_suggests_the_nearest(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    add(plan, "build", NULL, 4);
    add(plan, "deploy", "buidl", 7);
    int rc = tt_plan_check(plan, NULL, &err);
    assert_refused(rc, err,
                   "demo.lua:7: task \"deploy\" needs \"buidl\", which does not exist; did you "
                   "mean \"build\"?");
    tt_plan_release(plan);
}

static void test_unknown_after(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    struct tt_task *task = declare(plan, "a", NULL, 5);
    task->after = (struct tt_texts){tt_plan_alloc(plan, sizeof(char *)), 1};
    task->after.items[0] = tt_plan_text(plan, "zzz", 3);
    assert_int_equal(tt_plan_add(plan, task, NULL), 0);
    int rc = tt_plan_check(plan, NULL, &err);
    assert_refused(rc, err, "demo.lua:5: task \"a\" is after \"zzz\", which does not exist");
    tt_plan_release(plan);
}

static void test_cycle_is_named_whole(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    add(plan, "a", "c", 4);
    add(plan, "b", "a", 5);
    add(plan, "c", "b", 6);
    int rc = tt_plan_check(plan, NULL, &err);
    assert_non_null(err);
    assert_non_null(strstr(err->message, "a"));
    assert_non_null(strstr(err->message, "b"));
    assert_non_null(strstr(err->message, "c"));
    assert_refused(rc, err, "demo.lua:");
    tt_plan_release(plan);
}

static void test_empty_workflow(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    int rc = tt_plan_check(plan, NULL, &err);
    assert_refused(rc, err, "demo.lua:3: workflow \"demo\" has no tasks");
    tt_plan_release(plan);
}

static void test_unknown_only(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    struct tt_error *err = NULL;
    add(plan, "build", NULL, 4);
    const char *only[] = {"biuld"};
    struct tt_run_options options = {.only = only, .only_count = 1};
    int rc = tt_plan_check(plan, &options, &err);
    assert_refused(rc, err, "workflow \"demo\" has no task \"biuld\"; did you mean \"build\"?");
    tt_plan_release(plan);
}

static void test_order_is_longest_path_first(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    add(plan, "short", NULL, 4);
    add(plan, "long", NULL, 5);
    add(plan, "middle", "long", 6);
    add(plan, "end", "middle", 7);
    uint32_t *order, count;
    assert_int_equal(tt_plan_order(plan, NULL, &order, &count, NULL), 0);
    assert_int_equal(count, 4);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    free(order);
    const char *only[] = {"middle"};
    struct tt_run_options options = {.only = only, .only_count = 1};
    assert_int_equal(tt_plan_order(plan, &options, &order, &count, NULL), 0);
    assert_int_equal(count, 2);
    free(order);
    tt_plan_release(plan);
}

static void test_releases_functions(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    released = 0;
    tt_plan_hold_function(plan, 5);
    tt_plan_hold_function(plan, 7);
    tt_plan_retain(plan);
    tt_plan_release(plan);
    assert_int_equal(released, 0);
    tt_plan_release(plan);
    assert_int_equal(released, 12);
}

static void test_action_text(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    char *argv[] = {(char *)"echo", (char *)"it's", (char *)"", (char *)"a b", NULL};
    struct tt_action action = {.form = TT_ACTION_ARGV, .argv = argv};
    char *text = tt_action_text(plan, &action);
    assert_string_equal(text, "echo 'it'\\''s' '' 'a b'");
    free(text);
    action = (struct tt_action){.form = TT_ACTION_CALL, .function = 3};
    text = tt_action_text(plan, &action);
    assert_string_equal(text, "function 3");
    free(text);
    tt_plan_release(plan);
}

/* ---- parameters ---- */

static struct tt_plan *plan_with_params(void)
{
    static const struct {
        const char *name;
        enum tt_param_type type;
        bool required;
    } all[] = {{"version", TT_PARAM_STRING, true},
               {"count", TT_PARAM_INTEGER, false},
               {"ratio", TT_PARAM_NUMBER, false},
               {"force", TT_PARAM_BOOLEAN, false}};
    struct tt_plan *plan = plan_new();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct tt_param *param = tt_plan_alloc(plan, sizeof *param);
        param->name = tt_plan_text(plan, all[i].name, strlen(all[i].name));
        param->type = all[i].type;
        param->required = all[i].required;
        if (i == 1)
            param->fallback = tt_plan_keep(plan, json_integer(3));
        if (i == 1)
            param->choices = tt_plan_keep(plan, json_pack("[i,i]", 3, 5));
        assert_int_equal(tt_plan_add_param(plan, param, NULL), 0);
    }
    return plan;
}

static void test_params_are_sorted_and_typed(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_with_params();
    assert_string_equal(tt_plan_param(plan, 0)->name, "count");
    assert_string_equal(tt_plan_param(plan, 3)->name, "version");
    struct tt_given_param given[] = {{"version", "007"}, {"ratio", "2.5"}, {"force", "true"}};
    json_t *params;
    assert_int_equal(tt_plan_params(plan, given, 3, &params, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(params, "version")), "007");
    assert_true(json_real_value(json_object_get(params, "ratio")) == 2.5);
    assert_true(json_is_true(json_object_get(params, "force")));
    assert_int_equal(json_integer_value(json_object_get(params, "count")), 3);
    json_decref(params);
    tt_plan_release(plan);
}

static void test_bad_params(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *message;
    } bad[] = {
        {"verison", "1", "workflow \"demo\" has no parameter \"verison\"; did you mean"},
        {"count", "3.5", "parameter count is an integer, not \"3.5\""},
        {"count", "", "parameter count is an integer"},
        {"count", "99999999999999999999", "parameter count is an integer"},
        {"count", "4", "parameter count is one of 3, 5, not \"4\""},
        {"ratio", "0x10", "parameter ratio is a number"},
        {"ratio", "nan", "parameter ratio is a number"},
        {"force", "yes", "parameter force is a boolean (true or false), not \"yes\""},
        {"count", "5", "parameter version is missing: give it with -p version=VALUE"},
    };
    struct tt_plan *plan = plan_with_params();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tt_given_param given = {bad[i].name, bad[i].value};
        struct tt_error *err = NULL;
        json_t *params = NULL;
        int rc = tt_plan_params(plan, &given, 1, &params, &err);
        assert_refused(rc, err, bad[i].message);
        assert_null(params);
    }
    tt_plan_release(plan);
}

static void assert_text(json_t *value, const char *expected)
{
    char *text = tt_value_text(value);
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

static void test_value_text(void **state)
{
    (void)state;
    assert_text(json_string("a b"), "a b");
    assert_text(json_integer(-7), "-7");
    assert_text(json_real(0.1), "0.1");
    assert_text(json_real(1.0 / 3), "0.33333333333333331");
    assert_text(json_true(), "true");
    assert_text(json_false(), "false");
}

static void test_hundred_thousand_tasks(void **state)
{
    (void)state;
    struct tt_plan *plan = plan_new();
    for (int i = 0; i < 100000; i++) {
        char name[32], need[32];
        snprintf(name, sizeof name, "task-%d", i);
        snprintf(need, sizeof need, "task-%d", i - 1);
        add(plan, name, i % 10 ? need : NULL, i);
    }
    assert_int_equal(tt_plan_check(plan, NULL, NULL), 0);
    assert_non_null(tt_plan_find(plan, "task-99999"));
    assert_null(tt_plan_find(plan, "task-100000"));
    tt_plan_release(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicate_task_names_both_places),
        cmocka_unit_test(test_unknown_need_suggests_the_nearest),
        cmocka_unit_test(test_unknown_after),
        cmocka_unit_test(test_cycle_is_named_whole),
        cmocka_unit_test(test_empty_workflow),
        cmocka_unit_test(test_unknown_only),
        cmocka_unit_test(test_order_is_longest_path_first),
        cmocka_unit_test(test_releases_functions),
        cmocka_unit_test(test_action_text),
        cmocka_unit_test(test_params_are_sorted_and_typed),
        cmocka_unit_test(test_bad_params),
        cmocka_unit_test(test_value_text),
        cmocka_unit_test(test_hundred_thousand_tasks),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
