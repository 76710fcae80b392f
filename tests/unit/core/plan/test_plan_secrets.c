/* What a freed plan or command leaves in memory: nothing of what may be secret. The linker puts
 * __wrap_free in the place of free (tests/CMakeLists.txt), which looks at what is given back. */
#include "core/plan/plan.h"

#include "core/base/alloc.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char needle[] = "hunter2-in-the-haystack";
static int seen; /* blocks that were freed with the needle in them */

void __real_free(void *block);
void __wrap_free(void *block);

void __wrap_free(void *block)
{
    if (block && memmem(block, malloc_usable_size(block), needle, strlen(needle)))
        seen++;
    __real_free(block);
}

static void test_the_hook_sees(void **state)
{
    (void)state;
    seen = 0;
    free(tt_strdup(needle));
    assert_int_equal(seen, 1);
}

static void test_a_command_is_wiped(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("true"), .password = tt_strdup(needle)};
    tt_command_set_var(&command, "A", needle);
    tt_command_set_var(&command, "A", "something else");
    tt_command_set_var(&command, "B", needle);
    seen = 0;
    tt_command_clear(&command);
    assert_int_equal(seen, 0);
}

static void test_a_plan_is_wiped(void **state)
{
    enum { tasks = 3000 }; /* more than one chunk of values */
    (void)state;
    struct tt_plan *plan = tt_plan_new(NULL, "demo", "demo.lua", 1);
    for (int i = 0; i < tasks; i++) {
        struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
        char *name = tt_format("task %d", i);
        task->name = tt_plan_text(plan, name, strlen(name));
        free(name);
        task->vars = tt_plan_alloc(plan, sizeof *task->vars);
        task->vars[0] = (struct tt_var){tt_plan_text(plan, "A", 1), tt_plan_secret(plan, needle)};
        task->var_count = 1;
        tt_task_need_more(plan, task)->password = tt_plan_secret(plan, needle);
        assert_string_equal(task->vars[0].value, needle);
        assert_int_equal(tt_plan_add(plan, task, NULL), 0);
    }
    seen = 0;
    tt_plan_release(plan);
    assert_int_equal(seen, 0);
}

static void test_what_is_no_secret_is_seen(void **state)
{
    (void)state;
    struct tt_plan *plan = tt_plan_new(NULL, "demo", "demo.lua", 1);
    tt_plan_text(plan, needle, strlen(needle));
    seen = 0;
    tt_plan_release(plan);
    assert_int_equal(seen, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hook_sees),
        cmocka_unit_test(test_a_command_is_wiped),
        cmocka_unit_test(test_a_plan_is_wiped),
        cmocka_unit_test(test_what_is_no_secret_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
