/* Quoting, judged by the shells themselves. */
#include "core/base/quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const shells[][3] = {
    {"/bin/sh", "sh", NULL},
    {"/bin/dash", "dash", NULL},
    {"/bin/bash", "bash", NULL},
    {"/bin/busybox", "busybox", "sh"},
};

/* What `shell -c line` prints. */
static struct tt_buf shell_prints(size_t shell, const char *line)
{
    const char *const *s = shells[shell];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (s[2])
            execl(s[0], s[1], s[2], "-c", line, NULL);
        else
            execl(s[0], s[1], "-c", line, NULL);
        _exit(127);
    }
    close(ends[1]);
    struct tt_buf out = {0};
    for (;;) {
        char *room = tt_buf_reserve(&out, 4096);
        ssize_t got = read(ends[0], room, 4096);
        if (got <= 0)
            break;
        out.length += (size_t)got;
    }
    close(ends[0]);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    return out;
}

static void check_words(const struct tt_word *words, size_t count)
{
    struct tt_buf line = {0}, expected = {0};
    struct tt_words value = {words, count};
    struct tt_error *err = NULL;
    /* %s\0 of each operand: words and their borders, byte by byte */
    static const char format[] = "printf '%%s\\000' %s";
    assert_int_equal(tt_quote_expand(&line, format, sizeof format - 1, &value, 1, &err), 0);
    for (size_t i = 0; i < count; i++) {
        tt_buf_add(&expected, words[i].bytes, words[i].length);
        tt_buf_add(&expected, "", 1);
    }
    for (size_t shell = 0; shell < sizeof shells / sizeof *shells; shell++) {
        if (access(shells[shell][0], X_OK) != 0)
            continue;
        struct tt_buf got = shell_prints(shell, line.data);
        assert_int_equal(got.length, expected.length);
        assert_memory_equal(got.data, expected.data, expected.length);
        tt_buf_free(&got);
    }
    tt_buf_free(&line);
    tt_buf_free(&expected);
}

static void hostile_values_arrive_exactly(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "",
        " ",
        "'",
        "''",
        "a'b",
        "'\\''",
        "\"",
        "\\",
        "\\\\",
        "a\\",
        "$(id)",
        "`id`",
        "$HOME",
        "${HOME}",
        "$((1+1))",
        "$(id); 'x",
        "\n",
        "a\nb\n",
        "\n\n",
        "\r\n",
        "\t",
        "-n",
        "--",
        "-e a",
        "*",
        "?",
        "[a-z]",
        "~",
        "~root",
        "a~",
        "!",
        "!!",
        "#",
        "a#b",
        ";",
        "&",
        "&&",
        "|",
        "<",
        ">",
        "(",
        ")",
        "{a,b}",
        "A=b",
        "=",
        "%s",
        "%%",
        "%n",
        "\x01\x02\x7f",
        "\xff\xfe",
        "\xc3",
        "\xed\xa0\x80",
        "\x81'",
        "\xe5\\",
        "f\xc3\xbc\xc3\x9f \xe6\x97\xa5",
        "if",
        "done",
        "2>&1",
        "a b",
    };
    enum { count = sizeof hostile / sizeof *hostile };
    struct tt_word words[count];
    for (size_t i = 0; i < count; i++) {
        words[i] = (struct tt_word){hostile[i], strlen(hostile[i])};
        check_words(&words[i], 1);
    }
    check_words(words, count);
}

static void every_byte_arrives(void **state)
{
    (void)state;
    struct tt_word words[255];
    static char bytes[255], all[255];
    for (int i = 0; i < 255; i++) {
        bytes[i] = all[i] = (char)(i + 1);
        words[i] = (struct tt_word){&bytes[i], 1};
    }
    check_words(words, 255);
    check_words(&(struct tt_word){all, 255}, 1);
}

static void random_words_arrive(void **state)
{
    (void)state;
    static const char alphabet[] = "'\\\"$`(){}!~*?[]#&|;<>= \n\t\r-%aZ0\x80\xc3\xff";
    uint64_t random = 42;
    static char bytes[200][24];
    struct tt_word words[200];
    for (size_t i = 0; i < 200; i++) {
        for (size_t k = 0; k < 24; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i][k] = alphabet[(random >> 33) % (sizeof alphabet - 1)];
        }
        words[i] = (struct tt_word){bytes[i], i % 24};
    }
    check_words(words, 200);
}

static void expect(const char *format, const struct tt_words *values, size_t count,
                   const char *result)
{
    struct tt_buf out = {0};
    tt_buf_text(&out, ">");
    struct tt_error *err = NULL;
    int rc = tt_quote_expand(&out, format, strlen(format), values, count, &err);
    if (rc < 0) {
        assert_int_equal(rc, -TT_INVALID);
        assert_string_equal(err->message, result);
        assert_string_equal(out.data, ">");
    } else {
        assert_string_equal(out.data + 1, result);
    }
    tt_error_free(err);
    tt_buf_free(&out);
}

static void placeholders(void **state)
{
    (void)state;
    struct tt_word two[] = {{"a b", 3}, {"c", 1}};
    struct tt_word nul = {"a\0b", 3};
    struct tt_words values[] = {{two, 1}, {two, 2}};
    expect("tar czf %s %s", values, 2, "tar czf 'a b' 'a b' c");
    expect("%s%s", values, 2, "'a b''a b' c");
    expect("100%% %s", values, 1, "100% 'a b'");
    expect("%%s %s", values, 1, "%s 'a b'");
    expect("ls", values, 1, "the command has 0 %s and got 1 value");
    expect("%s", values, 2, "the command has 1 %s and got 2 values");
    expect("%s %s %s", values, 2, "the command has 3 %s and got 2 values");
    expect("%s %d", values, 2,
           "placeholder 2: %d is not one: only %s is, and %% for a percent sign");
    expect("%s %", values, 1,
           "placeholder 2: the command ends with a lone % (write %% for a percent sign)");
    expect("%s %\xff", values, 1,
           "placeholder 2: % followed by byte 0xff is not one: only %s is, and %% for a percent "
           "sign");
    expect("%s", &(struct tt_words){two, 0}, 1, "placeholder 1: an empty list stands for nothing");
    expect("%s", &(struct tt_words){&nul, 1}, 1,
           "placeholder 1: the value has a NUL byte, which no command line can carry");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_values_arrive_exactly),
        cmocka_unit_test(every_byte_arrives),
        cmocka_unit_test(random_words_arrive),
        cmocka_unit_test(placeholders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
