/* Patterns, by table and against a slow and obvious matcher. */
#include "core/base/glob.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool match(const char *pattern, const char *path, bool directory)
{
    struct tt_glob *glob;
    struct tt_error *err = NULL;
    if (tt_glob_new(&glob, &pattern, 1, &err) < 0) {
        print_error("%s\n", err->message);
        fail();
    }
    bool matched = tt_glob_match(glob, path, directory, NULL);
    tt_glob_free(glob);
    return matched;
}

static void table(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *yes, *no; /* paths separated by blanks */
    } rows[] = {
        {"a", "a", "b aa a/a"},
        {"a/b.c", "a/b.c", "a/bxc a b.c a/b.c/d"},
        {"./a//b", "a/b", "a b"},
        {"*", "a .a abc", "a/b"},
        {"*.c", "a.c .c a.b.c", "a.h d/a.c a.cc"},
        {"a*c", "ac abc abbc", "ab bc a/c"},
        {"?", "a \xc3\xbc \xff", "ab a/ \xc3\xbc\xc3\xbc"},
        {"a?c", "abc a.c", "ac a/c abbc"},
        {"[a-c]x", "ax bx cx", "dx x -x"},
        {"[!a-c]x", "dx -x", "ax /x x"},
        {"[^a]", "b", "a"},
        {"a[!b]c", "axc", "abc a/c"},
        {"[]a]", "] a", "b"},
        {"[a-]", "a -", "b"},
        {"[\\]]", "]", "\\"},
        {"[\xc3\xa4-\xc3\xbc]", "\xc3\xa4 \xc3\xb6 \xc3\xbc", "a \xc3 \xc3\x9f"},
        {"{a,b}", "a b", "c ab {a,b}"},
        {"x{a,b{c,d}}y", "xay xbcy xbdy", "xby xy"},
        {"{a,b/c}/d", "a/d b/c/d", "b/d c/d"},
        {"a{,.bak}", "a a.bak", "ab"},
        {"{a}", "a", "{a}"},
        {"\\*", "*", "a \\*"},
        {"\\{a\\}", "{a}", "a"},
        {"a,b}", "a,b}", "a"},
        {"**", "a a/b .a/.b/.c", ""},
        {"**/a", "a x/a x/y/a .x/a", "b xa x/ya a/x"},
        {"a/**", "a/b a/b/c a/.b", "a b ab/c"},
        {"a/**/b", "a/b a/x/b a/x/y/b", "ab axb a/xb b"},
        {"a/**/**/b", "a/b a/x/b", "b"},
        {"**/*.lua", "a.lua x/a.lua x/y/.a.lua", "lua x.lua/a"},
        {"a**", "a ab", "a/b"},
        {"**a", "a ba", "b/a"},
        {"a/**b", "a/b a/xb", "a/x/b"},
        {"**/a/**", "a/b x/a/b a/b/c", "a x/a"},
        {"{**/,}a", "a x/a x/y/a", "xa"},
        {"{a,**}/b", "a/b x/y/b", "b"},
        {"{a/,b/}**", "a/x b/x/y", "a c/x"},
        {"\xc0\xaf", "\xc0\xaf", "/"},
        {"a*b",
         "a\xc0\xaf"
         "b",
         "a/b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int want = 0; want < 2; want++) {
            char *paths = tt_strdup(want ? rows[i].yes : rows[i].no), *rest = paths;
            for (char *path; (path = strtok_r(rest, " ", &rest));)
                if (match(rows[i].pattern, path, false) != want) {
                    print_error("%s on %s: wanted %d\n", rows[i].pattern, path, want);
                    fail();
                }
            free(paths);
        }
}

static void directories(void **state)
{
    (void)state;
    assert_true(match("a/", "a", true));
    assert_false(match("a/", "a", false));
    assert_true(match("*/", "a", true));
    assert_true(match("**/", "a/b", true));
    assert_false(match("**/", "a/b", false));
    assert_false(match("a/**", "a", true));
    assert_true(match("a", "a", true));
    assert_false(match(".", "a", true));
    assert_false(match("a/*", "a", true));
    assert_false(match("a/{b,}", "a", true));
    assert_true(match("{a/,b}", "a", true));
    assert_false(match("{a/,b}", "a", false));
    assert_true(match("{a/,b/}c", "a/c", false));
    assert_true(match("a//", "a", true));
}

