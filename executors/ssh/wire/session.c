#include "executors/ssh/wire/session.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { read_size = 64 << 10, max_rounds = 8, unanswered_keepalives = 3 };

struct tx_session {
    unsigned refs;
    struct tt_loop *loop;
    struct tx_wire *wire; /* NULL once broken */
    LIBSSH2_SESSION *raw;
    struct tt_buf in; /* received; libssh2 takes from in_at on */
    size_t in_at;
    struct tt_buf out; /* to be sent from out_at on */
    size_t out_at;
    bool readable; /* the wire may have more */
    bool ended;    /* the wire's end was read */
    bool pumping;  /* in on_job */
    bool dead;     /* being freed: libssh2 talks to nobody */
    bool shaking;  /* libssh2 is in the middle of the handshake */
    bool heard;
    char *farewell; /* the server said that it disconnects */
    struct tt_error *why;
    struct tt_job job;
    struct tx_waiter *waiters, *cursor; /* cursor: who is woken next */
    struct tx_turn *turns[TX_QUEUES];
    size_t pulled, pushed; /* bytes that libssh2 took and gave, ever */
    struct tt_timer keepalive;
    int64_t interval;
    unsigned unanswered;
};

/* --- libssh2's view of the wire --- */

static void read_wire(struct tx_session *s)
{
    if (!s->readable || s->ended || s->why)
        return;
    char *to = tt_buf_reserve(&s->in, read_size);
    if (!to) {
        tx_session_break(s, tt_error_new(TT_IO, "no memory for what was received"));
        return;
    }
    ssize_t n = s->wire->class_->read(s->wire, to, read_size);
    if (n > 0) {
        s->in.length += (size_t)n;
        s->heard = true;
        s->unanswered = 0;
        s->readable = n == read_size; /* a short read emptied it */
    } else if (n == -EAGAIN) {
        s->readable = false;
    } else if (n == 0) {
        s->ended = true;
        s->readable = false;
        tt_loop_post(s->loop, &s->job);
    } else {
        struct tt_error *why = NULL;
        tt_fail_errno(&why, (int)-n, "the connection broke");
        why->kind = TT_LOST;
        tx_session_break(s, why);
    }
}

static ssize_t on_recv(libssh2_socket_t fd, void *to, size_t room, int flags, void **abstract)
{
    (void)fd;
    (void)flags;
    struct tx_session *s = *abstract;
    if (s->dead)
        return -ECONNRESET;
    if (s->in_at == s->in.length) {
        s->in.length = s->in_at = 0;
        read_wire(s);
    }
    size_t have = s->in.length - s->in_at;
    if (have && TT_FAULT("ssh_session.again")) {
        tt_loop_post(s->loop, &s->job);
        have = 0;
    }
    if (have && TT_FAULT("ssh_session.short"))
        have = 1;
    if (!have)
        return -EAGAIN;
    if (have > room)
        have = room;
    memcpy(to, s->in.data + s->in_at, have);
    s->in_at += have;
    s->pulled += have;
    tt_loop_post(s->loop, &s->job); /* what came may be for others */
    return (ssize_t)have;
}

static ssize_t on_send(libssh2_socket_t fd, const void *from, size_t length, int flags,
                       void **abstract)
{
    (void)fd;
    (void)flags;
    struct tx_session *s = *abstract;
    if (s->dead || s->why)
        return (ssize_t)length;
    if (TT_FAULT("ssh_session.send"))
        return -EPIPE;
    char *to = tt_buf_reserve(&s->out, length);
    if (!to)
        return -ENOMEM;
    memcpy(to, from, length);
    s->out.length += length;
    s->pushed += length;
    tt_loop_post(s->loop, &s->job);
    return (ssize_t)length;
}

static void on_disconnect(LIBSSH2_SESSION *raw, int reason, const char *message, int length,
                          const char *language, int language_length, void **abstract)
{
    (void)raw;
    (void)reason;
    (void)language;
    (void)language_length;
    struct tx_session *s = *abstract;
    free(s->farewell);
    s->farewell = tt_strndup(message ? message : "", length > 0 ? (size_t)length : 0);
    tt_loop_post(s->loop, &s->job);
}

