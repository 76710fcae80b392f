/* The options of an ssh environment as they were given, a copy of them, and what makes two of them
 * the same host. */
#ifndef TX_SSH_OPTIONS_H
#define TX_SSH_OPTIONS_H

#include "core/base/buf.h"
#include "core/env/exec.h"
#include "executors/ssh/config/settings.h"

/* Everything is copied. Zero or NULL: not given. */
struct tx_ssh_options {
    struct tt_env *here;     /* this machine: runs `ssh -G` and proxy commands; required */
    const char *host;        /* a name, an address, or an alias of the configuration; required */
    int port;                /* default: the configuration's, else 22 */
    const char *user;        /* default: the configuration's, else the name of who runs this */
    const char *const *keys; /* private key files, tried first */
    size_t key_count;
    const char *passphrase; /* of encrypted key files */
    const char *password;   /* for password and keyboard-interactive */
    const char *agent;      /* the agent's socket; "none": no agent; default: the configuration's,
                               else $SSH_AUTH_SOCK */
    bool no_config;         /* ask no configuration */
    const char *config;     /* another configuration file than ~/.ssh/config */
    enum tx_host_key_policy policy;
    const char *const *known_hosts; /* files instead of ~/.ssh/known_hosts and the system's */
    size_t known_host_count;
    const char *jump; /* "user@host:port,…": through these hosts, the first one first; "none". They
                         inherit what is given here but the password; their own names and users are
                         the configuration's */
    struct tt_env *jump_env;   /* or through this ssh environment */
    const char *proxy_command; /* a local shell line that is the connection; %h %p %r %n %% */
    int64_t connect_timeout;   /* ms for one connection, waiting for a busy server included;
                                  default 30 s */
    int64_t keepalive;         /* ms between keep-alives on a connection in use; three without an
                                  answer end it; default 15 s; negative: none */
    int64_t idle;              /* ms that an unused connection stays open; default 60 s */
    int64_t lifetime;          /* ms after which a connection gets no new commands; default 1 h */
    int limit;                 /* commands at once; 0: no bound */
};

struct tx_own_options {
    struct tx_ssh_options is; /* what it points to is owned */
    struct tx_texts keys, known_hosts;
};

void tx_own_options_copy(struct tx_own_options *own, const struct tx_ssh_options *options);
void tx_own_options_clear(struct tx_own_options *own); /* wipes the secrets */

/* Everything that decides where a connection goes, as whom, and what it believes, as bytes to
 * compare inside this process; secrets are among them. depth: of jumps that led there. */
void tx_options_key(struct tt_buf *key, const struct tx_ssh_options *options, unsigned depth);

/* The identity of the environment with that text (tt_env): the text, and where more was given than
 * the text says, "#" and a digest of all that the key has. It is the same in every process. No
 * secret goes into it, only that one was given. Kinds: those of tt_digest_bytes. */
int tx_options_identity(char **identity, const char *text, const struct tx_ssh_options *options,
                        struct tt_error **err);

#endif