static void refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "an empty pattern"},
        {"/a", "pattern /a: is absolute; patterns are relative to a directory"},
        {"../a", "pattern ../a: \"..\" would leave the directory"},
        {"a/..", "pattern a/..: \"..\" would leave the directory"},
        {"a[", "pattern a[: '[' without its ']' (a bracket itself is written \\[)"},
        {"a[b", "pattern a[b: '[' without its ']' (a bracket itself is written \\[)"},
        {"[\\", "pattern [\\: '[' without its ']' (a bracket itself is written \\[)"},
        {"[]", "pattern []: '[' without its ']' (a bracket itself is written \\[)"},
        {"[z-a]", "pattern [z-a]: a range in brackets runs backwards"},
        {"[[:alpha:]]",
         "pattern [[:alpha:]]: named classes like [:alpha:] are not known (a bracket "
         "itself is \\[)"},
        {"{a,b", "pattern {a,b: '{' without its '}' (a brace itself is written \\{)"},
        {"{a,{b}", "pattern {a,{b}: '{' without its '}' (a brace itself is written \\{)"},
        {"a\\", "pattern a\\: ends with a lone backslash"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tt_glob *glob;
        struct tt_error *err = NULL;
        assert_int_equal(tt_glob_new(&glob, &rows[i][0], 1, &err), -TT_INVALID);
        assert_string_equal(err->message, rows[i][1]);
        tt_error_free(err);
    }
    char deep[301];
    memset(deep, '{', 300);
    deep[300] = 0;
    const char *one = deep;
    struct tt_glob *glob;
    assert_int_equal(tt_glob_new(&glob, &one, 1, NULL), -TT_INVALID);
    char *longest = tt_zalloc(65538);
    memset(longest, 'a', 65537);
    one = longest;
    assert_int_equal(tt_glob_new(&glob, &one, 1, NULL), -TT_INVALID);
    free(longest);
}

static void hits_tell_which(void **state)
{
    (void)state;
    static const char *const patterns[] = {"*.c", "a.*", "b", "a.c/"};
    struct tt_glob *glob;
    assert_int_equal(tt_glob_new(&glob, patterns, 4, NULL), 0);
    bool hits[4] = {false};
    assert_true(tt_glob_match(glob, "a.c", false, hits));
    assert_true(hits[0] && hits[1] && !hits[2] && !hits[3]);
    assert_true(tt_glob_match(glob, "a.c", true, hits));
    assert_true(hits[3]);
    assert_false(tt_glob_match(glob, "x", false, hits));
    tt_glob_free(glob);
    assert_int_equal(tt_glob_new(&glob, NULL, 0, NULL), 0);
    assert_false(tt_glob_match(glob, "x", false, NULL));
    tt_glob_free(glob);
}

/* Whether walking down to `path` (all but its last name directories) reaches and matches it. */
static bool walk(const char *pattern, const char *path, const char *link, bool *entered)
{
    struct tt_glob *glob;
    assert_int_equal(tt_glob_new(&glob, &pattern, 1, NULL), 0);
    char *place = tt_alloc(tt_glob_place_size(glob)), *below = tt_alloc(tt_glob_place_size(glob));
    char *names = tt_strdup(path), *rest = names, *name = strtok_r(rest, "/", &rest);
    bool reached = true, matched = false;
    tt_glob_top(glob, place);
    while (name) {
        char *next = strtok_r(rest, "/", &rest);
        if (!next) {
            matched = reached && tt_glob_match_in(glob, place, name, false);
            break;
        }
        reached = reached && tt_glob_enter(glob, place, name, strcmp(name, link) == 0, below);
        char *swap = place;
        place = below;
        below = swap;
        name = next;
    }
    *entered = reached;
    free(names);
    free(place);
    free(below);
    tt_glob_free(glob);
    return matched;
}

static void walking_prunes(void **state)
{
    (void)state;
    bool entered;
    assert_true(walk("a/b/c", "a/b/c", "", &entered));
    assert_false(walk("a/b/c", "a/x/c", "", &entered));
    assert_false(entered);
    assert_false(walk("*.c", "d/a.c", "", &entered));
    assert_false(entered);
    assert_false(walk("a/", "a/x", "", &entered));
    assert_false(entered);
    assert_false(walk("src/**", "node_modules/x", "", &entered));
    assert_false(entered);
    assert_true(walk("src/**", "src/a/b", "", &entered));
}

