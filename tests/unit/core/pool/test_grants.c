/* Pools: all of a set or nothing, by rank; a full pool blocks only those who want it. Then random
 * sets and waiters against scanning everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/pool/grants.h"

static uint32_t set_of(struct tt_grants *pools, struct tt_pool_need a, struct tt_pool_need b)
{
    struct tt_pool_need needs[] = {a, b};
    uint32_t set = UINT32_MAX;
    assert_int_equal(tt_grants_set(pools, needs, b.key ? 2 : 1, &set, NULL), 0);
    return set;
}
#define JOBS(limit) ((struct tt_pool_need){"jobs", 1, limit})
#define HOST(limit) ((struct tt_pool_need){"ssh://a", 1, limit})
#define NONE        ((struct tt_pool_need){0})

static void expect_next(struct tt_grants *pools, uint32_t expected)
{
    uint32_t waiter = UINT32_MAX;
    assert_true(tt_grants_next(pools, &waiter));
    assert_int_equal(waiter, expected);
    assert_true(tt_grants_holds(pools, waiter));
    assert_false(tt_grants_waiting(pools, waiter));
}

static void expect_none(struct tt_grants *pools)
{
    uint32_t waiter;
    assert_false(tt_grants_next(pools, &waiter));
}

static void by_priority_then_order(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t set = set_of(pools, JOBS(1), NONE);
    tt_grants_wait(pools, 10, set, 1, 5);
    tt_grants_wait(pools, 11, set, 1, 4);
    tt_grants_wait(pools, 12, set, 7, 9);
    tt_grants_wait(pools, 13, set, 1, 6);
    expect_next(pools, 12);
    expect_none(pools);
    tt_grants_wait(pools, 14, set, 2, 0); /* came later, and is better */
    uint32_t used, limit;
    assert_true(tt_grants_use(pools, "jobs", &used, &limit));
    assert_int_equal(used, 1);
    assert_int_equal(limit, 1);
    static const uint32_t then[] = {14, 11, 10, 13};
    for (uint32_t last = 12, i = 0; i < 4; last = then[i++]) {
        expect_none(pools);
        tt_grants_release(pools, last);
        expect_next(pools, then[i]);
    }
    tt_grants_free(pools);
}

static void a_full_pool_blocks_nobody_else(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t host = set_of(pools, JOBS(3), HOST(1)), here = set_of(pools, JOBS(0), NONE);
    tt_grants_wait(pools, 0, host, 9, 0);
    tt_grants_wait(pools, 1, host, 9, 1);
    tt_grants_wait(pools, 2, host, 9, 2);
    tt_grants_wait(pools, 3, here, 1, 3);
    tt_grants_wait(pools, 4, here, 1, 4);
    tt_grants_wait(pools, 5, here, 1, 5);
    expect_next(pools, 0);
    expect_next(pools, 3); /* past 1 and 2 */
    expect_next(pools, 4);
    expect_none(pools);
    tt_grants_release(pools, 3); /* a job, but the host is full */
    expect_next(pools, 5);
    tt_grants_release(pools, 0); /* the host, and a job */
    expect_next(pools, 1);
    expect_none(pools);
    uint32_t used;
    tt_grants_use(pools, "jobs", &used, NULL);
    assert_int_equal(used, 3);
    tt_grants_release(pools, 4);
    expect_none(pools); /* all or nothing: 2 doesn't sit on the job */
    tt_grants_use(pools, "jobs", &used, NULL);
    assert_int_equal(used, 2);
    tt_grants_free(pools);
}

