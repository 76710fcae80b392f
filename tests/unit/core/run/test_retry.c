/* Which failures are tried again, and after how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/run/retry.h"

static void the_generator_is_splitmix64(void **state)
{
    (void)state;
    struct tt_random random = {1234567}; /* the algorithm's well-known first values */
    assert_true(tt_random_next(&random) == 6457827717110365317u);
    assert_true(tt_random_next(&random) == 3203168211198807973u);
    assert_true(tt_random_next(&random) == 9817491932198370423u);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double x = tt_random_unit(&random);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum > 4900 && sum < 5100);
}

static void kinds(void **state)
{
    (void)state;
    struct tt_retry retry = {.retries = 2};
    for (enum tt_kind kind = TT_EXIT; kind < TT_KIND_COUNT; kind++) {
        bool never = kind == TT_INVALID || kind == TT_UNSUPPORTED || kind == TT_AUTH ||
                     kind == TT_HOST_KEY || kind == TT_CANCELLED;
        assert_int_equal(tt_retry_never(kind), never);
        retry.idempotent = false;
        assert_int_equal(tt_retry_allows(&retry, kind, 1), !never && kind != TT_LOST);
        retry.idempotent = true;
        assert_int_equal(tt_retry_allows(&retry, kind, 1), !never);
        assert_int_equal(tt_retry_allows(&retry, kind, 2), !never);
        assert_false(tt_retry_allows(&retry, kind, 3));
    }
    assert_false(tt_retry_allows(&(struct tt_retry){0}, TT_EXIT, 1));
}

static void delays(void **state)
{
    (void)state;
    struct tt_random random = {1};
    struct tt_retry retry = {.retries = 9, .first = 100, .factor = 2, .max = 1000};
    static const int64_t expected[] = {100, 200, 400, 800, 1000, 1000};
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(tt_retry_delay(&retry, i + 1, &random), expected[i]);
    assert_int_equal(random.state, 1); /* no jitter, no draw */
    assert_int_equal(tt_retry_delay(&retry, UINT32_MAX, &random), 1000);
    retry.factor = 0;
    assert_int_equal(tt_retry_delay(&retry, 5, &random), 100);
    retry = (struct tt_retry){.first = 5, .factor = 1e9};
    assert_true(tt_retry_delay(&retry, UINT32_MAX, &random) == INT64_C(1) << 62);
    assert_int_equal(tt_retry_delay(&(struct tt_retry){.factor = 2}, 7, &random), 0);
}

static void jitter(void **state)
{
    (void)state;
    struct tt_random random = {5}, again = {5};
    struct tt_retry retry = {.first = 1000, .factor = 2, .max = 1500, .jitter = 0.25};
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 2000; i++) {
        int64_t delay = tt_retry_delay(&retry, 2, &random);
        assert_true(delay >= 1125 && delay <= 1500);
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        assert_int_equal(delay, tt_retry_delay(&retry, 2, &again));
    }
    assert_true(least < 1135 && most > 1490);
}

static void ranges(void **state)
{
    (void)state;
    struct tt_error *err = NULL;
    assert_int_equal(tt_retry_check(&(struct tt_retry){.factor = 1, .jitter = 1}, NULL), 0);
    assert_int_equal(tt_retry_check(&(struct tt_retry){0}, NULL), 0);
    static const struct tt_retry wrong[] = {
        {.first = -1},
        {.max = -1},
        {.factor = 0.5},
        {.factor = -1},
        {.jitter = 2},
        {.jitter = -.1},
        {.jitter = __builtin_nan("")},
        {.factor = __builtin_inf()},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(tt_retry_check(&wrong[i], &err), -TT_INVALID);
        tt_error_free(err);
        err = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_splitmix64),
        cmocka_unit_test(kinds),
        cmocka_unit_test(delays),
        cmocka_unit_test(jitter),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
