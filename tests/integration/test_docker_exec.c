/* Commands in a container of a real dockerd. */
#include "harness.h"

#include "executors/docker/docker.h"

static struct tt_env *box, *bare;

#define SUPPORT "\"$TUTTI_TOP/tests/support/dockerd\""

static struct tt_env *env_of(const char *name)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    struct tx_docker_where where = {0};
    tx_docker_env_new(&env, loop, name, &where, &err);
    if (err)
        print_error("%s\n", err->message);
    assert_non_null(env);
    return env;
}

static int set_up(void **state)
{
    set_up_loop(state);
    box = env_of("exec-box");
    bare = env_of("exec-bare");
    return 0;
}

static int tear_down(void **state)
{
    tt_env_release(box);
    tt_env_release(bare);
    return tear_down_loop(state);
}

static void output_and_code(void **state)
{
    (void)state;
    struct tt_result *r = run_shell(box, "echo out; echo err >&2; exit 3");
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 3);
    assert_string_equal(r->out.data, "out\n");
    assert_string_equal(r->err.data, "err\n");
    assert_string_equal(r->env, "docker://exec-box");
    tt_result_release(r);
}

static void words_arrive_exactly(void **state)
{
    (void)state;
    char *words[] = {"printf", "[%s]",        "a b",          "$HOME", "$(id); 'x", "\"q\"",
                     "",       "new\nline\n", "\xff\xfe\n\n", "-n",    "*",         NULL};
    struct tt_result *r = run_words(box, words);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "[a b][$HOME][$(id); 'x][\"q\"][][new\nline\n][\xff\xfe\n\n]"
                                     "[-n][*]");
    tt_result_release(r);
}

static void cwd_env_user(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("pwd; echo \"$A|$B\"; id -u"),
                                 .cwd = tt_strdup("/home/user"),
                                 .user = tt_strdup("user")};
    tt_command_set_var(&command, "A", "a 'b' $c");
    tt_command_set_var(&command, "B", "\xfe x\n");
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "/home/user\na 'b' $c|\xfe x\n\n1000\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

static void relative_cwd(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("pwd"), .cwd = tt_strdup("home/user")};
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "/home/user\n");
    tt_result_release(r);
    free(command.cwd);
    command.cwd = tt_strdup("no/such");
    r = run_command(box, &command, NULL);
    assert_result(r, TT_CWD);
    tt_result_release(r);
    tt_command_clear(&command);
}

static void bad_cwd_and_user(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("echo ran"), .cwd = tt_strdup("/no/such")};
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_CWD);
    assert_int_equal(r->code, -1);
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    tt_command_clear(&command);
    command = (struct tt_command){.shell = tt_strdup("echo ran"), .user = tt_strdup("nobody-here")};
    r = run_command(box, &command, NULL);
    assert_result(r, TT_PERMISSION);
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    tt_command_clear(&command);
}

static void codes(void **state)
{
    (void)state;
    char *missing[] = {"no-such-program", NULL};
    struct tt_result *r = run_words(box, missing);
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    char *folder[] = {"/etc", NULL};
    r = run_words(box, folder);
    assert_result(r, TT_PERMISSION);
    tt_result_release(r);
    r = run_shell(box, "kill -KILL $$");
    assert_result(r, TT_SIGNAL);
    assert_int_equal(r->signal, SIGKILL);
    tt_result_release(r);
}

static void stdin_reaches_and_ends(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.input = "some input";
    options.input_length = 10;
    struct tt_command command = {.shell = tt_strdup("cat; echo .")};
    struct tt_result *r = run_command(box, &command, &options);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "some input.\n");
    tt_result_release(r);
    r = run_command(box, &command, NULL); /* none: end of file at once */
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, ".\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

static void megabyte_for_nobody(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.input_length = 4 << 20;
    options.input = tt_zalloc(options.input_length);
    struct tt_command command = {.shell = tt_strdup("true")};
    struct tt_result *r = run_command(box, &command, &options);
    assert_result(r, TT_OK);
    tt_result_release(r);
    tt_command_clear(&command);
    free((void *)(uintptr_t)options.input);
}

