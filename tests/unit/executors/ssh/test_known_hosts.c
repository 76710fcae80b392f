/* known_hosts: what matches, what does not, what is judged. */
#include "core/base/base64.h"
#include "executors/ssh/config/config.h"
#include "executors/ssh/config/destination.h"
#include "executors/ssh/login/known_hosts.h"
#include "executors/ssh/wire/lib.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY_A "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define KEY_B "AAAAC3NzaC1lZDI1NTE5AAAAIAEBAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

static bool hmac(const unsigned char *salt, size_t salt_length, const char *name,
                 unsigned char digest[20])
{
    unsigned length;
    return tx_crypto.HMAC(tx_crypto.EVP_sha1(), salt, (int)salt_length, (const void *)name,
                          strlen(name), digest, &length);
}

static size_t count(const char *text, const char *name)
{
    struct tx_known_keys keys = {0};
    tx_known_read(&keys, text, strlen(text), "f", &name, 1, hmac);
    size_t found = keys.count;
    tx_known_clear(&keys);
    return found;
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(count("web ssh-ed25519 " KEY_A "\n", "web"), 1);
    assert_int_equal(count("web ssh-ed25519 " KEY_A " comment\r\n", "web"), 1);
    assert_int_equal(count("WEB ssh-ed25519 " KEY_A, "web"), 1);
    assert_int_equal(count("a,web,b ssh-ed25519 " KEY_A, "web"), 1);
    assert_int_equal(count("webx ssh-ed25519 " KEY_A, "web"), 0);
    assert_int_equal(count("w?b,x ssh-ed25519 " KEY_A, "web"), 1);
    assert_int_equal(count("*.example.com ssh-ed25519 " KEY_A, "a.b.example.com"), 1);
    assert_int_equal(count("*.example.com ssh-ed25519 " KEY_A, "example.com"), 0);
    assert_int_equal(count("*,!web ssh-ed25519 " KEY_A, "web"), 0);
    assert_int_equal(count("!web,* ssh-ed25519 " KEY_A, "web"), 0);
    assert_int_equal(count("!db,* ssh-ed25519 " KEY_A, "web"), 1);
    assert_int_equal(count("!db ssh-ed25519 " KEY_A, "web"), 0);
    assert_int_equal(count("[web]:2222 ssh-ed25519 " KEY_A, "[web]:2222"), 1);
    assert_int_equal(count("[web]:2222 ssh-ed25519 " KEY_A, "web"), 0);
    assert_int_equal(count("  \t web ssh-ed25519 " KEY_A, "web"), 1);
}

static void test_damaged(void **state)
{
    (void)state;
    assert_int_equal(count("web ssh-ed25519\n", "web"), 0);
    assert_int_equal(count("web ssh-rsa " KEY_A "\n", "web"), 0);
    assert_int_equal(count("web ssh-ed25519 " KEY_A "=\n", "web"), 0);
    assert_int_equal(count("web ssh-ed25519 !!!!\n", "web"), 0);
    assert_int_equal(count("#web ssh-ed25519 " KEY_A "\n", "web"), 0);
    assert_int_equal(count("@unknown web ssh-ed25519 " KEY_A "\n", "web"), 0);
    assert_int_equal(count("@revoked\n@cert-authority web\n\n", "web"), 0);
    assert_int_equal(count("|1|abc|def ssh-ed25519 " KEY_A "\n", "web"), 0);
    assert_int_equal(count("bad\nweb ssh-ed25519 " KEY_A "\n", "web"), 1);
}

static void test_hashed(void **state)
{
    (void)state;
    struct tt_buf key = {0};
    assert_true(tt_base64_read(&key, KEY_A, strlen(KEY_A)));
    const unsigned char salt[20] = "0123456789abcdefghi";
    char *line = tx_known_line("[web]:2222", "ssh-ed25519", key.data, key.length, salt, hmac);
    assert_null(strstr(line, "web"));
    assert_int_equal(count(line, "[web]:2222"), 1);
    assert_int_equal(count(line, "web"), 0);
    free(line);
    /* made by ssh-keygen -H */
    assert_int_equal(count("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= "
                           "ssh-ed25519 " KEY_A,
                           "192.168.1.61"),
                     1);
    tt_buf_free(&key);
}

static void test_verdicts(void **state)
{
    (void)state;
    static const char text[] = "web ssh-ed25519 " KEY_A "\n@revoked web ssh-ed25519 " KEY_B "\n";
    const char *name = "web";
    struct tx_known_keys keys = {0};
    const struct tx_known_key *which;
    struct tt_buf a = {0}, b = {0};
    tt_base64_read(&a, KEY_A, strlen(KEY_A));
    tt_base64_read(&b, KEY_B, strlen(KEY_B));
    tx_known_read(&keys, text, strlen(text), "file", &name, 1, hmac);
    assert_int_equal(tx_known_check(&keys, "ssh-ed25519", a.data, a.length, &which),
                     TX_KNOWN_MATCH);
    assert_int_equal(tx_known_check(&keys, "ssh-ed25519", b.data, b.length, &which),
                     TX_KNOWN_IS_REVOKED);
    assert_int_equal(which->line, 2);
    keys.count = 1;
    assert_int_equal(tx_known_check(&keys, "ssh-ed25519", b.data, b.length, &which),
                     TX_KNOWN_CHANGED);
    assert_string_equal(which->file, "file");
    assert_int_equal(which->line, 1);
    keys.count = 2;
    tx_known_clear(&keys);
    assert_int_equal(tx_known_check(&keys, "ssh-ed25519", b.data, b.length, &which), TX_KNOWN_NONE);
    tt_buf_free(&a);
    tt_buf_free(&b);
}

