/* The masker against a slow, obvious model, on random texts cut at random places. */
#include "core/base/alloc.h"
#include "core/base/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state = 7;

static unsigned pick(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

/* Every byte that lies in an occurrence of a secret is masked; each run of them is one "***". */
static void model(char **secrets, size_t count, const char *text, size_t length, struct tt_buf *out)
{
    char *masked = tt_zalloc(length + 1);
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0, n = strlen(secrets[s]); n && i + n <= length; i++)
            if (memcmp(text + i, secrets[s], n) == 0)
                memset(masked + i, 1, n);
    for (size_t i = 0; i < length; i++) {
        if (!masked[i])
            tt_buf_add(out, text + i, 1);
        else if (i == 0 || !masked[i - 1])
            tt_buf_text(out, "***");
    }
    free(masked);
}

static char *random_word(unsigned most)
{
    unsigned length = 1 + pick(most);
    char *word = tt_zalloc(length + 1);
    for (unsigned i = 0; i < length; i++)
        word[i] = (char)('a' + pick(2));
    return word;
}

static void random_texts_agree_with_the_model(void **unused)
{
    (void)unused;
    for (int round = 0; round < 20000; round++) {
        char *secrets[4];
        size_t count = 1 + pick(4);
        struct tt_masker *masker = tt_masker_new();
        for (size_t s = 0; s < count; s++) {
            secrets[s] = random_word(6);
            tt_masker_add(masker, secrets[s], strlen(secrets[s]));
        }
        char *text = random_word(60);
        for (size_t i = 0; text[i]; i++)
            if (pick(3) == 0)
                text[i] = 'c';
        struct tt_buf want = {0}, got = {0};
        model(secrets, count, text, strlen(text), &want);
        struct tt_mask mask = {0};
        for (size_t at = 0, length = strlen(text); at < length;) {
            size_t chunk = 1 + pick(9);
            chunk = chunk > length - at ? length - at : chunk;
            tt_mask_feed(masker, &mask, text + at, chunk, &got);
            at += chunk;
        }
        tt_mask_end(&mask, &got);
        assert_int_equal(got.length, want.length);
        assert_memory_equal(got.data, want.data, want.length);
        tt_buf_free(&want);
        tt_buf_free(&got);
        free(text);
        for (size_t s = 0; s < count; s++)
            free(secrets[s]);
        tt_masker_free(masker);
    }
}

static void check(const char *secret, const char *text, const char *want)
{
    struct tt_masker *masker = tt_masker_new();
    struct tt_buf got = {0};
    tt_masker_add(masker, secret, strlen(secret));
    tt_mask_text(masker, text, strlen(text), &got);
    assert_string_equal(got.data ? got.data : "", want);
    tt_buf_free(&got);
    tt_masker_free(masker);
}

static void lines_and_the_json_form_are_secret_too(void **unused)
{
    (void)unused;
    check("first line\nsecond", "> second <", "> *** <");
    check("first line\nab", "> ab <", "> ab <");
    check("a\"b\\c\nd\x01", "{\"x\":\"a\\\"b\\\\c\\nd\\u0001\"}", "{\"x\":\"***\"}");
    check("", "text", "text");
}

static void nothing_is_held_back_without_need(void **unused)
{
    (void)unused;
    struct tt_masker *masker = tt_masker_new();
    struct tt_mask mask = {0};
    struct tt_buf got = {0};
    tt_masker_add(masker, "hunter2", 7);
    tt_mask_feed(masker, &mask, "password: hun", 13, &got);
    assert_string_equal(got.data, "password: ");
    tt_mask_feed(masker, &mask, "t!", 2, &got);
    assert_string_equal(got.data, "password: hunt!");
    tt_mask_end(&mask, &got);
    assert_string_equal(got.data, "password: hunt!");
    tt_buf_free(&got);
    tt_masker_free(masker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_agree_with_the_model),
        cmocka_unit_test(lines_and_the_json_form_are_secret_too),
        cmocka_unit_test(nothing_is_held_back_without_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
