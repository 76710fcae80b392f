#include "executors/ssh/tunnel.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "executors/ssh/host/host.h"
#include "executors/ssh/ssh.h"
#include "executors/ssh/wire/relay.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { backlog = 128, breath_ms = 100 };

/* One connection through the tunnel, from its acceptance to its end. */
struct link {
    struct tx_tunnel *tunnel;
    struct link *next;
    struct tx_wire *wire;
    struct tx_channel *channel; /* there: accepted from the server */
    struct tx_lease *lease;     /* here: of a channel through the pool */
    struct tt_op *opening;
    struct tx_relay *relay;
};

/* The listening socket outlives the tunnel by the closing of its handle. */
struct port {
    uv_poll_t poll;
    int fd;
    struct tx_tunnel *tunnel;
};

struct opening {
    struct tt_op op;
    struct tx_tunnel *tunnel; /* held */
};

struct tx_tunnel {
    struct tt_op life; /* in the scope of who opened it */
    unsigned refs;
    struct tt_loop *loop;
    struct tx_host *host;   /* held */
    struct tt_env *env;     /* held */
    struct tt_scope *scope; /* of the connections' operations */
    char *from_host, *to_host;
    int from_port, to_port;
    bool reverse, open;
    struct opening *starting;
    struct link *links;
    /* here */
    struct port *port;
    struct tt_job job;
    struct tt_timer breath; /* no descriptors are left: nothing is accepted for a while */
    /* there */
    struct tt_op *connecting;
    struct tx_session *session;
    LIBSSH2_LISTENER *listener;
    struct tx_waiter waiter;
};

static void unref(struct tx_tunnel *t)
{
    if (--t->refs > 0)
        return;
    tt_scope_release(t->scope);
    tx_host_release(t->host);
    tt_env_release(t->env);
    free(t->from_host);
    free(t->to_host);
    free(t);
}

/* --- connections --- */

static void link_free(struct link *link)
{
    struct link **at = &link->tunnel->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    tt_op_drop_because(&link->opening, "the tunnel is closed");
    if (link->relay)
        tx_relay_free(link->relay); /* with the wire */
    else if (link->wire)
        link->wire->class_->free(link->wire);
    if (link->lease)
        tx_lease_end(link->lease);
    else
        tx_channel_free(link->channel);
    free(link);
}

static void on_relay_ended(void *arg)
{
    link_free(arg);
}

static struct link *link_new(struct tx_tunnel *t)
{
    struct link *link = tt_zalloc(sizeof *link);
    link->tunnel = t;
    link->next = t->links;
    t->links = link;
    return link;
}

static void start_relay(struct link *link, struct tx_channel *channel)
{
    link->relay = tx_relay_new(link->tunnel->loop, link->wire, channel, on_relay_ended, link);
}

/* --- a port here --- */

static void on_channel(struct tt_op *op, void *arg)
{
    struct link *link = arg;
    link->lease = tx_lease_of(op);
    link->opening = NULL;
    tt_op_release(op);
    if (link->lease)
        start_relay(link, link->lease->channel);
    else
        link_free(link); /* whoever connected sees the end */
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_breath(struct tt_timer *timer)
{
    struct tx_tunnel *t = tt_owner(timer, struct tx_tunnel, breath);
    uv_poll_start(&t->port->poll, UV_READABLE, on_poll);
}

/* Who waits to be accepted keeps the socket readable: looking at it again at once is of no use. */
static void hold_breath(struct tx_tunnel *t)
{
    uv_poll_stop(&t->port->poll);
    tt_timer_start(t->loop, &t->breath, tt_loop_now(t->loop) + breath_ms, on_breath);
}

static void on_accept_job(struct tt_job *job)
{
    struct tx_tunnel *t = tt_owner(job, struct tx_tunnel, job);
    while (t->port) {
        int fd = TT_FAULT("ssh_tunnel.accept")
                     ? -1
                     : accept4(t->port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                hold_breath(t);
            return;
        }
        struct tx_wire *wire = tx_wire_of_socket(t->loop, fd, NULL);
        if (!wire)
            continue;
        struct link *link = link_new(t);
        link->wire = wire;
        link->opening = tx_host_channel(t->host, t->scope, t->to_host, t->to_port);
        tt_op_await(link->opening, on_channel, link);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct port *port = poll->data;
    tt_loop_post(port->tunnel->loop, &port->tunnel->job);
}

static void on_port_closed(uv_handle_t *handle)
{
    struct port *port = handle->data;
    close(port->fd);
    free(port);
}

/* Names are not looked up: to listen means an address of this machine. */
static int bind_port(struct tx_tunnel *t, int *fd, struct tt_error **err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", t->from_port);
    struct addrinfo *found = NULL,
                    hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const char *host = strcmp(t->from_host, "localhost") == 0 ? "127.0.0.1" : t->from_host;
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return tt_fail(err, TT_INVALID, "\"%s\" is no address to listen on", t->from_host);
    int yes = 1;
    *fd = TT_FAULT("ssh_tunnel.socket")
              ? -1
              : socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd >= 0)
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool ok = *fd >= 0 && !TT_FAULT("ssh_tunnel.bind") &&
              bind(*fd, found->ai_addr, found->ai_addrlen) == 0 && listen(*fd, backlog) == 0;
    int errnum = errno;
    freeaddrinfo(found);
    if (!ok && *fd >= 0)
        close(*fd);
    return ok ? 0
              : tt_fail_errno(err, errnum, "cannot listen on %s port %d", t->from_host,
                              t->from_port);
}

static int listen_here(struct tx_tunnel *t, struct tt_error **err)
{
    int fd = -1, rc = bind_port(t, &fd, err);
    if (rc < 0)
        return rc;
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } bound;
    memset(&bound, 0, sizeof bound);
    socklen_t size = sizeof bound;
    getsockname(fd, &bound.any, &size);
    t->from_port =
        ntohs(bound.any.sa_family == AF_INET6 ? bound.six.sin6_port : bound.four.sin_port);
    struct port *port = tt_zalloc(sizeof *port);
    port->fd = fd;
    port->tunnel = t;
    port->poll.data = port;
    rc = TT_FAULT("ssh_tunnel.poll") ? UV_EIO : uv_poll_init(tt_loop_uv(t->loop), &port->poll, fd);
    if (rc < 0) {
        close(fd);
        free(port);
        return tt_fail(err, TT_IO, "a port cannot be watched: %s", uv_strerror(rc));
    }
    uv_poll_start(&port->poll, UV_READABLE, on_poll);
    t->port = port;
    return 0;
}

