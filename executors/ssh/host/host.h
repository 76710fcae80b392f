/* A host that commands go to, and the pool of connections to it.
 *
 * Everything equal in a loop shares one host. Who wants a channel gets it on a connection with
 * room; a server that refuses a channel (MaxSessions) has told how many a connection holds, and
 * another connection is made; one that has no room for another handshake (MaxStartups) is waited
 * for. Whoever waits fails only by its own scope, or when no connection can be made at all. Loop
 * thread. */
#ifndef TX_SSH_HOST_H
#define TX_SSH_HOST_H

#include "executors/ssh/config/options.h"
#include "executors/ssh/wire/channel.h"

struct tx_host;
struct tx_link; /* a connection of the pool */

/* What every environment of the class "ssh" is. */
struct tx_ssh_env {
    struct tt_env base;
    struct tx_host *host; /* held */
};
/* For who is only ever given such environments: its commands, its files. Borrowed. */
static inline struct tx_host *tx_host_of(const struct tt_env *env)
{
    return ((const struct tx_ssh_env *)(const void *)env)->host;
}

/* The host of these options: an existing one, or new. One reference for the caller. */
struct tx_host *tx_host_get(struct tt_loop *loop, const struct tx_ssh_options *options);
void tx_host_retain(struct tx_host *host);
void tx_host_release(struct tx_host *host); /* the last one ends all connections */
/* Whether the login shell is known to be /bin/sh itself. */
bool tx_host_shell_is_sh(const struct tx_host *host);
void tx_host_learn_shell(struct tx_host *host, bool is_sh);
int64_t tx_host_keepalive(const struct tx_host *host); /* ms; 0: none */
struct tt_loop *tx_host_loop(const struct tx_host *host);
/* The host's SFTP client, kept here for executors/ssh/sftp/sftp.c; NULL: none. */
struct tx_sftp;
struct tx_sftp *tx_host_sftp(const struct tx_host *host);
void tx_host_set_sftp(struct tx_host *host, struct tx_sftp *sftp);
/* The scope of all that is done for the host and not for one caller: resolving, connecting, what is
 * kept with a connection. Who is cancelled lets go of what cannot end at once (a name that is being
 * looked up, a file that is being read): it ends in there. */
struct tt_scope *tx_host_life(const struct tx_host *host);
/* Ends connections that nobody uses; finishes when nothing runs for the host any more, nor for the
 * one that it is reached through. A host in use goes on, and is not waited for. */
struct tt_op *tx_host_close_idle(struct tx_host *host, struct tt_scope *scope);

/* Goes through that host; before the first channel is asked for. */
void tx_host_set_jump(struct tx_host *host, struct tx_host *jump);

/* A channel, and the use of its connection. */
struct tx_lease {
    struct tx_channel *channel;
    struct tx_link *link;
};
/* Finishes with tx_lease_of: an open channel, not started. target NULL: for a command; else
 * connected to target:port as the host sees it. Kinds: connect, auth, host_key, invalid. */
struct tt_op *tx_host_channel(struct tx_host *host, struct tt_scope *scope, const char *target,
                              int port);
/* On this very connection, and without waiting for room, for what is attached to it: the lease is
 * no use of the connection. Kind `connect` when refused. */
struct tt_op *tx_link_channel(struct tx_link *link, struct tt_scope *scope);
struct tx_lease *tx_lease_of(struct tt_op *op); /* takes it; NULL on error */
void tx_lease_end(struct tx_lease *lease);      /* frees the channel */
/* A connection of its own, outside the pool, for what changes the whole of it. Finishes with
 * tx_own_session. */
struct tt_op *tx_host_own_session(struct tx_host *host, struct tt_scope *scope);
struct tx_session *tx_own_session(struct tt_op *op); /* takes it; NULL on error */

struct tx_host *tx_link_host(const struct tx_link *link); /* NULL once it left the pool */
struct tt_loop *tx_link_loop(const struct tx_link *link);

/* What others keep with a connection (its guardians): dropped when the connection goes or nobody
 * uses it any more. An attached thing counts as no use. */
struct tx_attached {
    struct tx_attached *next;
    void (*drop)(struct tx_attached *attached);
};
void tx_link_attach(struct tx_link *link, struct tx_attached *attached);
/* It is dropped without having been asked to. */
void tx_link_detach(struct tx_link *link, struct tx_attached *attached);
/* An attached thing works (or no longer does) for somebody: the connection is in use. */
void tx_link_use(struct tx_link *link, bool yes);
struct tx_attached *tx_link_attached(const struct tx_link *link);
/* A lease of an attached thing does not keep the connection in use. */
void tx_lease_is_attached(struct tx_lease *lease);

#endif
