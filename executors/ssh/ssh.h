/* SSH hosts as environments: "ssh://user@host:port".
 *
 * Connections are pooled by host, port, user, credentials and host-key policy: environments with
 * equal options share them, others never do. What OpenSSH's configuration says about a host counts,
 * as resolved by `ssh -G`; options given here win over it.
 *
 * Commands run through the shim (executors/remote/shim.h) in the process group that sshd gives
 * them. A guardian on each connection kills the groups that still run when the connection ends; it
 * uses one of the channels that the server allows (where only one is allowed, there is none). Loop
 * thread.
 */
#ifndef TX_SSH_H
#define TX_SSH_H

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

/* NULL and *err (`invalid`) for options that contradict themselves. Connects nothing. */
struct tt_env *tx_ssh_new(struct tt_loop *loop, const struct tx_ssh_options *options,
                          struct tt_error **err);

/* A destination as people write it: "host", "user@host", "user@host:port", "user@[::1]:port", with
 * or without "ssh://". Allocated parts; user NULL and port 0 when not given. Kind `invalid`. */
struct tx_ssh_destination {
    char *user, *host;
    int port;
};
int tx_ssh_parse(struct tx_ssh_destination *destination, const char *text, struct tt_error **err);
void tx_ssh_destination_clear(struct tx_ssh_destination *destination);

#endif
