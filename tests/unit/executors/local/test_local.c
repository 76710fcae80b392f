/* Commands of this machine: what they are given, what they say, how they end. */
#include "local_support.h"

/* --- command, result, kind --- */

static void a_string_goes_to_the_shell(void **state)
{
    (void)state;
    struct tt_result *r = sh("echo out; echo err >&2");
    assert_says(r, "out\n");
    assert_string_equal(r->err.data, "err\n");
    assert_string_equal(r->env, "local:");
    assert_int_equal(r->code, 0);
    assert_null(r->message);
    tt_result_release(r);
    r = sh("-v; echo is not an option");
    assert_contains(r->out.data, "is not an option");
    tt_result_release(r);
}

static void argv_arrives_byte_exact(void **state)
{
    (void)state;
    struct tt_result *r = words((char *[]){"printf", "[%s]", "$(id); 'x", "", "-n", " a\n\tb ",
                                           "\xff\xfe*?\\\"`", "ü", NULL});
    assert_says(r, "[$(id); 'x][][-n][ a\n\tb ][\xff\xfe*?\\\"`][ü]");
    tt_result_release(r);
}

static void ends_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum tt_kind kind;
        int code, signal;
    } rows[] = {
        {"exit 3", TT_EXIT, 3, 0},
        {"kill -KILL $$", TT_SIGNAL, 137, 9},
        {"exit 137", TT_SIGNAL, 137, 9},
        {"kill -TERM $$", TT_SIGNAL, 143, 15},
        {"no-such-command-anywhere", TT_NOT_FOUND, 127, 0},
        {"/etc/passwd", TT_PERMISSION, 126, 0},
        {"exit 255", TT_EXIT, 255, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tt_result *r = sh(rows[i].line);
        assert_int_equal(r->kind, rows[i].kind);
        assert_int_equal(r->code, rows[i].code);
        assert_int_equal(r->signal, rows[i].signal);
        tt_result_release(r);
    }
}

static void the_launcher_says_what_failed(void **state)
{
    (void)state;
    struct tt_result *r = words((char *[]){"no-such-command-anywhere", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    assert_int_equal(r->code, -1);
    assert_contains(r->message, "no-such-command-anywhere");
    tt_result_release(r);
    r = words((char *[]){"/no/such", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    r = words((char *[]){"", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    r = words((char *[]){"/etc/passwd", NULL});
    assert_int_equal(r->kind, TT_PERMISSION);
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "echo never", .cwd = "/no/such/folder"});
    assert_int_equal(r->kind, TT_CWD);
    assert_int_equal(r->code, -1);
    assert_contains(r->message, "/no/such/folder");
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    /* a bad directory and a bad command: the directory comes first */
    r = capture(&(struct tt_command){.argv = (char *[]){"/no/such", NULL}, .cwd = "/etc/passwd"});
    assert_int_equal(r->kind, TT_CWD);
    tt_result_release(r);
    assert_no_zombie();
}

static void too_long_is_invalid(void **state)
{
    (void)state;
    char *long_word = malloc(200000);
    memset(long_word, 'x', 199999);
    long_word[199999] = 0;
    struct tt_op *op = tt_capture(
        here, root, &(struct tt_command){.argv = (char *[]){"true", long_word, NULL}}, &options);
    await(op);
    assert_int_equal(op->error->kind, TT_INVALID);
    tt_op_release(op);
    free(long_word);
}

static void cwd_and_env_take_effect(void **state)
{
    (void)state;
    struct tt_var vars[] = {{"A", "1 $x\n'"}, {"HOME", "/elsewhere"}};
    setenv("TEST_INHERITED", "yes", 1);
    struct tt_result *r =
        capture(&(struct tt_command){.shell = "pwd; printf '%s' \"$A|$HOME|$TEST_INHERITED\"",
                                     .cwd = "/usr/bin",
                                     .vars = vars,
                                     .var_count = 2});
    assert_says(r, "/usr/bin\n1 $x\n'|/elsewhere|yes");
    tt_result_release(r);
}

static void write_script(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, 0755);
    close(fd);
}

static void commands_are_found_along_the_childs_path(void **state)
{
    (void)state;
    char folder[] = "/tmp/tutti-test-XXXXXX", path[100];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/it", folder);
    write_script(path, "echo found $1\n"); /* without #!: a script for /bin/sh */
    struct tt_var vars[] = {{"PATH", "/no/such::/etc/passwd"}};
    struct tt_command command = {
        .argv = (char *[]){"it", "a  b", NULL}, .cwd = folder, .vars = vars, .var_count = 1};
    struct tt_result *r = capture(&command); /* the empty entry is the working directory */
    assert_says(r, "found a b\n");
    tt_result_release(r);
    vars[0].value = "/no/such";
    r = capture(&command);
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    vars[0].value = folder;
    command.cwd = NULL;
    r = capture(&command);
    assert_says(r, "found a b\n");
    tt_result_release(r);
    chmod(path, 0644);
    r = capture(&command);
    assert_int_equal(r->kind, TT_PERMISSION);
    tt_result_release(r);
    unlink(path);
    rmdir(folder);
}

static void root_runs_as_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct tt_result *r = capture(&(struct tt_command){
        .shell = "id -un; id -gn; id -Gn; echo $HOME $USER; cat /etc/shadow", .user = "nobody"});
    assert_int_equal(r->kind, TT_EXIT);
    assert_string_equal(r->out.data, "nobody\nnogroup\nnogroup\n/nonexistent nobody\n");
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "id -u", .user = "65534"});
    assert_says(r, "65534\n");
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "true", .user = "nobody", .cwd = "/root"});
    assert_int_equal(r->kind, TT_CWD);
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "true", .user = "no-such-user"});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    assert_contains(r->message, "no-such-user");
    tt_result_release(r);
    struct tt_op *op = tt_capture(
        here, root, &(struct tt_command){.shell = "true", .user = "nobody:adm"}, &options);
    await(op);
    assert_int_equal(op->error->kind, TT_UNSUPPORTED);
    tt_op_release(op);
}

