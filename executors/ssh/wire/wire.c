#include "executors/ssh/wire/wire.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- a socket as a wire --- */

/* A server sends small packets one after the other while it lets us in, and not the second before
 * the first was acknowledged (Nagle): what it sends first is acknowledged at once, which saves a
 * new connection two waits of 40 ms. Later it sends without such waits by itself. */
enum { hurried_reads = 24 };

struct sock {
    struct tx_wire wire;
    uv_poll_t poll;
    int fd;
    int events; /* polled for */
    int reads;  /* so far, up to hurried_reads */
};

static ssize_t sock_read(struct tx_wire *wire, void *to, size_t room)
{
    struct sock *sock = (struct sock *)(void *)wire;
    ssize_t n;
    do {
        n = TT_FAULT("ssh_wire.recv") ? -1 : recv(sock->fd, to, room, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (sock->reads < hurried_reads) {
        int yes = 1;
        sock->reads++;
        setsockopt(sock->fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
    }
    return n;
}

static ssize_t sock_write(struct tx_wire *wire, const void *from, size_t length)
{
    const struct sock *sock = (struct sock *)(void *)wire;
    ssize_t n;
    do {
        n = TT_FAULT("ssh_wire.send") ? -1 : send(sock->fd, from, length, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events; /* an error shows when reading */
    struct sock *sock = poll->data;
    if (status < 0)
        sock->events = 0; /* libuv stopped the handle: the next watch starts it again */
    sock->wire.ready(sock->wire.arg);
}

static void sock_watch(struct tx_wire *wire, bool input, bool room)
{
    struct sock *sock = (struct sock *)(void *)wire;
    int events = (input ? UV_READABLE : 0) | (room ? UV_WRITABLE : 0);
    if (events == sock->events)
        return;
    sock->events = events;
    if (events)
        uv_poll_start(&sock->poll, events, on_poll);
    else
        uv_poll_stop(&sock->poll);
}

static void on_closed(uv_handle_t *handle)
{
    struct sock *sock = handle->data;
    close(sock->fd);
    free(sock);
}

static void sock_free(struct tx_wire *wire)
{
    struct sock *sock = (struct sock *)(void *)wire;
    shutdown(sock->fd, SHUT_RDWR); /* now; the descriptor itself goes with the handle */
    uv_close((uv_handle_t *)&sock->poll, on_closed);
}

static const struct tx_wire_class sock_class = {sock_read, sock_write, sock_watch, sock_free};

/* Takes fd; 0 or libuv's error. */
static int sock_new(struct sock **out, struct tt_loop *loop, int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    struct sock *sock = tt_zalloc(sizeof *sock);
    sock->wire.class_ = &sock_class;
    sock->fd = fd;
    sock->poll.data = sock;
    int rc = TT_FAULT("ssh_wire.poll") ? UV_EIO : uv_poll_init(tt_loop_uv(loop), &sock->poll, fd);
    if (rc < 0) {
        close(fd);
        free(sock);
        return rc;
    }
    *out = sock;
    return 0;
}

struct tx_wire *tx_wire_of_socket(struct tt_loop *loop, int fd, struct tt_error **err)
{
    struct sock *sock;
    int rc = sock_new(&sock, loop, fd);
    if (rc < 0)
        tt_fail(err, TT_IO, "a connection cannot be watched: %s", uv_strerror(rc));
    return rc < 0 ? NULL : &sock->wire;
}

void tx_wire_end_output(struct tx_wire *wire)
{
    shutdown(((struct sock *)(void *)wire)->fd, SHUT_WR);
}

/* --- connecting --- */

struct connecting {
    struct tx_wire_op base;
    uv_getaddrinfo_t request;
    char *host;
    int port;
    struct addrinfo *addresses, *next; /* next: to be tried */
    size_t left;                       /* addresses from next on */
    struct sock *sock;                 /* being tried */
    struct tt_timer share;             /* the time of this address */
    struct tt_job job;                 /* libuv called back */
    struct tt_error *tried;            /* what became of the addresses before */
    struct tt_error *why;              /* cancelled for this */
    int resolved;                      /* uv_getaddrinfo's status */
    enum { RESOLVING, TRYING } state;
};

static void connecting_free(struct tt_op *op)
{
    struct connecting *c = (struct connecting *)(void *)op;
    uv_freeaddrinfo(c->addresses);
    free(c->host);
    tt_error_free(c->tried);
    tt_error_free(c->why);
    tx_wire_op_free(op);
}

static void drop_attempt(struct connecting *c)
{
    tt_timer_stop(c->base.op.loop, &c->share);
    if (c->sock)
        sock_free(&c->sock->wire);
    c->sock = NULL;
}

static void finish(struct connecting *c, struct tt_error *err)
{
    tt_loop_unpost(c->base.op.loop, &c->job);
    tt_op_finish(&c->base.op, err);
}

static void connecting_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct connecting *c = (struct connecting *)(void *)op;
    if (c->state == RESOLVING) {
        /* a name that is being resolved is let go when it comes back; uv_cancel makes that soon */
        c->why = tt_error_copy(why);
        uv_cancel((uv_req_t *)&c->request);
        return;
    }
    drop_attempt(c);
    finish(c, tt_error_copy(why));
}

static void note_failure(struct connecting *c, const struct addrinfo *address, int errnum)
{
    char text[INET6_ADDRSTRLEN + 1] = "?";
    getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    struct tt_error *err = NULL;
    tt_error_set(&err, TT_CONNECT, 0, __FILE__, __LINE__, "%s port %d: %s", text, c->port,
                 strerror(errnum));
    err->errnum = errnum;
    err->cause = c->tried;
    c->tried = err;
}

static void try_next(struct connecting *c);

static void on_share_over(struct tt_timer *timer)
{
    struct connecting *c = tt_owner(timer, struct connecting, share);
    const struct addrinfo *address = c->next;
    drop_attempt(c);
    note_failure(c, address, ETIMEDOUT);
    c->next = c->next->ai_next;
    c->left--;
    try_next(c);
}

static void on_ready(void *arg)
{
    struct connecting *c = arg;
    tt_loop_post(c->base.op.loop, &c->job);
}

static int open_socket(struct connecting *c, const struct addrinfo *address)
{
    int fd = TT_FAULT("ssh_wire.socket")
                 ? -1
                 : socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct sock *sock;
    int rc = sock_new(&sock, c->base.op.loop, fd);
    if (rc < 0)
        return rc;
    sock->wire.ready = on_ready;
    sock->wire.arg = c;
    c->sock = sock;
    if (TT_FAULT("ssh_wire.connect") ||
        (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS))
        return -errno;
    sock_watch(&sock->wire, false, true);
    return 0;
}

static void give_up(struct connecting *c)
{
    struct tt_error *err = c->tried;
    c->tried = NULL;
    tt_fail(&err, TT_CONNECT, "cannot connect to %s port %d", c->host, c->port);
    finish(c, err);
}

static void try_next(struct connecting *c)
{
    for (; c->next; c->next = c->next->ai_next, c->left--) {
        int rc = open_socket(c, c->next);
        if (rc == 0) {
            int64_t now = tt_loop_now(c->base.op.loop);
            int64_t ends = tt_scope_ends_at(c->base.op.scope);
            if (ends != TT_NEVER && c->left > 1)
                tt_timer_start(c->base.op.loop, &c->share,
                               now + (ends > now ? (ends - now) / (int64_t)c->left : 0),
                               on_share_over);
            return;
        }
        drop_attempt(c);
        note_failure(c, c->next, -rc);
    }
    give_up(c);
}

static void on_connected(struct connecting *c)
{
    int errnum = 0;
    socklen_t size = sizeof errnum;
    if (getsockopt(c->sock->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    if (errnum) {
        const struct addrinfo *address = c->next;
        drop_attempt(c);
        note_failure(c, address, errnum);
        c->next = c->next->ai_next;
        c->left--;
        try_next(c);
        return;
    }
    tt_timer_stop(c->base.op.loop, &c->share);
    sock_watch(&c->sock->wire, false, false);
    c->base.wire = &c->sock->wire;
    c->sock = NULL;
    finish(c, NULL);
}

static void on_job(struct tt_job *job)
{
    struct connecting *c = tt_owner(job, struct connecting, job);
    if (c->state == TRYING) {
        if (c->sock)
            on_connected(c);
        return;
    }
    c->state = TRYING;
    if (c->why) {
        finish(c, tt_error_copy(c->why));
    } else if (c->resolved < 0) {
        finish(c, tt_error_new(TT_CONNECT, "the name %s cannot be resolved: %s", c->host,
                               uv_strerror(c->resolved)));
    } else {
        c->next = c->addresses;
        for (const struct addrinfo *a = c->addresses; a; a = a->ai_next)
            c->left++;
        try_next(c);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct connecting *c = request->data;
    c->resolved = status;
    c->addresses = addresses;
    tt_loop_post(c->base.op.loop, &c->job);
}

struct tt_op *tx_wire_connect(struct tt_scope *scope, const char *host, int port)
{
    static const struct tt_op_class class_ = {"connecting", connecting_cancel, connecting_free};
    struct connecting *c = tt_zalloc(sizeof *c);
    c->host = tt_strdup(host);
    c->port = port;
    c->job.run = on_job;
    c->request.data = c;
    tt_op_init(&c->base.op, &class_, scope);
    if (tt_op_finished(&c->base.op))
        return &c->base.op;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int rc = TT_FAULT("ssh_wire.resolve") ? UV_EIO
                                          : uv_getaddrinfo(tt_loop_uv(c->base.op.loop), &c->request,
                                                           on_resolved, host, service, &hints);
    if (rc < 0) {
        c->state = TRYING;
        finish(c, tt_error_new(TT_CONNECT, "the name %s cannot be resolved: %s", host,
                               uv_strerror(rc)));
    }
    return &c->base.op;
}

struct tx_wire *tx_wire_of(struct tt_op *op)
{
    struct tx_wire_op *made = (struct tx_wire_op *)(void *)op;
    struct tx_wire *wire = made->wire;
    made->wire = NULL;
    return wire;
}

void tx_wire_op_free(struct tt_op *op)
{
    struct tx_wire_op *made = (struct tx_wire_op *)(void *)op;
    if (made->wire)
        made->wire->class_->free(made->wire);
    free(made);
}
