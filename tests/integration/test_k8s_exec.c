/* Commands in a pod of a real Kubernetes node. */
#include "harness.h"

#include "executors/k8s/exec.h"
#include "executors/k8s/k8s.h"

static struct tt_env *box;

#define SUPPORT "\"$TUTTI_TOP/tests/support/kube\""
#define RUN     "\"$TUTTI_TEST_KUBE_RUN\""

static struct tt_env *env_with(const struct tx_k8s_options *options)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    tx_k8s_env_new(&env, loop, options, &err);
    if (err)
        print_error("%s\n", err->message);
    assert_non_null(env);
    return env;
}

static struct tt_env *pod_of(const char *name)
{
    struct tx_k8s_options options = {.pod = name};
    return env_with(&options);
}

static int set_up(void **state)
{
    set_up_loop(state);
    box = pod_of("exec-box");
    return 0;
}

static int tear_down(void **state)
{
    tt_env_release(box);
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
    assert_string_equal(r->env, "k8s://default/exec-box?context=test");
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

static void cwd_and_env(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("pwd; echo \"$A|$B\""),
                                 .cwd = tt_strdup("/etc")};
    tt_command_set_var(&command, "A", "a 'b' $c");
    tt_command_set_var(&command, "B", "\xfe x\n");
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "/etc\na 'b' $c|\xfe x\n\n");
    tt_result_release(r);
    free(command.cwd);
    command.cwd = tt_strdup("/no/such");
    r = run_command(box, &command, NULL);
    assert_result(r, TT_CWD);
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    tt_command_clear(&command);
}

static void user_is_refused(void **state)
{
    (void)state;
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    struct tt_command command = {.shell = tt_strdup("echo ran"), .user = tt_strdup("app")};
    struct tt_op *op = tt_capture(box, root, &command, &options);
    await(op);
    assert_kind(op, TT_UNSUPPORTED);
    tt_op_release(op);
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
    r = run_command(box, &command, NULL);
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
    r = run_shell(box, "ps | grep '[s]leep 700$' | wc -l");
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "1\n");
    tt_result_release(r);
}

static void terminal(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("test -t 0 && test -t 1 && echo tty; exit 6"),
                                 .pty = true,
                                 .stdin_open = true};
    struct tt_result *r = run_command(box, &command, NULL);
    assert_result(r, TT_EXIT);
    assert_int_equal(r->code, 6);
    assert_string_equal(r->out.data, "tty\r\n");
    tt_result_release(r);
    tt_command_clear(&command);
}

static void missing_pod(void **state)
{
    (void)state;
    struct tt_env *none = pod_of("no-such-pod");
    struct tt_result *r = run_shell(none, "true");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    tt_env_release(none);
}

static void deleted_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(host(SUPPORT " pod " RUN " exec-gone"), 0);
    struct tt_env *gone = pod_of("exec-gone");
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    struct tt_command command = {.shell = tt_strdup("echo began; sleep 100")};
    struct tt_op *op = tt_capture(gone, root, &command, &options);
    pass(700);
    assert_false(tt_op_finished(op));
    assert_int_equal(host(SUPPORT " unpod " RUN " exec-gone"), 0);
    await(op);
    assert_done(op);
    assert_result(tt_result_of(op), TT_LOST);
    tt_op_release(op);
    tt_command_clear(&command);
    tt_env_release(gone);
}

static void broken_connection_ends_the_command(void **state)
{
    (void)state;
    struct tt_command command = {.shell = tt_strdup("sleep 7735")};
    struct tt_op *op = box->class_->start(box, root, &command);
    await(op);
    assert_done(op);
    struct tt_process *process = tt_process_of(op);
    tt_op_release(op);
    process->class_->free(process); /* as if tutti had been killed */
    tt_command_clear(&command);
    pass(500);
    struct tt_result *r = run_shell(box, "ps | grep '[s]leep 7735' || echo none");
    assert_string_equal(r->out.data, "none\n");
    tt_result_release(r);
}

static void refused_names(void **state)
{
    (void)state;
    const char *names[] = {"a; curl x", "../x", "", "-x", "a/b", "a b", "A", "a\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tt_env *env = NULL;
        struct tt_error *err = NULL;
        struct tx_k8s_options options = {.pod = names[i]};
        assert_int_equal(tx_k8s_env_new(&env, loop, &options, &err), -TT_INVALID);
        tt_error_free(err);
    }
}

static void many_at_once(void **state)
{
    (void)state;
    enum { count = 10 };
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

static void no_zombies(void **state)
{
    (void)state;
    struct tt_result *r =
        run_shell(box, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l");
    assert_result(r, TT_OK);
    print_message("zombies: %s", r->out.data);
    tt_result_release(r);
}

/* The API speaks v5 or v4, is asked for v5 first, and what it chose is known. */
static void sub_protocol(void **state)
{
    (void)state;
    struct tx_kube *kube = tx_k8s_env_cluster(box);
    struct tx_pod pod = {kube, "default", "exec-box", NULL, "exec-box", NULL};
    const char *const argv[] = {"true", NULL};
    char *path = tx_pod_exec_path(&pod, argv, false, false);
    struct tt_op *op = tx_kube_open_socket(kube, root, path, tx_pod_protocols);
    await(op);
    assert_null(op->error);
    struct tx_stream *stream = tx_kube_socket_of(op);
    char *chosen = tx_stream_header(stream, "Sec-WebSocket-Protocol");
    bool v5 = chosen && strcmp(chosen, "v5.channel.k8s.io") == 0;
    print_message("# the API speaks %s\n", chosen ? chosen : "nothing");
    assert_true(v5 || (chosen && strcmp(chosen, "v4.channel.k8s.io") == 0));
    assert_true(tx_kube_half_closes(kube) == v5);
    free(chosen);
    tx_stream_free(stream);
    tt_op_release(op);
    /* an API of before v5, asked for v5 alone, is no success */
    op = tx_kube_open_socket(kube, root, path, "v5.channel.k8s.io");
    await(op);
    assert_true(v5 == (op->error == NULL));
    tt_op_release(op);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_and_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_arrive_exactly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cwd_and_env, set_up, tear_down),
        cmocka_unit_test_setup_teardown(user_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(codes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stdin_reaches_and_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(megabyte_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(megabytes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timeout_kills_the_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quick_end_by_term, set_up, tear_down),
        cmocka_unit_test_setup_teardown(background_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_pod, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deleted_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_connection_ends_the_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_zombies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sub_protocol, set_up, tear_down),
    };
    host(SUPPORT " unpod " RUN " exec-box >/dev/null 2>&1; " SUPPORT " unpod " RUN
                 " exec-gone >/dev/null 2>&1");
    if (host(SUPPORT " pod " RUN " exec-box") != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("k8s exec", tests, NULL, NULL);
    host(SUPPORT " unpod " RUN " exec-box");
    return failed;
}
