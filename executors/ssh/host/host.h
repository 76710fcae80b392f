/* A host that commands go to, and the pool of connections to it.
 * Environments of a loop with equal options share one host. Who asks for a channel gets one on a
 * connection that has room. When the server refuses a channel, the host has learned how many a
 * connection holds (MaxSessions), and makes another connection. When the server refuses another
 * connection (MaxStartups), the host waits for room on those that live. A request fails only by its
 * own scope, or when no connection can be made at all. Loop thread. */
#ifndef TX_SSH_HOST_H
#define TX_SSH_HOST_H

#include "executors/ssh/config/options.h"
#include "executors/ssh/wire/channel.h"

struct tx_host;
struct tx_link; /* a connection of the pool */

/* The base of every SSH environment. */
struct tx_ssh_env {
    struct tt_env base;
    struct tx_host *host; /* held */
};
/* The host of an SSH environment, borrowed. For code that is given no other kind. */
static inline struct tx_host *tx_host_of(const struct tt_env *env)
{
    return ((const struct tx_ssh_env *)(const void *)env)->host;
}

/* The host of these options: an existing one, or new. One reference for the caller. */
struct tx_host *tx_host_get(struct tt_loop *loop, const struct tx_ssh_options *options);
void tx_host_retain(struct tx_host *host);
void tx_host_release(struct tx_host *host); /* with the last reference all connections end */
/* Whether the login shell is known to be /bin/sh itself. */
bool tx_host_shell_is_sh(const struct tx_host *host);
void tx_host_learn_shell(struct tx_host *host, bool is_sh);
int64_t tx_host_keepalive(const struct tx_host *host); /* ms; 0: none */
struct tt_loop *tx_host_loop(const struct tx_host *host);
/* The host's SFTP client, kept here for executors/ssh/sftp/sftp.c; NULL: none. */
struct tx_sftp;
struct tx_sftp *tx_host_sftp(const struct tx_host *host);
void tx_host_set_sftp(struct tx_host *host, struct tx_sftp *sftp);
/* The scope of what is done for the host and not for one caller: resolving, connecting, what is
 * attached to a connection. A caller that is cancelled leaves behind what cannot end at once (a
 * name that is being looked up, a file that is being read): that ends in this scope. */
struct tt_scope *tx_host_life(const struct tx_host *host);
/* Ends connections that nobody uses. Finishes when nothing runs any more for the host, nor for the
 * one that it is reached through. Does not wait for a host that is in use. */
struct tt_op *tx_host_close_idle(struct tx_host *host, struct tt_scope *scope);

/* From now on `host` is reached through `jump` (retained). Before the first channel is asked for.
 */
void tx_host_set_jump(struct tx_host *host, struct tx_host *jump);

/* A channel that somebody has, on a connection that it keeps in use. */
struct tx_lease {
    struct tx_channel *channel;
    struct tx_link *link;
};
/* Finishes with tx_lease_of: an open channel, not started. target NULL: for a command; else
 * connected to target:port as the host sees it. Kinds: connect, auth, host_key, invalid. */
struct tt_op *tx_host_channel(struct tx_host *host, struct tt_scope *scope, const char *target,
                              int port);
/* The same on this very connection, without waiting for room, for what is attached to it: such a
 * lease does not keep the connection in use. Kind `connect` when the server refuses. */
struct tt_op *tx_link_channel(struct tx_link *link, struct tt_scope *scope);
struct tx_lease *tx_lease_of(struct tt_op *op); /* takes it; NULL on error */
void tx_lease_end(struct tx_lease *lease);      /* frees the channel */
/* Makes a connection outside the pool, for a user that changes the state of the whole connection.
 * Finishes with tx_own_session. */
struct tt_op *tx_host_own_session(struct tx_host *host, struct tt_scope *scope);
struct tx_session *tx_own_session(struct tt_op *op); /* takes it; NULL on error */

struct tx_host *tx_link_host(const struct tx_link *link); /* NULL once the link left the pool */
struct tt_loop *tx_link_loop(const struct tx_link *link);

/* Something that is kept with a connection (its guardian) and does not keep it in use. `drop` is
 * called when the connection ends, or when nobody uses it any more. */
struct tx_attached {
    struct tx_attached *next;
    void (*drop)(struct tx_attached *attached);
};
void tx_link_attach(struct tx_link *link, struct tx_attached *attached);
/* The attached thing goes by itself: `drop` is not called. */
void tx_link_detach(struct tx_link *link, struct tx_attached *attached);
/* An attached thing begins (or ceases) to work for somebody, and keeps the connection in use. */
void tx_link_use(struct tx_link *link, bool yes);
struct tx_attached *tx_link_attached(const struct tx_link *link);
/* Makes the lease that of an attached thing: it no longer keeps the connection in use. */
void tx_lease_is_attached(struct tx_lease *lease);

#endif