static void megabytes_both_ways(void **state)
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
    struct tt_result *r = run_command(box, &command, &options);
    assert_result(r, TT_OK);
    assert_int_equal(r->out.length, size);
    assert_memory_equal(r->out.data, bytes, size);
    assert_int_equal(r->err.length, size);
    assert_memory_equal(r->err.data, bytes, size);
    tt_result_release(r);
    tt_command_clear(&command);
    free(bytes);
}

static void timeout_kills_the_group(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.proc.timeout = 2000; /* it has to begin */
    options.proc.grace = 300;
    struct tt_command command = {
        .shell = tt_strdup("echo began; trap '' TERM; (trap '' TERM; sleep 7731) & sleep 7732")};
    int64_t from = tt_loop_now(loop);
    struct tt_result *r = run_command(box, &command, &options);
    assert_result(r, TT_TIMEOUT);
    assert_string_equal(r->out.data, "began\n");
    assert_in_range(tt_loop_now(loop) - from, 2300, 15000);
    tt_result_release(r);
    tt_command_clear(&command);
    r = run_shell(box, "ps | grep '[s]leep 773' || echo none");
    assert_string_equal(r->out.data, "none\n");
    tt_result_release(r);
}

static void quick_end_by_term(void **state)
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
    struct tt_result *r = run_command(box, &command, &options);
    assert_result(r, TT_TIMEOUT);
    assert_in_range(tt_loop_now(loop) - from, 300, 9000);
    tt_result_release(r);
    tt_command_clear(&command);
}

static void background_child(void **state)
{
    (void)state;
    struct tt_result *r = run_shell(box, "sleep 700 & echo done; exit 4");
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 4);
    assert_string_equal(r->out.data, "done\n");
    tt_result_release(r);
}

static void terminal(void **state)
{
    (void)state;
    struct tt_command command = {
        .shell = tt_strdup("test -t 0 && test -t 1 && echo tty"), .pty = true, .stdin_open = true};
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "tty\r\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

static void without_a_shell(void **state)
{
    (void)state;
    char *words[] = {"/echo", "a b", "$HOME", NULL};
    for (int i = 0; i < 2; i++) { /* the second time it is known */
        struct tt_result *r = run_words(bare, words);
        assert_result(r, TT_OK);
        assert_string_equal(r->out.data, "a b $HOME\n");
        tt_result_release(r);
    }
    char *missing[] = {"/none", NULL};
    struct tt_result *r = run_words(bare, missing);
    assert_result(r, TT_NOT_FOUND);
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    char *says[] = {"/echo", "OCI runtime exec failed: not really", NULL};
    r = run_words(bare, says);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "OCI runtime exec failed: not really\n");
    tt_result_release(r);
    r = run_shell(bare, "echo x");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
}

static void kill_without_a_shell(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.proc.timeout = 200;
    options.proc.grace = 300;
    char *words[] = {"/sleep", "7734", NULL};
    struct tt_command given = {.argv = words}, command;
    tt_command_copy(&command, &given);
    struct tt_result *r = run_command(bare, &command, &options);
    assert_result(r, TT_TIMEOUT);
    tt_result_release(r);
    tt_command_clear(&command);
    assert_int_equal(
        host("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q '/[s]leep 7734 '"), 1);
}

static void missing_container(void **state)
{
    (void)state;
    struct tt_env *none = env_of("no-such-container");
    struct tt_result *r = run_shell(none, "true");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    tt_env_release(none);
}

static void stopped_container(void **state)
{
    (void)state;
    assert_int_equal(host(SUPPORT " container \"$TUTTI_TEST_DOCKER_DIR\" exec-stopped && " SUPPORT
                                  " api \"$TUTTI_TEST_DOCKER_DIR\" POST "
                                  "'/containers/exec-stopped/stop?t=0' >/dev/null"),
                     0);
    struct tt_env *stopped = env_of("exec-stopped");
    struct tt_result *r = run_shell(stopped, "true");
    assert_result(r, TT_CONNECT);
    tt_result_release(r);
    tt_env_release(stopped);
    host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-stopped");
}

