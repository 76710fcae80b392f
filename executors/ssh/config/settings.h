/* What a connection needs to know, once options, ~/.ssh/config and defaults were put together.
 * Plain data; every string is owned. */
#ifndef TX_SSH_SETTINGS_H
#define TX_SSH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tx_host_key_policy {
    TX_HOST_KEY_DEFAULT,    /* the configuration's, else strict */
    TX_HOST_KEY_STRICT,     /* only keys that are known */
    TX_HOST_KEY_ACCEPT_NEW, /* a host without a known key is believed once, and remembered */
};

struct tx_texts {
    char **items;
    size_t count;
};

struct tx_ssh_settings {
    char *host; /* to connect to */
    int port;
    char *user;
    struct tx_texts keys;         /* files */
    struct tx_texts certificates; /* files, for any of the keys */
    bool keys_given;              /* by option: tried before the agent's */
    bool identities_only;         /* of the agent's keys only those that a file names */
    char *agent;                  /* its socket; NULL: none */
    char *passphrase, *password;
    enum tx_host_key_policy policy;
    char *key_alias;             /* the host's name in known_hosts; NULL: host */
    struct tx_texts known_hosts; /* the first one is written to */
    bool hash_known_hosts;
    char *jump;                         /* "user@host:port,…"; NULL: none */
    char *proxy_command;                /* NULL: none */
    int64_t connect_timeout, keepalive; /* ms; keepalive 0: none */
};

void tx_texts_add(struct tx_texts *texts, const char *text);
void tx_texts_clear(struct tx_texts *texts);
void tx_ssh_settings_clear(struct tx_ssh_settings *settings);

#endif
