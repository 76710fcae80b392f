/* Files in a pod of a real Kubernetes node. */
#include "files_cases.h"

#include "executors/k8s/k8s.h"

#define SUPPORT "\"$TUTTI_TOP/tests/support/kube\""
#define RUN     "\"$TUTTI_TEST_KUBE_RUN\""

static int set_up(void **state)
{
    struct tx_k8s_options options = {.pod = "files-box"};
    set_up_loop(state);
    return tx_k8s_env_new(&files_env, loop, &options, NULL);
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
    host(SUPPORT " unpod " RUN " files-box >/dev/null 2>&1");
    if (host(SUPPORT " pod " RUN " files-box") != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("k8s files", tests, NULL, NULL);
    host(SUPPORT " unpod " RUN " files-box");
    return failed;
}