/* --- the pump --- */

static void flush(struct tx_session *s)
{
    bool was_full = tx_session_backlog(s) >= tx_session_full;
    while (!s->why && s->out_at < s->out.length) {
        ssize_t n =
            s->wire->class_->write(s->wire, s->out.data + s->out_at, s->out.length - s->out_at);
        if (n == -EAGAIN)
            break;
        if (n < 0) {
            struct tt_error *why = NULL;
            tt_fail_errno(&why, (int)-n, "the connection broke");
            why->kind = TT_LOST;
            /* what the server said before it went may explain it */
            s->readable = true;
            read_wire(s);
            if (s->in_at < s->in.length) {
                s->ended = true;
                tt_error_free(why);
                tt_loop_post(s->loop, &s->job);
            } else {
                tx_session_break(s, why);
            }
            return;
        }
        s->out_at += (size_t)n;
    }
    if (s->out_at == s->out.length) {
        s->out.length = s->out_at = 0;
    } else if (s->out_at > tx_session_full) {
        tt_buf_drop(&s->out, s->out_at);
        s->out_at = 0;
    }
    if (was_full && tx_session_backlog(s) < tx_session_full)
        tt_loop_post(s->loop, &s->job);
}

static void wake_all(struct tx_session *s)
{
    s->cursor = s->waiters;
    while (s->cursor) {
        struct tx_waiter *waiter = s->cursor;
        s->cursor = waiter->next;
        waiter->wake(waiter);
    }
}

static void hang_up(struct tx_session *s)
{
    if (s->wire)
        s->wire->class_->free(s->wire);
    s->wire = NULL;
}

static void on_job(struct tt_job *job)
{
    struct tx_session *s = tt_owner(job, struct tx_session, job);
    tx_session_retain(s);
    size_t before;
    int round = 0;
    if (s->in_at == s->in.length)
        read_wire(s);
    bool was_broken = s->why;
    s->pumping = true;
    do {
        before = s->pulled;
        wake_all(s);
    } while (s->pulled != before && ++round < max_rounds);
    s->pumping = false;
    tt_loop_unpost(s->loop, &s->job);
    if (s->pulled != before || (s->readable && s->in_at == s->in.length) ||
        (s->why && !was_broken)) /* who was woken before it broke has to know */
        tt_loop_post(s->loop, &s->job);
    flush(s);
    /* All that came was taken, or nobody wants it and nobody will: */
    if ((s->ended || s->farewell) && (s->in_at == s->in.length || !s->waiters))
        tx_session_break(s, s->farewell && *s->farewell
                                ? tt_error_new(TT_LOST, "the server disconnected: %s", s->farewell)
                                : tt_error_new(TT_LOST, "the server closed the connection"));
    if (!s->why)
        s->wire->class_->watch(s->wire, !s->readable && !s->ended, s->out_at < s->out.length);
    else
        hang_up(s); /* whoever still holds a broken session does not keep the far side waiting */
    if (!s->in.length && !s->out.length && !s->waiters) {
        tt_buf_free(&s->in);
        tt_buf_free(&s->out);
    }
    tx_session_release(s);
}

static void on_ready(void *arg)
{
    struct tx_session *s = arg;
    s->readable = true;
    tt_loop_post(s->loop, &s->job);
}

/* --- life --- */

/* libssh2 wants a descriptor to look at, and never reads it. */
static int some_descriptor(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return fd;
}

