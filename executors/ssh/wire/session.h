/* A session: one SSH connection, with libssh2 between a wire and the session's users.
 *
 * libssh2 never sees the wire. Its sends go to a buffer that takes everything, so that no packet is
 * ever half sent and no call has to be repeated before others may go; its receives come from a
 * buffer that the wire fills. So a call that would block waits for input only. Waiters
 * are woken whenever input arrived, output was sent, or the session broke; nothing polls.
 *
 * What was received before a session broke can still be read. Loop thread. */
#ifndef TX_SSH_SESSION_H
#define TX_SSH_SESSION_H

#include "core/base/buf.h"
#include "core/base/fault.h"
#include "executors/ssh/wire/lib.h"
#include "executors/ssh/wire/wire.h"

struct tx_session;

/* Somebody who wants to be woken. Lives inside its owner; woken while it is listed. */
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

/* Ends the connection now; those who still hold the session find it broken. */
void tx_session_end(struct tx_session *session);

struct tt_loop *tx_session_loop(const struct tx_session *session);
LIBSSH2_SESSION *tx_session_raw(struct tx_session *session);
/* libssh2's handshake: 0, or its error. */
int tx_session_handshake(struct tx_session *session);
/* Why it is broken, or NULL. Borrowed. */
const struct tt_error *tx_session_why(const struct tx_session *session);
/* Whether the connection is over: it broke, or the server disconnected. What libssh2 then says of a
 * channel's end or exit code means nothing. */
bool tx_session_disconnected(const struct tx_session *session);
/* Breaks the session for that reason (taken; the first reason stays) and wakes all waiters. */
void tx_session_break(struct tx_session *session, struct tt_error *why);
/* To be asked when a libssh2 call failed with rc (not EAGAIN): when the connection is at fault,
 * breaks the session and returns true. `what` was being done, for the message. */
bool tx_session_failed(struct tx_session *session, int rc, const char *what);
/* libssh2's text for its last error; borrowed until the next call. */
const char *tx_session_text(struct tx_session *session);
/* How many bytes wait to be sent. Writers wait while that is above tx_session_full. */
size_t tx_session_backlog(const struct tx_session *session);
enum { tx_session_full = 512 << 10 };
/* True once any byte was received. */
bool tx_session_heard(const struct tx_session *session);
/* Sends a keep-alive every interval_ms (0: stops that). Three without any answer break the session.
 */
void tx_session_keepalive(struct tx_session *session, int64_t interval_ms);

void tx_session_wait(struct tx_session *session, struct tx_waiter *waiter);
void tx_session_unwait(struct tx_session *session, struct tx_waiter *waiter);
/* Wakes all waiters, in a job. */
void tx_session_wake(struct tx_session *session);

/* Queues for what libssh2 can do only once at a time in a session: opening a channel, and a request
 * on a channel (it would take the answer to another channel's request for a failure of this one). A
 * user queues a turn, acts while it has the turn, then takes it out. */
enum tx_queue { TX_OPENING, TX_REQUESTING, TX_QUEUES };
struct tx_turn {
    struct tx_turn *next;
    bool queued;
};
void tx_session_queue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn);
bool tx_session_has_turn(const struct tx_session *session, enum tx_queue queue,
                         const struct tx_turn *turn);
void tx_session_unqueue(struct tx_session *session, enum tx_queue queue, struct tx_turn *turn);

/* A libssh2 call with its fault point, at which the connection is gone. */
#define TX_SSH2(point, call) (TT_FAULT(point) ? LIBSSH2_ERROR_SOCKET_RECV : (call))

#endif