static void deep_does_not_follow_links(void **state)
{
    (void)state;
    bool entered;
    assert_false(walk("**", "l/a", "l", &entered));
    assert_false(entered);
    assert_false(walk("**/a", "l/a", "l", &entered));
    assert_false(entered);
    assert_false(walk("x/**", "x/y/l/a", "l", &entered));
    assert_false(entered);
    assert_true(walk("l/a", "l/a", "l", &entered));
    assert_true(walk("l/**", "l/a/b", "l", &entered));
    assert_true(walk("*/a", "l/a", "l", &entered));
    assert_true(walk("x/**/l/a", "x/l/a", "l", &entered));
}

static void plain_prefix(void **state)
{
    (void)state;
    assert_int_equal(tt_glob_plain("/etc/conf.d/*.conf"), 12);
    assert_int_equal(tt_glob_plain("*.c"), 0);
    assert_int_equal(tt_glob_plain("a/b.c"), 2);
    assert_int_equal(tt_glob_plain("a/{b/c}"), 2);
}

static void hostile_patterns_take_linear_time(void **state)
{
    (void)state;
    char path[2001];
    struct tt_buf pattern = {0};
    memset(path, 'a', 2000);
    path[2000] = 0;
    for (int i = 0; i < 500; i++)
        tt_buf_text(&pattern, "a*{a,a}");
    tt_buf_text(&pattern, "b");
    assert_false(match(pattern.data, path, false)); /* in this life */
    pattern.length = 0;
    for (int i = 0; i < 200; i++)
        tt_buf_text(&pattern, "**/*/");
    tt_buf_text(&pattern, "b");
    for (int i = 1; i < 2000; i += 2)
        path[i] = '/';
    assert_false(match(pattern.data, path, false));
    tt_buf_free(&pattern);
}

/* The slow and obvious matcher: no braces, one byte characters. */
static bool slow(const char *p, const char *t, bool start)
{
    if (!*p)
        return !*t;
    if (start && p[0] == '*' && p[1] == '*' && (p[2] == '/' || !p[2])) {
        if (p[2] && slow(p + 3, t, true))
            return true;
        for (const char *s = t; *s; s++) {
            if (!p[2] && !s[1])
                return true;
            if (p[2] && *s == '/' && slow(p + 3, s + 1, true))
                return true;
        }
        return false;
    }
    if (*p == '*') {
        while (*p == '*')
            p++;
        for (const char *s = t;; s++) {
            if (slow(p, s, false))
                return true;
            if (!*s || *s == '/')
                return false;
        }
    }
    if (*p == '?')
        return *t && *t != '/' && slow(p + 1, t + 1, false);
    return *p == *t && slow(p + 1, t + 1, *p == '/');
}

static uint64_t seed = 7;
static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void agrees_with_the_slow_matcher(void **state)
{
    (void)state;
    int matches = 0;
    for (int round = 0; round < 300000; round++) {
        static const char *const pieces[] = {"a", "b", "*", "?", "/", "**", "**/", "a/"};
        struct tt_buf buf = {0};
        char path[32];
        for (unsigned i = 0, n = 1 + roll(6); i < n; i++) {
            const char *piece = pieces[roll(8)];
            if (*piece == '/' && (!buf.length || buf.data[buf.length - 1] == '/'))
                continue; /* the slow one does not normalise */
            tt_buf_text(&buf, piece);
        }
        char *pattern = tt_buf_take(&buf);
        size_t length = 0;
        for (unsigned i = 0, n = 1 + roll(4); i < n; i++) {
            if (i)
                path[length++] = '/';
            for (unsigned k = 0, m = 1 + roll(2); k < m; k++)
                path[length++] = "ab"[roll(2)];
        }
        path[length] = 0;
        if (!*pattern || strstr(pattern, "***")) {
            free(pattern);
            continue;
        }
        bool expected = slow(pattern, path, true);
        matches += expected;
        if (match(pattern, path, false) != expected) {
            print_error("%s on %s: wanted %d\n", pattern, path, expected);
            fail();
        }
        bool entered;
        if (walk(pattern, path, "", &entered) != expected) {
            print_error("walking %s on %s: wanted %d\n", pattern, path, expected);
            fail();
        }
        free(pattern);
    }
    assert_true(matches > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(directories),
        cmocka_unit_test(refused),
        cmocka_unit_test(hits_tell_which),
        cmocka_unit_test(walking_prunes),
        cmocka_unit_test(deep_does_not_follow_links),
        cmocka_unit_test(plain_prefix),
        cmocka_unit_test(hostile_patterns_take_linear_time),
        cmocka_unit_test(agrees_with_the_slow_matcher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
