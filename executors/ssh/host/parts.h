/* What the host's files share. A host and its pool of connections are one idea in several files
 * that call each other: host.c (the hosts, and the way to one), connect.c (new connections), link.c
 * (the connections, and the leases on them), request.c (requests for a channel), close.c
 * (ending what nobody uses). Only they include it. Loop thread. */
#ifndef TX_SSH_PARTS_H
#define TX_SSH_PARTS_H

#include "executors/ssh/config/options.h"
#include "executors/ssh/host/host.h"

enum { tx_assumed_channels = 10 /* OpenSSH's default for MaxSessions */ };

struct tx_link {
    struct tx_host *host; /* NULL once it left the pool */
    struct tx_link *next;
    struct tx_session *session; /* held */
    struct tx_waiter waiter;
    unsigned refs;       /* the pool's, and the leases' */
    unsigned channels;   /* leased, the attached ones included */
    unsigned users;      /* leased, without the attached ones */
    unsigned room;       /* channels that the connection holds; 0: not known */
    int64_t born, freed; /* monotonic ms; freed: when a channel was last closed */
    struct tt_timer idle;
    struct tx_attached *attached;
};

struct tx_host {
    struct tx_host *next; /* of all hosts of the loop */
    unsigned refs;
    struct tt_loop *loop;
    struct tt_buf key; /* what makes two hosts the same */
    struct tx_own_options own;
    struct tx_ssh_settings settings;
    enum { TX_HOST_UNKNOWN, TX_HOST_RESOLVING, TX_HOST_RESOLVED } resolved;
    struct tt_scope *life; /* tx_host_life */
    struct tt_op *resolve;
    struct tx_closing *closings;
    struct tx_host *jump; /* held */
    unsigned depth;       /* of jumps that led here */
    struct tx_link *links;
    struct tx_connecting *connecting;
    struct tx_request *requests; /* those that wait or open, oldest first */
    unsigned room;               /* channels that a connection is known to hold; 0: not known */
    bool crowded;                /* another connection was refused while some live */
    bool shell_is_sh;
    struct tx_sftp *sftp; /* executors/ssh/sftp keeps a reference for it */
    struct tt_job job;
};

/* --- host.c --- */

/* Something changed: serves the requests that wait, in a job. */
void tx_host_settle(struct tx_host *host);
/* Nobody waits for it to be resolved or connected to. */
void tx_host_stop_reaching(struct tx_host *host, const struct tt_error *why);

/* --- connect.c --- */

/* Makes one more connection for the pool. */
void tx_host_connect(struct tx_host *host);
/* Gives up connections that are being made. */
void tx_host_stop_connecting(struct tx_host *host, const struct tt_error *why);
size_t tx_host_connecting(const struct tx_host *host); /* how many */

/* --- link.c --- */

/* Puts a session (taken) into the pool. */
struct tx_link *tx_link_new(struct tx_host *host, struct tx_session *session);
/* Takes the link out of the pool: it gets no new channels, its leases go on. */
void tx_link_leave(struct tx_link *link);
void tx_link_unref(struct tx_link *link);
/* A link that takes another channel, or NULL. */
struct tx_link *tx_link_with_room(const struct tx_host *host);
/* Counts one more, or one less, channel on the link; each holds a reference. `attached`: it does
 * not keep the connection in use. */
void tx_link_take_place(struct tx_link *link, bool attached);
void tx_link_give_place(struct tx_link *link, bool attached);
/* Takes the channel, and a place that was taken for it. */
struct tx_lease *tx_lease_new(struct tx_link *link, struct tx_channel *channel, bool attached);

/* --- request.c --- */

/* Gives waiting requests a connection with room, and makes more connections. */
void tx_requests_serve(struct tx_host *host);
/* Fails the requests that wait for a connection. */
void tx_requests_fail(struct tx_host *host, const struct tt_error *why);

#endif