/* --- a port there --- */

static void on_dialled(struct tt_op *op, void *arg)
{
    struct link *link = arg;
    link->wire = tx_wire_of(op);
    link->opening = NULL;
    tt_op_release(op);
    if (link->wire)
        start_relay(link, link->channel);
    else
        link_free(link);
}

static void accept_there(struct tx_tunnel *t)
{
    LIBSSH2_CHANNEL *raw;
    while ((raw = TT_FAULT("ssh_tunnel.forward_accept")
                      ? NULL
                      : tx_ssh2.channel_forward_accept(t->listener))) {
        struct link *link = link_new(t);
        link->channel = tx_channel_adopt(t->session, raw);
        link->opening = tx_wire_connect(t->scope, t->to_host, t->to_port);
        tt_op_await(link->opening, on_dialled, link);
    }
}

static void opened(struct tx_tunnel *t, struct tt_error *err);

static void listen_there(struct tx_tunnel *t)
{
    int bound = t->from_port;
    LIBSSH2_SESSION *raw = tx_session_raw(t->session);
    bool broken = TT_FAULT("ssh_tunnel.listen");
    if (!broken)
        t->listener =
            tx_ssh2.channel_forward_listen_ex(raw, t->from_host, t->from_port, &bound, backlog);
    if (t->listener) {
        t->from_port = bound;
        tx_session_keepalive(t->session, tx_host_keepalive(t->host));
        opened(t, NULL);
        return;
    }
    int rc = broken ? LIBSSH2_ERROR_SOCKET_RECV : tx_ssh2.session_last_errno(raw);
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(t->session))
        return;
    struct tt_error *err = NULL;
    if (tx_session_why(t->session) || tx_session_failed(t->session, rc, "asking for a port")) {
        err = tt_error_copy(tx_session_why(t->session));
        tt_fail(&err, TT_LOST, "the connection broke before the host listened on %s port %d",
                t->from_host, t->from_port);
    } else {
        err = tt_error_new(TT_PERMISSION, "the host does not listen on %s port %d: %s",
                           t->from_host, t->from_port, tx_session_text(t->session));
    }
    opened(t, err);
}

static void on_wake(struct tx_waiter *waiter)
{
    struct tx_tunnel *t = tt_owner(waiter, struct tx_tunnel, waiter);
    if (!t->listener && t->starting)
        listen_there(t);
    else if (tx_session_why(t->session))
        tx_tunnel_close(t);
    else if (t->listener)
        accept_there(t);
}

static void on_session(struct tt_op *op, void *arg)
{
    struct tx_tunnel *t = arg;
    struct tt_error *err = tt_error_copy(op->error);
    t->session = tx_own_session(op);
    t->connecting = NULL;
    tt_op_release(op);
    if (!t->session) {
        opened(t, err);
        return;
    }
    t->waiter.wake = on_wake;
    tx_session_wait(t->session, &t->waiter);
}