struct tx_session *tx_session_new(struct tt_loop *loop, struct tx_wire *wire, struct tt_error **err)
{
    struct tx_session *s = tt_zalloc(sizeof *s);
    s->refs = 1;
    s->loop = loop;
    s->wire = wire;
    s->job.run = on_job;
    s->raw = TT_FAULT("ssh_session.init") || some_descriptor() < 0
                 ? NULL
                 : tx_ssh2.session_init_ex(NULL, NULL, NULL, s);
    if (!s->raw) {
        wire->class_->free(wire);
        free(s);
        tt_fail(err, TT_IO, "libssh2 could not make a session");
        return NULL;
    }
    tx_ssh2.session_set_blocking(s->raw, 0);
    /* the library's signature takes any callback as a pointer */
    ssize_t (*recv)(libssh2_socket_t, void *, size_t, int, void **) = on_recv;
    ssize_t (*send)(libssh2_socket_t, const void *, size_t, int, void **) = on_send;
    void *pointer;
    memcpy(&pointer, &recv, sizeof pointer);
    tx_ssh2.session_callback_set(s->raw, LIBSSH2_CALLBACK_RECV, pointer);
    memcpy(&pointer, &send, sizeof pointer);
    tx_ssh2.session_callback_set(s->raw, LIBSSH2_CALLBACK_SEND, pointer);
    void (*disconnect)(LIBSSH2_SESSION *, int, const char *, int, const char *, int, void **) =
        on_disconnect;
    memcpy(&pointer, &disconnect, sizeof pointer);
    tx_ssh2.session_callback_set(s->raw, LIBSSH2_CALLBACK_DISCONNECT, pointer);
    wire->ready = on_ready;
    wire->arg = s;
    wire->class_->watch(wire, true, false);
    return s;
}

void tx_session_retain(struct tx_session *session)
{
    session->refs++;
}

static void say_goodbye(struct tx_session *s)
{
    if (s->why)
        return;
    tx_ssh2.session_disconnect_ex(s->raw, SSH_DISCONNECT_BY_APPLICATION, "done", "");
    flush(s);
}

void tx_session_release(struct tx_session *s)
{
    if (!s || --s->refs > 0)
        return;
    s->refs = 1; /* what is called from here sees a live object */
    say_goodbye(s);
    s->dead = true;
    /* libssh2 forgets the keys of an exchange that is not over, unless it fails */
    if (s->shaking)
        tx_ssh2.session_handshake(s->raw, some_descriptor());
    /* EAGAIN is not possible any more, but a loop that trusts that would be worse than a leak */
    for (int i = 0; i < 100 && tx_ssh2.session_free(s->raw) == LIBSSH2_ERROR_EAGAIN; i++)
        continue;
    hang_up(s);
    tt_timer_stop(s->loop, &s->keepalive);
    tt_loop_unpost(s->loop, &s->job);
    tt_buf_free(&s->in);
    tt_buf_free(&s->out);
    tt_error_free(s->why);
    free(s->farewell);
    free(s);
}

void tx_session_end(struct tx_session *s)
{
    tx_session_retain(s);
    if (!s->why) {
        say_goodbye(s);
        tx_session_break(s, tt_error_new(TT_LOST, "the connection was ended here"));
    }
    if (!s->pumping)
        wake_all(s);
    tx_session_release(s);
}

struct tt_loop *tx_session_loop(const struct tx_session *session)
{
    return session->loop;
}

LIBSSH2_SESSION *tx_session_raw(struct tx_session *session)
{
    return session->raw;
}

int tx_session_handshake(struct tx_session *s)
{
    s->shaking = true;
    int rc = TX_SSH2("ssh_session.handshake", tx_ssh2.session_handshake(s->raw, some_descriptor()));
    if (rc == 0)
        s->shaking = false;
    return rc;
}

const struct tt_error *tx_session_why(const struct tx_session *session)
{
    return session->why;
}

void tx_session_break(struct tx_session *s, struct tt_error *why)
{
    if (s->why) {
        tt_error_free(why);
        return;
    }
    s->why = why;
    s->readable = false;
    if (s->wire)
        s->wire->class_->watch(s->wire, false, false);
    tt_timer_stop(s->loop, &s->keepalive);
    tt_loop_post(s->loop, &s->job);
}

const char *tx_session_text(struct tx_session *session)
{
    char *text = NULL;
    tx_ssh2.session_last_error(session->raw, &text, NULL, 0);
    return text ? text : "";
}

