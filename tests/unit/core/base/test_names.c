/* Names and heaps, both against the slow way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/base/heap.h"
#include "core/base/names.h"
#include "core/base/random.h"

static void names_are_numbers(void **state)
{
    (void)state;
    struct tt_names *names = tt_names_new();
    struct tt_random dice = {3};
    char text[32];
    uint32_t count = 0;
    for (int turn = 0; turn < 200000; turn++) {
        if (tt_random_next(&dice) % 500 == 0) {
            count = (uint32_t)(tt_random_next(&dice) % (count + 1));
            tt_names_truncate(names, count);
        }
        uint32_t which = (uint32_t)(tt_random_next(&dice) % (count + 20));
        snprintf(text, sizeof text, "name-%u", which);
        assert_int_equal(tt_names_find(names, text), which < count ? which : TT_NO_NAME);
        snprintf(text, sizeof text, "name-%u", which < count ? which : count);
        assert_int_equal(tt_names_add(names, text), which < count ? which : count);
        count += which >= count;
        assert_int_equal(tt_names_count(names), count);
    }
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "name-%u", i);
        assert_string_equal(tt_names_text(names, i), text);
    }
    tt_names_free(names);
}

static void a_text_stays_where_it_is(void **state)
{
    (void)state;
    struct tt_names *names = tt_names_new();
    char text[300], *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = 0;
    tt_names_add(names, "first");
    const char *first = tt_names_text(names, 0);
    assert_int_equal(tt_names_add(names, large), 1);
    for (uint32_t i = 2; i < 5000; i++) {
        snprintf(text, sizeof text, "%0250u", i);
        assert_int_equal(tt_names_add(names, text), i);
    }
    assert_ptr_equal(tt_names_text(names, 0), first);
    assert_string_equal(first, "first");
    assert_string_equal(tt_names_text(names, 1), large);
    tt_names_truncate(names, 0);
    assert_int_equal(tt_names_find(names, "first"), TT_NO_NAME);
    assert_int_equal(tt_names_add(names, ""), 0);
    free(large);
    tt_names_free(names);
}

#define IDS 60

static void a_heap_gives_the_least(void **state)
{
    (void)state;
    struct tt_heap heap = {0};
    struct tt_random dice = {11};
    uint32_t places[IDS] = {0};
    struct tt_heap_item items[IDS] = {0};
    bool in[IDS] = {false};
    for (int turn = 0; turn < 100000; turn++) {
        uint32_t id = (uint32_t)(tt_random_next(&dice) % IDS), count = 0, least = UINT32_MAX;
        if (in[id]) {
            tt_heap_remove(&heap, places, id);
        } else {
            items[id] = (struct tt_heap_item){tt_random_next(&dice) % 50,
                                              (uint32_t)(tt_random_next(&dice) % 9), id};
            tt_heap_push(&heap, places, items[id]);
        }
        in[id] = !in[id];
        for (uint32_t i = 0; i < IDS; i++) {
            count += in[i];
            assert_int_equal(places[i] != 0, in[i]);
            if (in[i])
                assert_int_equal(heap.items[places[i] - 1].id, i);
            if (in[i] && (least == UINT32_MAX || tt_heap_before(&items[i], &items[least])))
                least = i;
        }
        assert_int_equal(heap.count, count);
        if (count) {
            assert_int_equal(heap.items[0].key, items[least].key);
            assert_int_equal(heap.items[0].order, items[least].order);
        }
    }
    tt_heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_numbers),
        cmocka_unit_test(a_text_stays_where_it_is),
        cmocka_unit_test(a_heap_gives_the_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
