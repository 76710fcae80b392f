/* Containers of one's own, on a real dockerd. */
#include "harness.h"

#include "executors/docker/image.h"

#include <sys/prctl.h>

#define SUPPORT "\"$TUTTI_TOP/tests/support/dockerd\""
#define API     SUPPORT " api \"$TUTTI_TEST_DOCKER_DIR\" "

static struct tt_env *env_with(const struct tx_docker_image_options *options)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    tx_docker_image_env_new(&env, loop, options, &err);
    if (err)
        print_error("%s\n", err->message);
    assert_non_null(env);
    return env;
}

static void end(struct tt_env *env)
{
    await_release(env->class_->close(env, root));
    tt_env_release(env);
}

/* How many containers carry our label. */
static int owned(void)
{
    char *text = host_output(API "GET '/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22"
                                 "tutti.owner%%22%%5D%%7D' | grep -o '\"Id\"' | wc -l");
    int count = atoi(text);
    free(text);
    return count;
}

static void starts_once_and_is_removed(void **state)
{
    (void)state;
    struct tx_docker_image_options options = {.image = "box:local"};
    struct tt_env *env = env_with(&options);
    assert_int_equal(owned(), 0); /* not before it is used */
    struct tt_capture_options capture;
    tt_capture_defaults(&capture);
    struct tt_command command = {.shell = tt_strdup("hostname")};
    struct tt_op *a = tt_capture(env, root, &command, &capture);
    struct tt_op *b = tt_capture(env, root, &command, &capture);
    await(a);
    await(b);
    assert_done(a);
    assert_done(b);
    assert_result(tt_result_of(a), TT_OK);
    assert_string_equal(tt_result_of(a)->out.data, tt_result_of(b)->out.data);
    assert_string_equal(tt_result_of(a)->env, "docker-image://box:local");
    tt_op_release(a);
    tt_op_release(b);
    tt_command_clear(&command);
    assert_int_equal(owned(), 1);
    end(env);
    pass(300);
    assert_int_equal(owned(), 0);
}

static void all_options(void **state)
{
    (void)state;
    host("mkdir -p \"$TUTTI_TEST_DOCKER_DIR\"/volume && echo from-here "
         ">\"$TUTTI_TEST_DOCKER_DIR\"/volume/f");
    json_t *vars = json_pack("[s]", "A=a b $c");
    json_t *volumes = json_array();
    char *bind = tt_format("%s/volume:/there:ro", getenv("TUTTI_TEST_DOCKER_DIR"));
    json_array_append_new(volumes, json_string(bind));
    free(bind);
    json_t *entrypoint = json_pack("[s, s]", "/bin/sleep", "100000");
    json_t *labels = json_pack("{s:s}", "who", "me");
    json_t *ports = json_pack("[s]", "127.0.0.1::8080");
    struct tx_docker_image_options options = {.image = "box:local",
                                              .name = "image-options",
                                              .vars = vars,
                                              .volumes = volumes,
                                              .user = "user",
                                              .workdir = "/there",
                                              .entrypoint = entrypoint,
                                              .labels = labels,
                                              .ports = ports,
                                              .network = "bridge",
                                              .memory = 64 << 20,
                                              .cpus = 0.5};
    struct tt_env *env = env_with(&options);
    struct tt_result *r =
        run_shell(env, "pwd; id -un; cat f; echo \"$A\"; ps | grep -c '[s]leep 100000'");
    assert_result(r, TT_OK);
    assert_string_equal(r->out.data, "/there\nuser\nfrom-here\na b $c\n1\n");
    tt_result_release(r);
    char *text = host_output(API "GET /containers/image-options/json");
    assert_non_null(strstr(text, "\"Memory\":67108864"));
    assert_non_null(strstr(text, "\"NanoCpus\":500000000"));
    assert_non_null(strstr(text, "\"who\":\"me\""));
    assert_non_null(strstr(text, "\"8080/tcp\":[{\"HostIp\":\"127.0.0.1\""));
    free(text);
    end(env);
    json_decref(vars);
    json_decref(volumes);
    json_decref(entrypoint);
    json_decref(labels);
    json_decref(ports);
}

