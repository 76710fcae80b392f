/* Commands in a pod of a real Kubernetes node. */
#include "exec_cases.h"

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
    if (err && err->kind != TT_INVALID)
        print_error("%s\n", err->message);
    assert_true(env || err->kind == TT_INVALID);
    tt_error_free(err);
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
    exec_env_named = pod_of;
    exec_env = box = pod_of("exec-box");
    assert_string_equal(box->text, "k8s://default/exec-box?context=test");
    return 0;
}

static int tear_down(void **state)
{
    tt_env_release(box);
    return tear_down_loop(state);
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
        EXEC_CASES(cmocka_unit_test_setup_teardown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(user_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deleted_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_connection_ends_the_command, set_up, tear_down),
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