bool tx_session_failed(struct tx_session *s, int rc, const char *what)
{
    switch (rc) {
    case LIBSSH2_ERROR_SOCKET_NONE:
    case LIBSSH2_ERROR_SOCKET_SEND:
    case LIBSSH2_ERROR_SOCKET_RECV:
    case LIBSSH2_ERROR_SOCKET_DISCONNECT:
    case LIBSSH2_ERROR_SOCKET_TIMEOUT:
    case LIBSSH2_ERROR_PROTO:
    case LIBSSH2_ERROR_DECRYPT:
    case LIBSSH2_ERROR_ENCRYPT:
    case LIBSSH2_ERROR_INVALID_MAC:
    case LIBSSH2_ERROR_BAD_SOCKET:
    case LIBSSH2_ERROR_ALLOC:
    case LIBSSH2_ERROR_KEX_FAILURE:
    case LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
        tx_session_break(s, tt_error_new(TT_LOST, "%s: the connection broke: %s (%d)", what,
                                         tx_session_text(s), rc));
        return true;
    default:
        return false;
    }
}

size_t tx_session_backlog(const struct tx_session *session)
{
    return session->out.length - session->out_at;
}

bool tx_session_disconnected(const struct tx_session *session)
{
    return session->farewell || session->why;
}

bool tx_session_heard(const struct tx_session *session)
{
    return session->heard;
}

/* --- keep-alive --- */

static void on_keepalive(struct tt_timer *timer)
{
    struct tx_session *s = tt_owner(timer, struct tx_session, keepalive);
    if (s->unanswered >= unanswered_keepalives) {
        tx_session_break(s, tt_error_new(TT_LOST, "no answer from the server for %gs",
                                         (double)(s->interval * s->unanswered) / 1000));
        return;
    }
    /* libssh2 sends one in two seconds at most: only one that went out can be unanswered */
    int next = 0;
    size_t before = s->pushed;
    tx_ssh2.keepalive_config(s->raw, 1, 2);
    TX_SSH2("ssh_session.keepalive", tx_ssh2.keepalive_send(s->raw, &next));
    if (s->unanswered || s->pushed != before)
        s->unanswered++;
    tt_timer_start(s->loop, &s->keepalive, tt_loop_now(s->loop) + s->interval, on_keepalive);
}

void tx_session_keepalive(struct tx_session *s, int64_t interval_ms)
{
    s->interval = interval_ms;
    s->unanswered = 0;
    if (interval_ms > 0 && !s->why)
        tt_timer_start(s->loop, &s->keepalive, tt_loop_now(s->loop) + interval_ms, on_keepalive);
    else
        tt_timer_stop(s->loop, &s->keepalive);
}

/* --- waiting --- */

void tx_session_wait(struct tx_session *s, struct tx_waiter *waiter)
{
    if (waiter->listed)
        return;
    waiter->listed = true;
    waiter->prev = NULL;
    waiter->next = s->waiters;
    if (waiter->next)
        waiter->next->prev = waiter;
    s->waiters = waiter;
    tt_loop_post(s->loop, &s->job);
}

void tx_session_unwait(struct tx_session *s, struct tx_waiter *waiter)
{
    if (!waiter->listed)
        return;
    waiter->listed = false;
    if (s->cursor == waiter)
        s->cursor = waiter->next;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        s->waiters = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
}

void tx_session_wake(struct tx_session *session)
{
    tt_loop_post(session->loop, &session->job);
}

void tx_session_queue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn)
{
    if (turn->queued)
        return;
    struct tx_turn **at = &session->turns[queue];
    while (*at)
        at = &(*at)->next;
    turn->next = NULL;
    turn->queued = true;
    *at = turn;
}

bool tx_session_has_turn(const struct tx_session *session, enum tx_queue queue,
                         const struct tx_turn *turn)
{
    return session->turns[queue] == turn;
}

void tx_session_unqueue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn)
{
    if (!turn->queued)
        return;
    struct tx_turn **at = &session->turns[queue];
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->queued = false;
    tx_session_wake(session);
}