static void missing_image(void **state)
{
    (void)state;
    struct tx_docker_image_options options = {.image = "no-such:image", .pull = TX_PULL_NEVER};
    struct tt_env *env = env_with(&options);
    struct tt_result *r = run_shell(env, "true");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    end(env);
    assert_int_equal(owned(), 0);
}

static void bad_entrypoint_leaves_nothing(void **state)
{
    (void)state;
    json_t *entrypoint = json_pack("[s]", "/no/such/program");
    struct tx_docker_image_options options = {.image = "box:local", .entrypoint = entrypoint};
    struct tt_env *env = env_with(&options);
    struct tt_result *r = run_shell(env, "true");
    assert_result(r, TT_NOT_FOUND);
    tt_result_release(r);
    end(env);
    json_decref(entrypoint);
    pass(300);
    assert_int_equal(owned(), 0);
}

static void refused(void **state)
{
    (void)state;
    const char *images[] = {"", "a; curl x", "../x", "-x", "a b", "a//b"};
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        struct tx_docker_image_options options = {.image = images[i]};
        struct tt_env *env = NULL;
        assert_int_equal(tx_docker_image_env_new(&env, loop, &options, NULL), -TT_INVALID);
    }
    const char *ports[] = {"", "x", "0", "70000", "80/sctp", "a:80", "1:2:3:4:x"};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        json_t *list = json_pack("[s]", ports[i]);
        struct tx_docker_image_options options = {.image = "box:local", .ports = list};
        struct tt_env *env = NULL;
        assert_int_equal(tx_docker_image_env_new(&env, loop, &options, NULL), -TT_INVALID);
        json_decref(list);
    }
}

/* A tutti that was killed cannot remove its container; the next one does. */
static void swept_after_a_kill(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct tt_loop *own;
        tt_loop_new(&own, TT_CLOCK_REAL, 1, NULL);
        struct tt_scope *scope = tt_scope_new(own, NULL);
        struct tx_docker_image_options options = {.image = "box:local"};
        struct tt_env *env = NULL;
        tx_docker_image_env_new(&env, own, &options, NULL);
        struct tt_op *op = tx_docker_image_ready(env, scope);
        bool never = false;
        while (!tt_op_finished(op) && tt_loop_run(own, &never))
            continue;
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(owned(), 1);
    struct tx_docker_image_options options = {.image = "box:local"};
    struct tt_env *env = env_with(&options);
    struct tt_result *r = run_shell(env, "true");
    assert_result(r, TT_OK);
    tt_result_release(r);
    assert_int_equal(owned(), 1);
    end(env);
    pass(300);
    assert_int_equal(owned(), 0);
}

static void closed_while_it_starts(void **state)
{
    (void)state;
    struct tx_docker_image_options options = {.image = "box:local"};
    struct tt_env *env = env_with(&options);
    struct tt_scope *scope = tt_scope_new(loop, root);
    struct tt_op *op = tx_docker_image_ready(env, scope);
    pass(5);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
    tt_scope_cancel(scope, why);
    tt_error_free(why);
    await(op);
    assert_kind(op, TT_CANCELLED);
    tt_op_release(op);
    tt_scope_release(scope);
    end(env);
    pass(300);
    assert_int_equal(owned(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(starts_once_and_is_removed, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(all_options, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(missing_image, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(bad_entrypoint_leaves_nothing, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(refused, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(swept_after_a_kill, set_up_loop, tear_down_loop),
        cmocka_unit_test_setup_teardown(closed_while_it_starts, set_up_loop, tear_down_loop),
    };
    return cmocka_run_group_tests_name("docker image", tests, NULL, NULL);
}
