/* Environments from their text, and the identities that they get: the same whoever makes them, and
 * without a secret. */
#include "executors/docker/docker.h"
#include "executors/docker/image.h"
#include "executors/k8s/k8s.h"
#include "executors/schemes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test-schemes-XXXXXX";
static struct tt_loop *loop;

static const char kubeconfig[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: one\n"
    "clusters: [{name: c, cluster: {server: 'https://root:s3cret@cluster.example:6443'}}]\n"
    "users: [{name: u, user: {token: s3cret}}]\n"
    "contexts: [{name: one, context: {cluster: c, user: u, namespace: team}},\n"
    "           {name: two, context: {cluster: c, user: u}}]\n";

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    FILE *out = fopen("config", "w");
    fputs(kubeconfig, out);
    fclose(out);
    char path[64];
    snprintf(path, sizeof path, "%s/config", folder);
    setenv("KUBECONFIG", path, 1);
    setenv("DOCKER_HOST", "unix:///run/one.sock", 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink("config");
    return chdir("/") < 0 || rmdir(folder) < 0;
}

static int open_loop(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL), 0);
    tt_env_schemes_use(loop, tx_schemes);
    return 0;
}

static int close_loop(void **state)
{
    (void)state;
    tt_loop_settle(loop, 1000);
    tt_loop_free(loop);
    return 0;
}

/* As a process of its own would make it. */
static struct tt_env *make(const char *text)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    if (tt_env_from_text(&env, loop, text, &err) < 0)
        fail_msg("%s: %s", text, err->message);
    return env;
}

static void identity_is(const char *text, const char *expected)
{
    struct tt_env *env = make(text);
    assert_string_equal(env->identity, expected);
    tt_env_release(env);
}

static void refused(const char *text, const char *message)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    assert_int_equal(tt_env_from_text(&env, loop, text, &err), -TT_INVALID);
    assert_non_null(strstr(err->message, message));
    tt_error_free(err);
}

static void test_texts(void **state)
{
    static const char *const texts[] = {
        "local:",
        "ssh://deploy@web-1:2222",
        "docker://box",
        "docker-image://registry:5000/box:1",
        "k8s://ns/pod/main?context=one",
        "k8s://ns?deployment=web&container=main&context=two",
        "k8s://ns?selector=app=web,tier!=x&context=one",
        "k8s-job://box:1?namespace=ns&context=one",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tt_env *env = make(texts[i]);
        assert_string_equal(env->text, texts[i]); /* what a journal writes makes the same again */
        tt_env_release(env);
    }
    struct tt_env *host = make("web-1"), *here = make("local:"), *again = make("local:");
    assert_string_equal(host->text, "ssh://web-1");
    assert_ptr_equal(here, again);
    assert_true(here->class_->paths_are_here && !host->class_->paths_are_here);
    tt_env_release(host);
    tt_env_release(here);
    tt_env_release(again);
}

static void test_refused(void **state)
{
    (void)state;
    refused("", "the text is empty");
    refused("ftp://box", "'ftp://box' names no environment: write local:");
    refused("docker://a b", "cannot be the name of a container");
    refused("docker-image://a//b", "cannot be the name of an image");
    refused("k8s://a/b/c/d", "has more than NAMESPACE/POD/CONTAINER");
    refused("k8s://ns/A", "'A' cannot be the name of a pod");
    refused("k8s://a/b?contxt=one", "tutti.k8s: unknown option 'contxt' (did you mean 'context'?)");
    refused("k8s://a/b?context", "is not NAME=VALUE");
    refused("k8s-job://box?pod=x", "k8s-job: unknown option 'pod'");
    refused("ssh://a b", "is no ssh destination");
}

static void test_docker_identity(void **state)
{
    (void)state;
    identity_is("docker://box", "docker:unix:///run/one.sock||||0:box");
    identity_is("docker://box", "docker:unix:///run/one.sock||||0:box");
    struct tx_docker_where where = {.host = "tcp://root:s3cret@engine:2376"};
    struct tt_env *env = NULL;
    assert_int_equal(tx_docker_env_new(&env, loop, "box", &where, NULL), 0);
    assert_string_equal(env->identity, "docker:tcp://engine:2376||||0:box");
    assert_non_null(tx_docker_env_daemon(env));
    tt_env_release(env);
    struct tt_env *here = make("local:");
    assert_null(tx_docker_env_daemon(here));
    tt_env_release(here);
}

/* Two of one image are two containers. */
static void test_image_identity(void **state)
{
    (void)state;
    identity_is("docker-image://box:1", "docker-image:unix:///run/one.sock||||0:box:1:#1");
    identity_is("docker-image://box:1", "docker-image:unix:///run/one.sock||||0:box:1:#2");
    identity_is("docker-image://box:2", "docker-image:unix:///run/one.sock||||0:box:2:#1");
    struct tx_docker_image_options options = {.image = "box:1", .name = "mine"};
    struct tt_env *env = NULL;
    assert_int_equal(tx_docker_image_env_new(&env, loop, &options, NULL), 0);
    assert_string_equal(env->identity, "docker-image:unix:///run/one.sock||||0:box:1:mine");
    tt_env_release(env);
}

static void test_k8s_identity(void **state)
{
    char cluster[160], text[320];
    (void)state;
    snprintf(cluster, sizeof cluster, "%s/config|one|https://cluster.example:6443", folder);
    snprintf(text, sizeof text, "k8s:%s:k8s://team/pod?context=one", cluster);
    struct tt_env *env = NULL, *relative = NULL;
    struct tx_k8s_options options = {.pod = "pod"};
    assert_int_equal(tx_k8s_env_new(&env, loop, &options, NULL), 0);
    assert_string_equal(env->identity, text);
    assert_null(strstr(env->identity, "s3cret"));
    /* the same file, named from the folder that it lies in */
    options.where.kubeconfig = "config";
    assert_int_equal(tx_k8s_env_new(&relative, loop, &options, NULL), 0);
    assert_string_equal(relative->identity, env->identity);
    assert_ptr_equal(tx_k8s_env_cluster(relative), tx_k8s_env_cluster(env));
    tt_env_release(env);
    tt_env_release(relative);
    snprintf(text, sizeof text, "k8s-job:%s:team", cluster);
    identity_is("k8s-job://box", text);
}

static void test_parts(void **state)
{
    const char *parts[tt_env_part_count];
    (void)state;
    struct tt_env *pod = make("k8s://ns/pod/main?context=one"), *box = make("docker://box"),
                  *image = make("docker-image://box"), *here = make("local:");
    assert_int_equal(pod->class_->parts(pod, parts), 3);
    assert_string_equal(parts[0], "ns");
    assert_string_equal(parts[1], "pod");
    assert_string_equal(parts[2], "main");
    assert_int_equal(box->class_->parts(box, parts), 1);
    assert_string_equal(parts[0], "box");
    assert_int_equal(image->class_->parts(image, parts), 1);
    assert_null(parts[0]); /* it does not run */
    assert_int_equal(here->class_->parts(here, parts), 0);
    tt_env_release(pod);
    tt_env_release(box);
    tt_env_release(image);
    tt_env_release(here);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_texts),           TEST(test_refused),
                                       TEST(test_docker_identity), TEST(test_image_identity),
                                       TEST(test_k8s_identity),    TEST(test_parts)};
    return cmocka_run_group_tests(tests, begin, end);
}