/* --- life --- */

void tx_tunnel_close(struct tx_tunnel *t)
{
    if (tt_op_finished(&t->life))
        return;
    t->open = false;
    while (t->links)
        link_free(t->links);
    tt_loop_unpost(t->loop, &t->job);
    tt_timer_stop(t->loop, &t->breath);
    if (t->port)
        uv_close((uv_handle_t *)&t->port->poll, on_port_closed);
    t->port = NULL;
    tt_op_drop_because(&t->connecting, "the tunnel is closed");
    if (t->session) {
        tx_session_unwait(t->session, &t->waiter);
        tx_session_end(t->session);
        tx_session_release(t->session);
        t->session = NULL;
        t->listener = NULL;
    }
    tt_op_finish(&t->life, NULL);
}

static void life_cancel(struct tt_op *op, const struct tt_error *why)
{
    (void)why;
    tx_tunnel_close((struct tx_tunnel *)(void *)op);
}

static void life_free(struct tt_op *op)
{
    unref((struct tx_tunnel *)(void *)op);
}

static void opened(struct tx_tunnel *t, struct tt_error *err)
{
    struct opening *o = t->starting;
    t->starting = NULL;
    t->open = !err;
    if (err)
        tx_tunnel_close(t);
    tt_op_finish(&o->op, err);
}

static void opening_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tx_tunnel *t = ((struct opening *)(void *)op)->tunnel;
    t->starting = NULL;
    tx_tunnel_close(t);
    tt_op_finish(op, tt_error_copy(why));
}

static void opening_free(struct tt_op *op)
{
    struct opening *o = (struct opening *)(void *)op;
    if (o->tunnel)
        unref(o->tunnel);
    free(o);
}

static struct tx_tunnel *tunnel_new(struct tt_env *env, struct tx_host *host,
                                    struct tt_scope *scope, const struct tx_tunnel_options *o)
{
    static const struct tt_op_class class_ = {"a tunnel", life_cancel, life_free};
    struct tx_tunnel *t = tt_zalloc(sizeof *t);
    t->refs = 2; /* the opening's and the life's */
    t->loop = tt_scope_loop(scope);
    t->host = host;
    tx_host_retain(host);
    t->env = env;
    tt_env_retain(env);
    t->scope = tt_scope_new(t->loop, tx_host_life(host));
    t->from_host = tt_strdup(o->from_host ? o->from_host : "127.0.0.1");
    t->to_host = tt_strdup(o->to_host ? o->to_host : "127.0.0.1");
    t->from_port = o->from_port;
    t->to_port = o->to_port;
    t->reverse = o->reverse;
    t->job.run = on_accept_job;
    tt_op_init(&t->life, &class_, scope);
    tt_op_release(&t->life);
    return t;
}

static void on_reached(struct tt_op *op, void *arg)
{
    struct tx_tunnel *t = arg;
    struct tt_error *err = tt_error_copy(op->error);
    t->connecting = NULL;
    if (!err)
        listen_here(t, &err);
    tt_op_release(op);
    opened(t, err);
}

struct tt_op *tx_tunnel_open(struct tt_env *env, struct tt_scope *scope,
                             const struct tx_tunnel_options *options)
{
    static const struct tt_op_class class_ = {"opening a tunnel", opening_cancel, opening_free};
    struct tx_host *host = tx_ssh_host(env);
    if (!host)
        return tt_op_finished_new(
            scope, tt_error_new(TT_UNSUPPORTED, "%s has no tunnels: only ssh hosts do", env->text));
    struct opening *o = tt_zalloc(sizeof *o);
    tt_op_init(&o->op, &class_, scope);
    if (tt_op_finished(&o->op))
        return &o->op;
    struct tx_tunnel *t = o->tunnel = tunnel_new(env, host, scope, options);
    t->starting = o;
    /* a port here is opened once the host was reached: a tunnel into nothing is none */
    if (t->reverse) {
        t->connecting = tx_host_own_session(host, t->scope);
        tt_op_await(t->connecting, on_session, t);
    } else {
        t->connecting = tx_host_channel(host, t->scope, NULL, 0);
        tt_op_await(t->connecting, on_reached, t);
    }
    return &o->op;
}

struct tx_tunnel *tx_tunnel_of(struct tt_op *op)
{
    struct opening *o = (struct opening *)(void *)op;
    if (op->error)
        return NULL;
    o->tunnel->refs++;
    return o->tunnel;
}

void tx_tunnel_release(struct tx_tunnel *tunnel)
{
    unref(tunnel);
}

int tx_tunnel_port(const struct tx_tunnel *tunnel)
{
    return tunnel->from_port;
}

bool tx_tunnel_is_open(const struct tx_tunnel *tunnel)
{
    return tunnel->open;
}