static void a_large_one_is_not_overtaken(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t big = set_of(pools, (struct tt_pool_need){"gpu", 3, 3}, NONE);
    uint32_t one = set_of(pools, (struct tt_pool_need){"gpu", 1, 0}, NONE);
    tt_grants_wait(pools, 0, one, 5, 0);
    expect_next(pools, 0);
    tt_grants_wait(pools, 1, big, 4, 1);
    tt_grants_wait(pools, 2, one, 4, 2);
    expect_none(pools); /* there is room for 2, but 1 was before it */
    tt_grants_wait(pools, 3, one, 5, 3);
    expect_next(pools, 3); /* ranks higher */
    tt_grants_release(pools, 0);
    expect_none(pools);
    tt_grants_release(pools, 3);
    expect_next(pools, 1);
    expect_none(pools);
    tt_grants_wait(pools, 4, big, 4, 0);
    tt_grants_release(pools, 1);
    expect_next(pools, 4);
    tt_grants_leave(pools, 4); /* it does not wait: nothing happens */
    assert_true(tt_grants_holds(pools, 4));
    tt_grants_release(pools, 4);
    expect_next(pools, 2);
    tt_grants_free(pools);
}

static void who_leaves_makes_way(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t big = set_of(pools, (struct tt_pool_need){"gpu", 3, 3}, NONE);
    uint32_t one = set_of(pools, (struct tt_pool_need){"gpu", 1, 0}, NONE);
    tt_grants_wait(pools, 0, one, 5, 0);
    expect_next(pools, 0);
    tt_grants_wait(pools, 1, big, 4, 1);
    tt_grants_wait(pools, 2, one, 4, 2);
    expect_none(pools);
    tt_grants_leave(pools, 1);
    assert_false(tt_grants_waiting(pools, 1));
    expect_next(pools, 2);
    expect_none(pools);
    tt_grants_leave(pools, 77); /* never seen */
    tt_grants_wait(pools, 3, one, 1, 3);
    tt_grants_wait(pools, 4, one, 1, 4);
    tt_grants_leave(pools, 3);
    expect_next(pools, 4);
    tt_grants_free(pools);
}

static void sets(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    struct tt_error *err = NULL;
    uint32_t set = 99;
    assert_int_equal(set_of(pools, JOBS(4), HOST(2)), set_of(pools, HOST(0), JOBS(4)));
    uint32_t twice = set_of(pools, HOST(0), HOST(2)); /* adds up to 2 */
    tt_grants_wait(pools, 0, twice, 1, 0);
    expect_next(pools, 0);
    uint32_t used;
    tt_grants_use(pools, "ssh://a", &used, NULL);
    assert_int_equal(used, 2);

    uint32_t limit;
    assert_int_equal(set_of(pools, HOST(3), NONE), set_of(pools, HOST(0), NONE));
    tt_grants_use(pools, "ssh://a", NULL, &limit);
    assert_int_equal(limit, 2); /* the smaller one holds */
    struct tt_pool_need much[] = {{"new", 1, 0}, {"ssh://a", 3, 0}};
    assert_int_equal(tt_grants_set(pools, much, 2, &set, &err), -TT_INVALID);
    assert_string_equal(err->message, "3 of ssh://a are needed at once, where there are 2");
    tt_error_free(err);
    err = NULL;
    assert_false(tt_grants_use(pools, "new", NULL, NULL)); /* nothing changed */

    set_of(pools, (struct tt_pool_need){"late", 5, 0}, NONE);
    assert_int_equal(tt_grants_set(pools, &(struct tt_pool_need){"late", 1, 4}, 1, &set, NULL),
                     -TT_INVALID);
    assert_int_equal(set, 99);

    assert_int_equal(tt_grants_set(pools, NULL, 0, &set, NULL), 0); /* nothing: always had */
    tt_grants_wait(pools, 1, set, 0, 0);
    expect_next(pools, 1);
    tt_grants_release(pools, 1);
    tt_grants_free(pools);
}

static void one_script_with_two_limits(void **state)
{
    (void)state;
    struct tt_needs needs;
    struct tt_error *err = NULL;
    uint32_t set = 99;
    tt_needs_init(&needs, TT_LIMITS_REFUSED);
    assert_int_equal(tt_needs_set(&needs, &HOST(2), 1, &set, NULL), 0);
    set = 99;
    assert_int_equal(tt_needs_set(&needs, &HOST(3), 1, &set, &err), -TT_INVALID);
    assert_string_equal(err->message, "ssh://a has a limit of 3 here and of 2 elsewhere");
    tt_error_free(err);
    struct tt_pool_need two[] = {{"x", 1, 1}, {"x", 1, 2}};
    assert_int_equal(tt_needs_set(&needs, two, 2, &set, NULL), -TT_INVALID);
    assert_int_equal(set, 99);
    assert_int_equal(tt_needs_pool_count(&needs), 1); /* nothing changed */
    tt_needs_clear(&needs);
}

