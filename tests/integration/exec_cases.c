/* Commands, the same cases for each kind of environment. */
#include "exec_cases.h"

struct tt_env *exec_env;
struct tt_env *(*exec_env_named)(const char *name);

void exec_output_and_code(void **state)
{
    (void)state;
    struct tt_result *r = run_shell(exec_env, "echo out; echo err >&2; exit 3");
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 3);
    assert_string_equal(r->out.data, "out\n");
    assert_string_equal(r->err.data, "err\n");
    assert_string_equal(r->env, exec_env->text);
    tt_result_release(r);
}

void exec_words_arrive_exactly(void **state)
{
    (void)state;
    char *words[] = {"printf", "[%s]",        "a b",          "$HOME", "$(id); 'x", "\"q\"",
                     "",       "new\nline\n", "\xff\xfe\n\n", "-n",    "*",         NULL};
    struct tt_result *r = run_words(exec_env, words);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "[a b][$HOME][$(id); 'x][\"q\"][][new\nline\n][\xff\xfe\n\n]"
                                     "[-n][*]");
    tt_result_release(r);
}

void exec_cwd_and_env(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("pwd; echo \"$A|$B\""),
                                 .cwd = tt_strdup("/etc")};
    tt_command_set_var(&command, "A", "a 'b' $c");
    tt_command_set_var(&command, "B", "\xfe x\n");
    struct tt_result *r = run_command(exec_env, &command, NULL);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "/etc\na 'b' $c|\xfe x\n\n");
    tt_result_release(r);
    free(command.cwd);
    command.cwd = tt_strdup("/no/such");
    r = run_command(exec_env, &command, NULL);
    assert_result(r, TT_CWD);
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    tt_command_clear(&command);
}

void exec_codes(void **state)
{
    (void)state;
    char *missing[] = {"no-such-program", NULL};
    struct tt_result *r = run_words(exec_env, missing);
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    char *folder[] = {"/etc", NULL};
    r = run_words(exec_env, folder);
    assert_result(r, TT_PERMISSION);
    tt_result_release(r);
    r = run_shell(exec_env, "kill -KILL $$");
    assert_result(r, TT_SIGNAL);
    assert_int_equal(r->signal, SIGKILL);
    tt_result_release(r);
}

void exec_stdin_reaches_and_ends(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.input = "some input";
    options.input_length = 10;
    struct tt_command command = {.shell = tt_strdup("cat; echo .")};
    struct tt_result *r = run_command(exec_env, &command, &options);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "some input.\n");
    tt_result_release(r);
    r = run_command(exec_env, &command, NULL); /* none: end of file at once */
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, ".\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

void exec_megabyte_for_nobody(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.input_length = 4 << 20;
    options.input = tt_zalloc(options.input_length);
    struct tt_command command = {.shell = tt_strdup("true")};
    struct tt_result *r = run_command(exec_env, &command, &options);
    assert_result(r, TT_OK);
    tt_result_release(r);
    tt_command_clear(&command);
    free((void *)(uintptr_t)options.input);
}

void exec_megabytes_both_ways(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    size_t size = 5 << 20;
    char *bytes = tt_alloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    options.input = bytes;
    options.input_length = size;
    struct tt_command command = {.shell = tt_strdup("tee /dev/stderr")};
    struct tt_result *r = run_command(exec_env, &command, &options);
    assert_result(r, TT_OK);
    assert_int_equal(r->out.length, size);
    assert_memory_equal(r->out.data, bytes, size);
    assert_int_equal(r->err.length, size);
    assert_memory_equal(r->err.data, bytes, size);
    tt_result_release(r);
    tt_command_clear(&command);
    free(bytes);
}

void exec_timeout_kills_the_group(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.proc.timeout = 2000; /* it has to begin */
    options.proc.grace = 300;
    struct tt_command command = {
        .shell = tt_strdup("echo began; trap '' TERM; (trap '' TERM; sleep 7731) & sleep 7732")};
    int64_t from = tt_loop_now(loop);
    struct tt_result *r = run_command(exec_env, &command, &options);
    assert_result(r, TT_TIMEOUT);
    assert_string_equal(r->out.data, "began\n");
    assert_in_range(tt_loop_now(loop) - from, 2300, 15000);
    tt_result_release(r);
    tt_command_clear(&command);
    r = run_shell(exec_env, "ps | grep '[s]leep 773' || echo none");
    assert_string_equal(r->out.data, "none\n");
    tt_result_release(r);
}

void exec_quick_end_by_term(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.proc.timeout = 300;
    options.proc.grace = 10000;
    char *words[] = {"sleep", "7733", NULL};
    struct tt_command given = {.argv = words}, command;
    tt_command_copy(&command, &given);
    int64_t from = tt_loop_now(loop);
    struct tt_result *r = run_command(exec_env, &command, &options);
    assert_result(r, TT_TIMEOUT);
    assert_in_range(tt_loop_now(loop) - from, 300, 9000);
    tt_result_release(r);
    tt_command_clear(&command);
}

void exec_background_child(void **state)
{
    (void)state;
    int64_t from = tt_loop_now(loop);
    struct tt_result *r = run_shell(exec_env, "sleep 7 & echo done; exit 4");
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 4);
    assert_string_equal(r->out.data, "done\n");
    assert_true(tt_loop_now(loop) - from < 5000); /* not the seven seconds of the child */
    tt_result_release(r);
    r = run_shell(exec_env, "ps | grep '[s]leep 7$' | wc -l");
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "1\n");
    tt_result_release(r);
}

void exec_terminal(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("test -t 0 && test -t 1 && echo tty; exit 6"),
                                 .pty = true,
                                 .stdin_open = true};
    struct tt_result *r = run_command(exec_env, &command, NULL);
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 6);
    assert_string_equal(r->out.data, "tty\r\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

void exec_many_at_once(void **state)
{
    (void)state;
    enum { count = 20 };
    struct tt_op *ops[count];
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    for (int i = 0; i < count; i++) {
        struct tt_command command = {.shell = tt_format("echo %d; exit %d", i, i % 3)};
        ops[i] = tt_capture(exec_env, root, &command, &options);
        tt_command_clear(&command);
    }
    for (int i = 0; i < count; i++) {
        await(ops[i]);
        assert_done(ops[i]);
        assert_int_equal(tt_result_of(ops[i])->code, i % 3);
        assert_int_equal(atoi(tt_result_of(ops[i])->out.data), i);
        tt_op_release(ops[i]);
    }
}

void exec_nowhere(void **state)
{
    (void)state;
    struct tt_env *none = exec_env_named("no-such-thing");
    struct tt_result *r = run_shell(none, "true");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    tt_env_release(none);
}

void exec_refused_names(void **state)
{
    (void)state;
    const char *names[] = {"a; curl x", "../x", "", "-x", "a/b", "a b", "a\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(exec_env_named(names[i]));
}