static void removed_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(host(SUPPORT " container \"$TUTTI_TEST_DOCKER_DIR\" exec-gone"), 0);
    struct tt_env *gone = env_of("exec-gone");
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    struct tt_command command = {.shell = tt_strdup("echo began; sleep 100")};
    struct tt_op *op = tt_capture(gone, root, &command, &options);
    pass(700);
    assert_false(tt_op_finished(op));
    assert_int_equal(host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-gone"), 0);
    await(op);
    assert_done(op);
    assert_result(tt_result_of(op), TT_LOST);
    assert_int_equal(tt_result_of(op)->code, -1);
    tt_op_release(op);
    tt_command_clear(&command);
    tt_env_release(gone);
}

static void refused_names(void **state)
{
    (void)state;
    const char *names[] = {"a; curl x", "../x", "", "-x", "a/b", "a b", "a\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tt_env *env = NULL;
        struct tt_error *err = NULL;
        struct tx_docker_where where = {.host = "unix:///no/such/socket"};
        assert_int_equal(tx_docker_env_new(&env, loop, names[i], &where, &err), -TT_INVALID);
        tt_error_free(err);
    }
}

static void no_daemon(void **state)
{
    (void)state;
    struct tt_env *env = NULL;
    struct tx_docker_where where = {.host = "unix:///no/such/socket"};
    assert_int_equal(tx_docker_env_new(&env, loop, "box", &where, NULL), 0);
    struct tt_result *r = run_shell(env, "true");
    assert_result(r, TT_CONNECT);
    tt_result_release(r);
    tt_env_release(env);
}

static void many_at_once(void **state)
{
    (void)state;
    enum { count = 20 };
    struct tt_op *ops[count];
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    for (int i = 0; i < count; i++) {
        struct tt_command command = {.shell = tt_format("echo %d; exit %d", i, i % 3)};
        ops[i] = tt_capture(box, root, &command, &options);
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

static void over_tls(void **state)
{
    (void)state;
    char *certificates = tt_format("%s/tls", getenv("TUTTI_TEST_DOCKER_DIR"));
    struct tx_docker_where where = {.host = getenv("TUTTI_TEST_DOCKER_TLS_HOST"),
                                    .cert_path = certificates};
    struct tt_env *env = NULL;
    assert_int_equal(tx_docker_env_new(&env, loop, "exec-box", &where, NULL), 0);
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.input = "half-closed";
    options.input_length = 11;
    struct tt_command command = {.shell = tt_strdup("cat; exit 5")};
    struct tt_result *r = run_command(env, &command, &options);
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 5);
    assert_string_equal(r->out.data, "half-closed");
    tt_result_release(r);
    tt_command_clear(&command);
    tt_env_release(env);
    free(certificates);
}

static void wrong_authority(void **state)
{
    (void)state;
    struct tx_docker_where where = {.host = getenv("TUTTI_TEST_DOCKER_TLS_HOST"),
                                    .cert_path = "/nonexistent"};
    struct tt_env *env = NULL;
    assert_int_equal(tx_docker_env_new(&env, loop, "exec-box", &where, NULL), 0);
    struct tt_result *r = run_shell(env, "true");
    assert_result(r, TT_HOST_KEY);
    tt_result_release(r);
    tt_env_release(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_and_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_arrive_exactly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cwd_env_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(relative_cwd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_cwd_and_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(codes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stdin_reaches_and_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(megabyte_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(megabytes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timeout_kills_the_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quick_end_by_term, set_up, tear_down),
        cmocka_unit_test_setup_teardown(background_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_shell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kill_without_a_shell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removed_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_daemon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(over_tls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_authority, set_up, tear_down),
    };
    host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-box 2>&1; " SUPPORT
                 " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-bare 2>&1; true");
    if (host(SUPPORT " container \"$TUTTI_TEST_DOCKER_DIR\" exec-box && " SUPPORT
                     " container \"$TUTTI_TEST_DOCKER_DIR\" exec-bare noshell:local") != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("docker exec", tests, NULL, NULL);
    host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-box; " SUPPORT
                 " remove \"$TUTTI_TEST_DOCKER_DIR\" exec-bare");
    return failed;
}