static void test_destinations(void **state)
{
    (void)state;
    static const struct {
        const char *text, *user, *host;
        int port;
    } good[] = {
        {"web", NULL, "web", 0},
        {"deploy@web", "deploy", "web", 0},
        {"ssh://deploy@web:2222", "deploy", "web", 2222},
        {"ssh://web/", NULL, "web", 0},
        {"a@b@web", "a@b", "web", 0},
        {"u@[::1]:22", "u", "::1", 22},
        {"[fe80::1]", NULL, "fe80::1", 0},
        {"::1", NULL, "::1", 0},
    };
    static const char *const bad[] = {"",       "user@",   "web:", "web:0",    "web:70000", "web:x",
                                      "-oX",    "a b",     "w;b",  "[::1",     "[::1]x",    "@web",
                                      "-u@web", "web:22x", "w\nb", "$(x)@web", "ssh://"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct tx_ssh_destination d;
        assert_int_equal(tx_ssh_parse(&d, good[i].text, NULL), 0);
        assert_string_equal(d.host, good[i].host);
        assert_int_equal(d.port, good[i].port);
        assert_int_equal(!d.user, !good[i].user);
        if (d.user)
            assert_string_equal(d.user, good[i].user);
        tx_ssh_destination_clear(&d);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tx_ssh_destination d;
        if (tx_ssh_parse(&d, bad[i], NULL) != -TT_INVALID)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void test_settings(void **state)
{
    (void)state;
    static const char output[] = "user alice\nhostname 10.0.0.7\nport 2222\n"
                                 "identityfile ~/.ssh/special\nidentityfile /k\n"
                                 "globalknownhostsfile /g1 /g2\nuserknownhostsfile ~/u\n"
                                 "stricthostkeychecking accept-new\nidentityagent none\n"
                                 "proxyjump bastion\nserveraliveinterval 7\nconnecttimeout none\n"
                                 "hashknownhosts yes\nidentitiesonly yes\n";
    struct tx_ssh_options o = {.host = "web"};
    struct tx_ssh_settings s;
    tx_ssh_settings_make(&s, &o, output, "/home/me", "me", "/agent");
    assert_string_equal(s.user, "alice");
    assert_string_equal(s.host, "10.0.0.7");
    assert_int_equal(s.port, 2222);
    assert_string_equal(s.keys.items[0], "/home/me/.ssh/special");
    assert_string_equal(s.known_hosts.items[0], "/home/me/u");
    assert_string_equal(s.known_hosts.items[2], "/g2");
    assert_int_equal(s.policy, TX_HOST_KEY_ACCEPT_NEW);
    assert_null(s.agent);
    assert_string_equal(s.jump, "bastion");
    assert_int_equal(s.keepalive, 7000);
    assert_int_equal(s.connect_timeout, 30000);
    assert_true(s.hash_known_hosts && s.identities_only && !s.keys_given);
    tx_ssh_settings_clear(&s);
    const char *key = "/mine";
    o = (struct tx_ssh_options){.host = "web",
                                .user = "bob",
                                .port = 1,
                                .keys = &key,
                                .key_count = 1,
                                .policy = TX_HOST_KEY_STRICT,
                                .jump = "none",
                                .agent = "/a",
                                .keepalive = -1};
    tx_ssh_settings_make(&s, &o, output, "/home/me", "me", "/agent");
    assert_string_equal(s.user, "bob");
    assert_int_equal(s.port, 1);
    assert_int_equal(s.keys.count, 1);
    assert_true(s.keys_given);
    assert_int_equal(s.policy, TX_HOST_KEY_STRICT);
    assert_null(s.jump);
    assert_string_equal(s.agent, "/a");
    assert_int_equal(s.keepalive, 0);
    tx_ssh_settings_clear(&s);
    o = (struct tx_ssh_options){.host = "web"};
    tx_ssh_settings_make(&s, &o, "", "/home/me", "me", "/agent");
    assert_string_equal(s.user, "me");
    assert_string_equal(s.agent, "/agent");
    assert_string_equal(s.known_hosts.items[0], "/home/me/.ssh/known_hosts");
    assert_int_equal(s.policy, TX_HOST_KEY_STRICT);
    tx_ssh_settings_clear(&s);
}

static void test_what_matters(void **state)
{
    (void)state;
    bool hash = false;
    static const char usual[] = "# comment\nInclude /nonexistent-folder/*.conf\n\nHost *\n"
                                "    SendEnv LANG LC_*\n    HashKnownHosts yes\n"
                                "    GSSAPIAuthentication yes\n";
    assert_false(tx_ssh_config_matters(usual, strlen(usual), &hash));
    assert_true(hash);
    static const char *const more[] = {"User x\n",    "Host web\n",           "Host *\n  Port 3\n",
                                       "Match all\n", "Include /etc/pass*\n", "ProxyJump=x",
                                       "host = a*\n"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        assert_true(tx_ssh_config_matters(more[i], strlen(more[i]), &hash));
}

static int load(void **state)
{
    (void)state;
    return tx_ssh_load(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_hashed),       cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_destinations), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_what_matters),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