/* What is kept is a part of what was held: the rest is free at once. */
static void a_part_is_kept(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t both = set_of(pools, JOBS(2), HOST(1)), jobs = set_of(pools, JOBS(2), NONE), used;
    tt_grants_wait(pools, 0, both, 1, 0);
    tt_grants_wait(pools, 1, both, 1, 1);
    expect_next(pools, 0);
    expect_none(pools);
    tt_grants_keep(pools, 0, jobs);
    expect_next(pools, 1);
    tt_grants_use(pools, "", &used, NULL);
    tt_grants_release(pools, 0);
    tt_grants_release(pools, 1);
    tt_grants_use(pools, "ssh://a", &used, NULL);
    assert_int_equal(used, 0);
    tt_grants_free(pools);
}

/* A limit that falls below what is in use grants nothing until it fits; one that rises lets go. */
static void a_limit_changes(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t set = set_of(pools, HOST(2), NONE);
    for (uint32_t i = 0; i < 4; i++)
        tt_grants_wait(pools, i, set, 1, i);
    expect_next(pools, 0);
    expect_next(pools, 1);
    tt_grants_limit(pools, set, 1);
    tt_grants_release(pools, 0);
    expect_none(pools);
    tt_grants_release(pools, 1);
    expect_next(pools, 2);
    expect_none(pools);
    tt_grants_limit(pools, set, 0);
    expect_next(pools, 3);
    tt_grants_free(pools);
}

static void unlimited_until_stated(void **state)
{
    (void)state;
    struct tt_grants *pools = tt_grants_new();
    uint32_t set = set_of(pools, HOST(0), NONE);
    for (uint32_t i = 0; i < 3; i++) {
        tt_grants_wait(pools, i, set, 0, i);
        expect_next(pools, i);
    }
    set_of(pools, HOST(2), NONE);
    tt_grants_wait(pools, 3, set, 0, 3);
    expect_none(pools);
    tt_grants_release(pools, 0);
    expect_none(pools);
    tt_grants_release(pools, 1);
    expect_next(pools, 3);
    tt_grants_free(pools);
}

/* ---- random ---------------------------------------------------------------------------------- */

#define WAITERS 30
#define POOLS   4

struct slow {
    struct {
        bool waits, holds;
        uint64_t priority;
        uint32_t order, set;
    } waiter[WAITERS];
    uint32_t amount[16][POOLS]; /* of the sets */
    uint32_t limit[POOLS];
};

static uint32_t slow_used(const struct slow *slow, uint32_t pool)
{
    uint32_t used = 0;
    for (uint32_t w = 0; w < WAITERS; w++)
        if (slow->waiter[w].holds)
            used += slow->amount[slow->waiter[w].set][pool];
    return used;
}

static bool slow_fits(const struct slow *slow, uint32_t w)
{
    for (uint32_t p = 0; p < POOLS; p++)
        if (slow->amount[slow->waiter[w].set][p] &&
            slow_used(slow, p) + slow->amount[slow->waiter[w].set][p] > slow->limit[p])
            return false;
    return true;
}

static bool ranks_before(const struct slow *slow, uint32_t a, uint32_t b)
{
    return slow->waiter[a].priority != slow->waiter[b].priority
               ? slow->waiter[a].priority > slow->waiter[b].priority
               : slow->waiter[a].order < slow->waiter[b].order;
}

/* The best that fits. With amounts above 1 also: nobody better wants a pool in common. */
static uint32_t slow_next(const struct slow *slow, bool ones)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t w = 0; w < WAITERS; w++) {
        bool can = slow->waiter[w].waits && slow_fits(slow, w);
        for (uint32_t o = 0; o < WAITERS && can && !ones; o++)
            for (uint32_t p = 0; p < POOLS; p++)
                if (slow->waiter[o].waits && ranks_before(slow, o, w) &&
                    slow->amount[slow->waiter[o].set][p] && slow->amount[slow->waiter[w].set][p])
                    can = false;
        if (can && (best == UINT32_MAX || ranks_before(slow, w, best)))
            best = w;
    }
    return best;
}

