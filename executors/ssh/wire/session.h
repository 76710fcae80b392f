/* One connection: libssh2 between a wire and those who use the session.
 *
 * libssh2 never sees the wire. Its sends go to a buffer that takes everything, so that no packet is
 * ever half sent and no call has to be repeated before others may go; its receives come from a
 * buffer that the wire fills. A call that would block waits for input only. Who waits is woken
 * whenever input arrived, the output drained, or the session broke; nothing polls.
 *
 * A broken session stays readable for what it had received. Loop thread. */
#ifndef TX_SSH_SESSION_H
#define TX_SSH_SESSION_H

#include "core/base/buf.h"
#include "core/base/fault.h"
#include "executors/ssh/wire/lib.h"
#include "executors/ssh/wire/wire.h"

struct tx_session;

/* Woken while it is listed. Lives inside its owner. */
struct tx_waiter {
    void (*wake)(struct tx_waiter *waiter);
    struct tx_waiter *next, *prev;
    bool listed;
};

/* Takes the wire. One reference for the caller. NULL with err when libssh2 cannot make a session.
 */
struct tx_session *tx_session_new(struct tt_loop *loop, struct tx_wire *wire,
                                  struct tt_error **err);
void tx_session_retain(struct tx_session *session);
void tx_session_release(struct tx_session *session); /* the last one ends the connection */

/* Ends the connection now, whoever still holds the session: they find it broken. */
void tx_session_end(struct tx_session *session);

struct tt_loop *tx_session_loop(const struct tx_session *session);
LIBSSH2_SESSION *tx_session_raw(struct tx_session *session);
/* libssh2's handshake: 0, or its error. */
int tx_session_handshake(struct tx_session *session);
/* Why it is broken, or NULL. Borrowed. */
const struct tt_error *tx_session_why(const struct tx_session *session);
/* The connection is over: it broke, or the server said goodbye. libssh2's answers about ends mean
 * nothing any more. */
bool tx_session_disconnected(const struct tx_session *session);
/* Breaks it for that reason (taken); the first reason stays. Wakes all. */
void tx_session_break(struct tx_session *session, struct tt_error *why);
/* For a libssh2 call that failed with rc (not EAGAIN): breaks the session when the connection is at
 * fault, and returns true then. */
bool tx_session_failed(struct tx_session *session, int rc, const char *what);
/* libssh2's text for its last error; borrowed until the next call. */
const char *tx_session_text(struct tx_session *session);
/* Bytes that wait to be sent: writers wait above tx_session_full. */
size_t tx_session_backlog(const struct tx_session *session);
enum { tx_session_full = 512 << 10 };
/* True once any byte was received. */
bool tx_session_heard(const struct tx_session *session);
/* The session is used: keep-alives go out every interval_ms, and three without any answer break it;
 * 0 stops that. */
void tx_session_keepalive(struct tx_session *session, int64_t interval_ms);

void tx_session_wait(struct tx_session *session, struct tx_waiter *waiter);
void tx_session_unwait(struct tx_session *session, struct tx_waiter *waiter);
/* Something changed that waiters want to see: a job wakes them. */
void tx_session_wake(struct tx_session *session);

/* Queues for what libssh2 can only do one at a time in a session: opening channels, and requests on
 * them (it takes the answer to another channel's request for a failure of this one's). */
enum tx_queue { TX_OPENING, TX_REQUESTING, TX_QUEUES };
struct tx_turn {
    struct tx_turn *next;
    bool queued;
};
void tx_session_queue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn);
bool tx_session_has_turn(const struct tx_session *session, enum tx_queue queue,
                         const struct tx_turn *turn);
void tx_session_unqueue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn);

/* A libssh2 call with its fault point: the connection is gone. */
#define TX_SSH2(point, call) (TT_FAULT(point) ? LIBSSH2_ERROR_SOCKET_RECV : (call))

#endif
