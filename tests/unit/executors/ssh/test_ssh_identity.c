/* An ssh environment's identity: equal for equal options in any loop, another for each option that
 * differs, and the same whatever a secret says. */
#include "core/env/exec.h"
#include "executors/local/local.h"
#include "executors/ssh/ssh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct tt_loop *loops[2];
static struct tt_env *here[2];

static int open_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tt_loop_new(&loops[i], TT_CLOCK_VIRTUAL, (uint64_t)i + 1, NULL), 0);
        here[i] = tx_local_new(loops[i], NULL);
        assert_non_null(here[i]);
    }
    return 0;
}

static int close_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tt_env_release(here[i]);
        tt_loop_free(loops[i]);
    }
    return 0;
}

/* In the loop of that number; allocated. */
static char *identity_in(int loop, struct tx_ssh_options o)
{
    o.here = here[loop];
    if (!o.host)
        o.host = "web-1";
    struct tt_env *env = tx_ssh_new(loops[loop], &o, NULL);
    assert_non_null(env);
    char *identity = strdup(env->identity);
    tt_env_release(env);
    return identity;
}

static void expect(struct tx_ssh_options a, struct tx_ssh_options b, bool equal)
{
    char *first = identity_in(0, a), *second = identity_in(1, b);
    if (equal)
        assert_string_equal(first, second);
    else
        assert_string_not_equal(first, second);
    free(first);
    free(second);
}

static const char *const keys[] = {"/k/one", "/k/two"};
static const char *const files[] = {"/f/one", "/f/two"};

/* No two are equal: most have one option beside the host. */
static const struct tx_ssh_options options[] = {
    {0},
    {.host = "web-2"},
    {.user = "deploy"},
    {.port = 2222},
    {.keys = keys, .key_count = 1},
    {.keys = keys + 1, .key_count = 1},
    {.keys = keys, .key_count = 2},
    {.known_hosts = keys, .known_host_count = 1},
    {.known_hosts = files, .known_host_count = 1},
    {.known_hosts = files, .known_host_count = 2},
    {.passphrase = "p"},
    {.password = "p"},
    {.agent = "none"},
    {.agent = "/a"},
    {.no_config = true},
    {.config = "/a"},
    {.policy = TX_HOST_KEY_STRICT},
    {.policy = TX_HOST_KEY_ACCEPT_NEW},
    {.jump = "/a"},
    {.jump = "none"},
    {.proxy_command = "/a"},
    {.connect_timeout = 1000},
    {.keepalive = 1000},
    {.keepalive = -1},
    {.idle = 1000},
    {.lifetime = 1000},
};
enum { count = sizeof options / sizeof *options };

static void test_each_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            expect(options[i], options[j], i == j);
}

static void test_the_text_alone(void **state)
{
    (void)state;
    const struct tx_ssh_options plain = {.user = "me", .port = 22, .limit = 3};
    const struct tx_ssh_options more = {.user = "me", .port = 22, .agent = "none"};
    char *identity = identity_in(0, plain);
    assert_string_equal(identity, "ssh://me@web-1:22");
    free(identity);
    identity = identity_in(1, more);
    assert_int_equal(strlen(identity), strlen("ssh://me@web-1:22#") + 16);
    assert_memory_equal(identity, "ssh://me@web-1:22#", strlen("ssh://me@web-1:22#"));
    free(identity);
}

static void test_secrets(void **state)
{
    (void)state;
    expect((struct tx_ssh_options){.password = "one"}, (struct tx_ssh_options){.password = "two"},
           true);
    expect((struct tx_ssh_options){.passphrase = "one"},
           (struct tx_ssh_options){.passphrase = "two"}, true);
    expect((struct tx_ssh_options){.password = "one"}, (struct tx_ssh_options){.passphrase = "one"},
           false);
    /* and yet they are two hosts with connections of their own */
    struct tx_ssh_options o = {.here = here[0], .host = "web-1", .password = "one"};
    struct tt_env *one = tx_ssh_new(loops[0], &o, NULL), *again = tx_ssh_new(loops[0], &o, NULL);
    o.password = "two";
    struct tt_env *two = tx_ssh_new(loops[0], &o, NULL);
    assert_ptr_equal(tx_ssh_host(one), tx_ssh_host(again));
    assert_ptr_not_equal(tx_ssh_host(one), tx_ssh_host(two));
    tt_env_release(one);
    tt_env_release(again);
    tt_env_release(two);
}

/* A host behind another: what tells the other one apart tells this one apart. */
static char *behind(int loop, struct tx_ssh_options jump)
{
    jump.here = here[loop];
    jump.host = "jump";
    struct tt_env *env = tx_ssh_new(loops[loop], &jump, NULL);
    char *identity = identity_in(loop, (struct tx_ssh_options){.jump_env = env});
    tt_env_release(env);
    return identity;
}

static void test_jumps(void **state)
{
    (void)state;
    char *plain = identity_in(0, (struct tx_ssh_options){0});
    char *one = behind(0, (struct tx_ssh_options){.password = "one"});
    char *other = behind(1, (struct tx_ssh_options){.password = "two"});
    char *third = behind(0, (struct tx_ssh_options){.agent = "none"});
    assert_string_equal(one, other);
    assert_string_not_equal(one, third);
    assert_string_not_equal(one, plain);
    free(plain);
    free(one);
    free(other);
    free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_option),
        cmocka_unit_test(test_the_text_alone),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_jumps),
    };
    return cmocka_run_group_tests(tests, open_loops, close_loops);
}
