/* Optional libraries: what is there, what is not, what lacks a function. */
#include "core/base/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct {
    double (*cos)(double);
    double (*pow)(double, double);
} math;
static const char *const names[] = {"cos", "pow", NULL};
static int loaded;

static void on_loaded(void)
{
    assert_non_null(math.pow);
    loaded++;
}

static void test_loaded_once(void **state)
{
    static struct tt_library library = {.file = "libm.so.6",
                                        .needed = "numbers need libm",
                                        .names = names,
                                        .table = &math,
                                        .fault = "test.math",
                                        .loaded = on_loaded};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tt_library_load(&library, NULL), 0);
    assert_int_equal(loaded, 1);
    assert_true(math.cos(0) > 0.99 && math.pow(2, 3) > 7.99);
    assert_non_null(tt_library_find(&library, "sin"));
    assert_null(tt_library_find(&library, "no_such_function"));
}

static void refuses(struct tt_library *library, const char *message)
{
    struct tt_error *err = NULL;
    assert_int_equal(tt_library_load(library, &err), -TT_UNSUPPORTED);
    assert_string_equal(err->message, message);
    tt_error_free(err);
}

static void test_missing(void **state)
{
    static const char *const more[] = {"cos", "cosy", NULL};
    static struct tt_library none = {.file = "libnone.so.1",
                                     .needed = "nothing needs libnone (Debian package libnone1)",
                                     .names = names,
                                     .table = &math,
                                     .fault = "test.none"};
    static struct tt_library less = {.file = "libm.so.6",
                                     .needed = "numbers need libm",
                                     .names = more,
                                     .table = &math,
                                     .fault = "test.less"};
    (void)state;
    refuses(&none, "nothing needs libnone (Debian package libnone1), which could not be loaded");
    refuses(&less, "libm.so.6 has no cosy");
    refuses(&less, "libm.so.6 has no cosy"); /* again: a failure is not taken for success */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loaded_once),
                                       cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
