#include "executors/ssh/config/options.h"

#include "core/base/alloc.h"
#include "core/base/digest.h"

#include <stdlib.h>
#include <string.h>

enum { identity_digits = 16 };

static void key_text(struct tt_buf *key, const char *text)
{
    tt_buf_format(key, "%d:", text ? (int)strlen(text) : -1);
    tt_buf_text(key, text ? text : "");
}

/* The secrets and the jump have their form here or there; all else is the same in both keys. */
static void key_plain(struct tt_buf *key, const struct tx_ssh_options *o)
{
    key_text(key, o->host);
    key_text(key, o->user);
    key_text(key, o->agent);
    key_text(key, o->config);
    key_text(key, o->jump);
    key_text(key, o->proxy_command);
    for (size_t i = 0; i < o->key_count; i++)
        key_text(key, o->keys[i]);
    tt_buf_text(key, "/");
    for (size_t i = 0; i < o->known_host_count; i++)
        key_text(key, o->known_hosts[i]);
    tt_buf_format(key, "/%d/%d/%d/%lld/%lld/%lld/%lld/", o->port, o->no_config, (int)o->policy,
                  (long long)o->connect_timeout, (long long)o->keepalive, (long long)o->idle,
                  (long long)o->lifetime);
}

void tx_options_key(struct tt_buf *key, const struct tx_ssh_options *o, unsigned depth)
{
    key_plain(key, o);
    key_text(key, o->passphrase);
    key_text(key, o->password);
    tt_buf_format(key, "%p/%u", (void *)o->jump_env, depth);
}

/* The same for every process, and without secrets. */
static void key_public(struct tt_buf *key, const struct tx_ssh_options *o)
{
    key_plain(key, o);
    key_text(key, o->passphrase ? "" : NULL);
    key_text(key, o->password ? "" : NULL);
    key_text(key, o->jump_env ? o->jump_env->identity : NULL);
}

int tx_options_identity(char **identity, const char *text, const struct tx_ssh_options *o,
                        struct tt_error **err)
{
    /* what the text says already */
    const struct tx_ssh_options told = {.host = o->host, .user = o->user, .port = o->port};
    struct tt_buf key = {0}, plain = {0};
    char hex[tt_digest_hex_size];
    int rc = 0;
    key_public(&key, o);
    key_public(&plain, &told);
    if (key.length == plain.length && memcmp(key.data, plain.data, key.length) == 0)
        *identity = tt_strdup(text);
    else if ((rc = tt_digest_bytes(key.data, key.length, hex, err)) == 0)
        *identity = tt_format("%s#%.*s", text, identity_digits, hex);
    tt_buf_free(&key);
    tt_buf_free(&plain);
    return rc;
}

static char *copy(const char *text)
{
    return text ? tt_strdup(text) : NULL;
}

void tx_own_options_copy(struct tx_own_options *owned, const struct tx_ssh_options *o)
{
    struct tx_ssh_options *own = &owned->is;
    *own = *o;
    tt_env_retain(own->here);
    if (own->jump_env)
        tt_env_retain(own->jump_env);
    own->host = copy(o->host);
    own->user = copy(o->user);
    own->passphrase = copy(o->passphrase);
    own->password = copy(o->password);
    own->agent = copy(o->agent);
    own->config = copy(o->config);
    own->jump = copy(o->jump);
    own->proxy_command = copy(o->proxy_command);
    for (size_t i = 0; i < o->key_count; i++)
        tx_texts_add(&owned->keys, o->keys[i]);
    for (size_t i = 0; i < o->known_host_count; i++)
        tx_texts_add(&owned->known_hosts, o->known_hosts[i]);
    own->keys = (const char *const *)owned->keys.items;
    own->known_hosts = (const char *const *)owned->known_hosts.items;
}

static void wipe(const char *text)
{
    if (text)
        explicit_bzero((char *)text, strlen(text));
    free((char *)text);
}

void tx_own_options_clear(struct tx_own_options *owned)
{
    struct tx_ssh_options *own = &owned->is;
    wipe(own->host);
    wipe(own->user);
    wipe(own->passphrase);
    wipe(own->password);
    wipe(own->agent);
    wipe(own->config);
    wipe(own->jump);
    wipe(own->proxy_command);
    tx_texts_clear(&owned->keys);
    tx_texts_clear(&owned->known_hosts);
    tt_env_release(own->here);
    if (own->jump_env)
        tt_env_release(own->jump_env);
}