static void usage_is_observed(void **state)
{
    (void)state;
    struct tt_result *r = sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_true(r->usage.cpu_user_s > 0.01);
    assert_true(r->usage.cpu_system_s >= 0);
    assert_true(r->usage.io_read_bytes >= 0 && r->usage.io_write_bytes >= 0);
    tt_result_release(r);
    r = sh("exec dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null");
    assert_in_range(r->usage.max_rss_bytes, 200 << 20, 300 << 20);
    tt_result_release(r);
    /* Our own memory is not reported as the command's. */
    char *large = malloc(300 << 20);
    memset(large, 1, 300 << 20);
    r = sh("true");
    assert_int_equal(r->usage.max_rss_bytes, large[12345] ? -1 : 0);
    tt_result_release(r);
    free(large);
}

/* --- output and input --- */

static void both_streams_arrive_byte_exact(void **state)
{
    (void)state;
    static const size_t sizes[] = {(64 << 10) - 1, (64 << 10) + 1, 5 << 20};
    for (size_t i = 0; i < 3; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "yes abcdefg | head -c %zu & yes 1234567 | head -c %zu >&2; wait", sizes[i],
                 sizes[i]);
        struct tt_result *r = sh(line);
        assert_int_equal(r->kind, TT_OK);
        assert_int_equal(r->out.length, sizes[i]);
        assert_int_equal(r->err.length, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            if (r->out.data[k] != "abcdefg\n"[k % 8] || r->err.data[k] != "1234567\n"[k % 8])
                fail_msg("byte %zu differs", k);
        tt_result_release(r);
    }
}

static void output_has_a_limit(void **state)
{
    (void)state;
    options.max_output = 100000;
    struct tt_result *r = sh("yes");
    assert_int_equal(r->kind, TT_OUTPUT_LIMIT);
    assert_int_equal(r->out.length, 100000);
    tt_result_release(r);
    options.keep_tail = 10;
    r = sh("yes abc | head -n 100000; printf end");
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data, "bc\nabc\nend");
    assert_true(r->truncated);
    tt_result_release(r);
}

static void stdin_is_given(void **state)
{
    (void)state;
    struct tt_result *r = sh("cat; echo end");
    assert_says(r, "end\n");
    tt_result_release(r);
    char *large = malloc(3 << 20);
    for (int i = 0; i < 3 << 20; i++)
        large[i] = (char)(i * 7);
    options.input = large;
    options.input_length = 3 << 20;
    r = sh("cat");
    assert_int_equal(r->kind, TT_OK);
    assert_int_equal(r->out.length, 3 << 20);
    assert_memory_equal(r->out.data, large, 3 << 20);
    tt_result_release(r);
    options.input_length = 1 << 20;
    r = sh("true");
    assert_int_equal(r->kind, TT_OK);
    tt_result_release(r);
    r = sh("exec <&-; sleep 0.1; echo fine");
    assert_says(r, "fine\n");
    tt_result_release(r);
    /* somebody in the background holds stdin and does not read it */
    const char *seconds = mark();
    char line[100];
    snprintf(line, sizeof line, "sleep %s >/dev/null 2>&1 <&0 & echo $!", seconds);
    r = sh(line);
    assert_int_equal(r->kind, TT_OK);
    assert_int_equal(kill(atoi(r->out.data), SIGKILL), 0);
    tt_result_release(r);
    free(large);
}

static void a_terminal_on_request(void **state)
{
    (void)state;
    struct tt_command command = {
        .shell = "test -t 1 && test -t 2 && ! test -t 0 && echo tty; echo err >&2; cat; "
                 "stty size </dev/tty; exit 4",
        .pty = true};
    struct tt_result *r = capture(&command);
    assert_int_equal(r->code, 4);
    assert_string_equal(r->out.data, "tty\r\nerr\r\n24 80\r\n");
    assert_int_equal(r->err.length, 0);
    tt_result_release(r);
    command.shell = "stty -echo; test -t 0 && echo ready; cat; echo end";
    options.input = "line\npart";
    options.input_length = 9;
    r = capture(&command);
    assert_int_equal(r->kind, TT_OK);
    assert_contains(r->out.data, "ready\r\n");
    assert_contains(r->out.data, "line\r\npartend\r\n");
    tt_result_release(r);
    options.input = NULL;
    options.input_length = 0;
    command.shell = "seq 100000";
    r = capture(&command);
    assert_int_equal(r->out.length, 688895);
    tt_result_release(r);
    options.proc.timeout = 300;
    command.shell = "trap '' TERM HUP; sleep 1000; sleep 1000";
    options.proc.grace = 200;
    r = capture(&command);
    assert_int_equal(r->kind, TT_TIMEOUT);
    tt_result_release(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_string_goes_to_the_shell),
        T(argv_arrives_byte_exact),
        T(ends_are_told_apart),
        T(the_launcher_says_what_failed),
        T(too_long_is_invalid),
        T(cwd_and_env_take_effect),
        T(commands_are_found_along_the_childs_path),
        T(root_runs_as_another_user),
        T(both_streams_arrive_byte_exact),
        T(output_has_a_limit),
        T(stdin_is_given),
        T(a_terminal_on_request),
        T(usage_is_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
