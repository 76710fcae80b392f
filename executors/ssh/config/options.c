#include "executors/ssh/config/options.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static void key_text(struct tt_buf *key, const char *text)
{
    tt_buf_format(key, "%d:", text ? (int)strlen(text) : -1);
    tt_buf_text(key, text ? text : "");
}

void tx_options_key(struct tt_buf *key, const struct tx_ssh_options *o, unsigned depth)
{
    key_text(key, o->host);
    key_text(key, o->user);
    key_text(key, o->passphrase);
    key_text(key, o->password);
    key_text(key, o->agent);
    key_text(key, o->config);
    key_text(key, o->jump);
    key_text(key, o->proxy_command);
    for (size_t i = 0; i < o->key_count; i++)
        key_text(key, o->keys[i]);
    tt_buf_text(key, "/");
    for (size_t i = 0; i < o->known_host_count; i++)
        key_text(key, o->known_hosts[i]);
    tt_buf_format(key, "/%d/%d/%d/%p/%lld/%lld/%lld/%lld/%u", o->port, o->no_config, (int)o->policy,
                  (void *)o->jump_env, (long long)o->connect_timeout, (long long)o->keepalive,
                  (long long)o->idle, (long long)o->lifetime, depth);
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
