/* Tunnels through an ssh host: a port here that leads to an address as the host sees it, or a port
 * there that leads to an address as we see it. Loop thread. */
#ifndef TX_SSH_TUNNEL_H
#define TX_SSH_TUNNEL_H

#include "core/env/exec.h"

struct tx_tunnel;

struct tx_tunnel_options {
    const char *from_host; /* where to listen; NULL: 127.0.0.1 */
    int from_port;         /* 0: any free one */
    const char *to_host;   /* NULL: 127.0.0.1 */
    int to_port;
    bool reverse; /* listen there, lead to here */
};

/* Finishes with tx_tunnel_of once connections are accepted. It then stays open in `scope` until it
 * is closed or the scope is cancelled; its connections end with it. A port here outlives lost
 * connections to the host, one there does not. Kinds: unsupported for an environment that is no ssh
 * host; connect, auth, host_key; permission, io for the port; lost. */
struct tt_op *tx_tunnel_open(struct tt_env *env, struct tt_scope *scope,
                             const struct tx_tunnel_options *options);
struct tx_tunnel *tx_tunnel_of(struct tt_op *op); /* one reference; NULL on error */
void tx_tunnel_release(struct tx_tunnel *tunnel);

/* The port that is listened on. */
int tx_tunnel_port(const struct tx_tunnel *tunnel);
bool tx_tunnel_is_open(const struct tx_tunnel *tunnel);
/* Ends it and its connections. Again: does nothing. */
void tx_tunnel_close(struct tx_tunnel *tunnel);

#endif
