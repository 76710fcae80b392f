/* Commands in a container of a real dockerd. */
#include "exec_cases.h"

#include "executors/docker/docker.h"

static struct tt_env *box, *bare;

#define SUPPORT "\"$TUTTI_TOP/tests/support/dockerd\""

static struct tt_env *env_of(const char *name)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    struct tx_docker_where where = {0};
    tx_docker_env_new(&env, loop, name, &where, &err);
    if (err && err->kind != TT_INVALID)
        print_error("%s\n", err->message);
    assert_true(env || err->kind == TT_INVALID);
    tt_error_free(err);
    return env;
}

static int set_up(void **state)
{
    set_up_loop(state);
    exec_env_named = env_of;
    exec_env = box = env_of("exec-box");
    assert_string_equal(box->text, "docker://exec-box");
    bare = env_of("exec-bare");
    return 0;
}

static int tear_down(void **state)
{
    tt_env_release(box);
    tt_env_release(bare);
    return tear_down_loop(state);
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
        EXEC_CASES(cmocka_unit_test_setup_teardown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cwd_env_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(relative_cwd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_cwd_and_user, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_shell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kill_without_a_shell, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removed_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_daemon, set_up, tear_down),
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
