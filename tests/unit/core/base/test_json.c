#include "core/base/json.h"

#include "core/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses and dumps again. */
static void round_trip(const char *text, const char *expected)
{
    json_t *value = NULL;
    struct tt_error *err = NULL;
    struct tt_buf out = {0};
    if (tt_json_parse(&value, text, strlen(text), "text", &err) < 0) {
        assert_string_equal(err->message, expected);
        tt_error_free(err);
        return;
    }
    assert_int_equal(tt_json_dump(&out, value, 0, &err), 0);
    assert_string_equal(out.data, expected);
    json_decref(value);
    tt_buf_free(&out);
}

static void same(const char *text)
{
    round_trip(text, text);
}

static void exact_numbers(void **state)
{
    (void)state;
    same("9007199254740993");
    same("9223372036854775807");
    same("-9223372036854775808");
    same("0.1");
    same("1.0");
    same("-0.0");
    same("1e+300");
    same("0.30000000000000004");
    same("4.94065645841247e-324");
    round_trip("1.50", "1.5");
    round_trip("9223372036854775808",
               "text: line 1, column 19: too big integer near '9223372036854775808'");
    round_trip("1e999", "text: line 1, column 5: real number overflow near '1e999'");
}

static void order_and_shape(void **state)
{
    (void)state;
    same("{\"z\":1,\"a\":[true,false,null,[],{}],\"m\":\"x\"}");
    same("\"plain\"");
    same("null");
    json_t *value = json_pack("{s:i,s:[i,{}],s:{s:n}}", "b", 1, "a", 2, "o", "k");
    struct tt_buf out = {0};
    assert_int_equal(tt_json_dump(&out, value, 2, NULL), 0);
    assert_string_equal(out.data,
                        "{\n  \"b\": 1,\n  \"a\": [\n    2,\n    {}\n  ],\n  \"o\": {\n    "
                        "\"k\": null\n  }\n}");
    tt_buf_free(&out);
    json_decref(value);
}

static void strings(void **state)
{
    (void)state;
    same("\"a\\u0000b\"");
    same("\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u007f/\"");
    same("\"f\xc3\xbc \xe6\x97\xa5 \xf0\x9f\x98\x80\"");
    round_trip("\"\\u00fc\\ud83d\\ude00\"", "\"\xc3\xbc\xf0\x9f\x98\x80\"");
#define R "\xef\xbf\xbd"
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"a\xff"
         "b",
         "\"a" R "b\""},
        {"\xc3", "\"" R "\""},
        {"\xc3(", "\"" R "(\""},
        {"\xc0\xaf", "\"" R R "\""},
        {"\xed\xa0\x80", "\"" R R R "\""},
        {"\xe2\x82", "\"" R R "\""},
        {"\xf4\x90\x80\x80", "\"" R R R R "\""},
        {"\xf0\x8f\xbf\xbf", "\"" R R R R "\""},
        {"\xe0\x9f\xbf", "\"" R R R "\""},
        {"", "\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *value = json_stringn_nocheck(rows[i].bytes, strlen(rows[i].bytes));
        struct tt_buf out = {0};
        assert_int_equal(tt_json_dump(&out, value, 0, NULL), 0);
        assert_string_equal(out.data, rows[i].text);
        json_t *back = NULL;
        assert_int_equal(tt_json_parse(&back, out.data, out.length, "x", NULL), 0);
        json_decref(back);
        tt_buf_free(&out);
        json_decref(value);
    }
}

static void refused(void **state)
{
    (void)state;
    round_trip("{\"a\":1,\n \"a\":2}", "text: line 2, column 4: duplicate object key near '\"a\"'");
    round_trip("{\"a\":1,\n b}", "text: line 2, column 2: string or '}' expected near 'b'");
    round_trip("[1,2", "text: line 1, column 4: ']' expected near end of file");
    round_trip("1 2", "text: line 1, column 3: end of file expected near '2'");
    round_trip("", "text: line 1, column 0: unexpected token near end of file");
    round_trip("0x10", "text: line 1, column 2: end of file expected near 'x'");
    round_trip("NaN", "text: line 1, column 3: invalid token near 'NaN'");
    round_trip("\"\xff\"", "text: line 1, column 1: unable to decode byte 0xff near '\"'");
    char *deep = tt_alloc(100001);
    memset(deep, '[', 100000);
    deep[100000] = 0;
    round_trip(deep, "text: nested more than 1000 deep");
    free(deep);
}

static void depth_of_what_is_written(void **state)
{
    (void)state;
    json_t *top = json_array(), *at = top;
    for (int i = 0; i < tt_json_depth; i++) {
        json_t *inner = json_array();
        json_array_append_new(at, inner);
        at = inner;
    }
    struct tt_buf out = {0};
    struct tt_error *err = NULL;
    assert_int_equal(tt_json_dump(&out, top, 0, NULL), 0);
    tt_buf_free(&out);
    json_array_append_new(at, json_null());
    tt_buf_text(&out, "before");
    assert_int_equal(tt_json_dump(&out, top, 0, &err), -TT_INVALID);
    assert_string_equal(out.data, "before");
    tt_error_free(err);
    tt_buf_free(&out);
    json_decref(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_numbers),
        cmocka_unit_test(order_and_shape),
        cmocka_unit_test(strings),
        cmocka_unit_test(refused),
        cmocka_unit_test(depth_of_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