static void take_all(struct tt_grants *pools, struct slow *slow, bool ones)
{
    uint32_t w;
    while (tt_grants_next(pools, &w)) {
        assert_true(slow->waiter[w].waits);
        assert_true(slow_fits(slow, w));
        if (ones)
            assert_int_equal(w, slow_next(slow, true));
        slow->waiter[w].waits = false;
        slow->waiter[w].holds = true;
    }
    assert_int_equal(slow_next(slow, ones), UINT32_MAX); /* nobody was left standing */
}

static void random_waiters(bool ones)
{
    static const char *const keys[POOLS] = {"p", "q", "r", "s"};
    struct tt_random dice = {ones};
    for (int game = 0; game < 400; game++) {
        struct tt_grants *pools = tt_grants_new();
        struct slow slow = {0};
        uint32_t sets_made = 0, numbers[16], order = 0;
        for (uint32_t p = 0; p < POOLS; p++)
            slow.limit[p] = (ones ? 1 : 3) + (uint32_t)(tt_random_next(&dice) % 3);
        for (; sets_made < 16; sets_made++) {
            struct tt_pool_need needs[POOLS];
            size_t count = 0;
            for (uint32_t p = 0; p < POOLS; p++)
                if (tt_random_next(&dice) % 2) {
                    uint32_t amount = ones ? 1 : 1 + (uint32_t)(tt_random_next(&dice) % 3);
                    slow.amount[sets_made][p] = amount;
                    needs[count++] = (struct tt_pool_need){keys[p], amount, slow.limit[p]};
                }
            assert_int_equal(tt_grants_set(pools, needs, count, &numbers[sets_made], NULL), 0);
        }
        for (int turn = 0; turn < 400; turn++) {
            uint32_t w = (uint32_t)(tt_random_next(&dice) % WAITERS);
            if (slow.waiter[w].holds) {
                slow.waiter[w].holds = false;
                tt_grants_release(pools, w);
            } else if (slow.waiter[w].waits) {
                if (tt_random_next(&dice) % 3)
                    continue;
                slow.waiter[w].waits = false;
                tt_grants_leave(pools, w);
            } else {
                slow.waiter[w].waits = true;
                slow.waiter[w].priority = tt_random_next(&dice) % 4;
                slow.waiter[w].order = order++;
                slow.waiter[w].set = (uint32_t)(tt_random_next(&dice) % 16);
                tt_grants_wait(pools, w, numbers[slow.waiter[w].set], slow.waiter[w].priority,
                               slow.waiter[w].order);
            }
            if (tt_random_next(&dice) % 2)
                take_all(pools, &slow, ones);
        }
        /* all who wait get their turn when the others go */
        take_all(pools, &slow, ones);
        for (bool any = true; any;) {
            any = false;
            for (uint32_t w = 0; w < WAITERS; w++)
                if (slow.waiter[w].holds) {
                    any = true;
                    slow.waiter[w].holds = false;
                    tt_grants_release(pools, w);
                    take_all(pools, &slow, ones);
                }
        }
        for (uint32_t w = 0; w < WAITERS; w++)
            assert_false(tt_grants_waiting(pools, w));
        tt_grants_free(pools);
    }
}

static void random_ones(void **state)
{
    (void)state;
    random_waiters(true);
}

static void random_amounts(void **state)
{
    (void)state;
    random_waiters(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_priority_then_order),
        cmocka_unit_test(a_full_pool_blocks_nobody_else),
        cmocka_unit_test(a_large_one_is_not_overtaken),
        cmocka_unit_test(who_leaves_makes_way),
        cmocka_unit_test(sets),
        cmocka_unit_test(one_script_with_two_limits),
        cmocka_unit_test(a_part_is_kept),
        cmocka_unit_test(a_limit_changes),
        cmocka_unit_test(unlimited_until_stated),
        cmocka_unit_test(random_ones),
        cmocka_unit_test(random_amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
