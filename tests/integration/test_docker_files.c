/* Files in a container of a real dockerd. */
#include "files_cases.h"

#include "executors/docker/docker.h"

#define SUPPORT "\"$TUTTI_TOP/tests/support/dockerd\""

static int set_up(void **state)
{
    struct tx_docker_where where = {0};
    set_up_loop(state);
    return tx_docker_env_new(&files_env, loop, "files-box", &where, NULL);
}

static int tear_down(void **state)
{
    await_release(files_env->class_->close(files_env, root));
    tt_env_release(files_env);
    return tear_down_loop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_CASES(cmocka_unit_test_setup_teardown, set_up, tear_down),
    };
    host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" files-box >/dev/null 2>&1");
    if (host(SUPPORT " container \"$TUTTI_TEST_DOCKER_DIR\" files-box") != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("docker files", tests, NULL, NULL);
    host(SUPPORT " remove \"$TUTTI_TEST_DOCKER_DIR\" files-box");
    return failed;
}
