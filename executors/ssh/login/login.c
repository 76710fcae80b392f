#include "executors/ssh/login/login.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "executors/ssh/login/auth.h"
#include "executors/ssh/login/hostkey.h"
#include "executors/ssh/wire/methods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { first_pause_ms = 40, max_pause_ms = 1000 };

/* Connecting is work for both processors, not only waiting: a thousand connections at once would
 * all be slow, and drop out of the servers' queues. So many are made at a time; one that takes
 * longer than a turn is waiting for a slow host and does not count any more. */
enum { turns = 40, turn_ms = 1000 };

enum state { KNOWING, QUEUED, DIALLING, PAUSING, SHAKING, REMEMBERING, AUTHENTICATING };

struct login {
    struct tt_op op;
    const struct tx_ssh_settings *settings;
    tx_dial *dial;
    void *arg;
    enum state state;
    struct tt_op *known_op, *sub; /* sub: of the current state */
    struct tx_session *session;
    struct tx_waiter waiter;
    struct tt_timer pause, turn;
    bool has_turn;
    struct login *next_queued;
    struct tt_error *last; /* of the attempt before */
    int attempts;
};

/* Of a loop. */
struct queue {
    struct login *first;
    unsigned in_turn;
};

static struct queue *queue_of(const struct login *l)
{
    static const struct tt_slot slot = {sizeof(struct queue), NULL};
    return tt_loop_slot(l->op.loop, &slot);
}

static void drop_session(struct login *l)
{
    if (!l->session)
        return;
    tx_session_unwait(l->session, &l->waiter);
    tx_session_release(l->session);
    l->session = NULL;
}

static void start_dialling(struct login *l);

/* To whoever is next in the queue. */
static void pass_turn(struct login *l)
{
    struct queue *queue = queue_of(l);
    if (!l->has_turn)
        return;
    l->has_turn = false;
    tt_timer_stop(l->op.loop, &l->turn);
    queue->in_turn--;
    struct login *next = queue->first;
    if (!next)
        return;
    queue->first = next->next_queued;
    start_dialling(next);
}

static void on_turn_over(struct tt_timer *timer)
{
    pass_turn(tt_owner(timer, struct login, turn));
}

static void leave_queue(struct login *l)
{
    struct login **at = &queue_of(l)->first;
    while (*at && *at != l)
        at = &(*at)->next_queued;
    if (*at)
        *at = l->next_queued;
}

static void finish(struct login *l, struct tt_error *err)
{
    if (l->state == QUEUED)
        leave_queue(l);
    tt_timer_stop(l->op.loop, &l->pause);
    tt_op_drop(&l->sub, err);
    tt_op_drop(&l->known_op, err);
    if (err)
        drop_session(l);
    else
        tx_session_unwait(l->session, &l->waiter);
    pass_turn(l);
    tt_op_finish(&l->op, err);
}

static void login_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct login *l = (struct login *)(void *)op;
    struct tt_error *err = tt_error_copy(why);
    /* the time that connecting may take is over: the caller's own deadlines are none of ours */
    if (why->kind == TT_TIMEOUT && l->last) {
        char *text = tt_error_text(l->last);
        tt_fail(&err, TT_CONNECT, "cannot connect to %s, tried %d times: %s", l->settings->host,
                l->attempts, text);
        free(text);
    } else if (why->kind == TT_TIMEOUT) {
        tt_fail(&err, TT_CONNECT, "cannot connect to %s port %d", l->settings->host,
                l->settings->port);
    }
    finish(l, err);
}

static void login_free(struct tt_op *op)
{
    struct login *l = (struct login *)(void *)op;
    drop_session(l);
    tt_error_free(l->last);
    free(l);
}

static void queue_up(struct login *l)
{
    struct queue *queue = queue_of(l);
    if (queue->in_turn < turns) {
        start_dialling(l);
        return;
    }
    struct login **at = &queue->first;
    while (*at)
        at = &(*at)->next_queued;
    l->next_queued = NULL;
    l->state = QUEUED;
    *at = l;
}

static void on_pause_over(struct tt_timer *timer)
{
    queue_up(tt_owner(timer, struct login, pause));
}

/* Waits longer each time, by a random share, so that many do not come back together. */
static void pause_and_retry(struct login *l, struct tt_error *why)
{
    drop_session(l);
    tt_error_free(l->last);
    l->last = why;
    int64_t pause = max_pause_ms;
    if (l->attempts < 5)
        pause = (int64_t)first_pause_ms << l->attempts;
    pause = pause / 2 + (int64_t)(tt_loop_random(l->op.loop) % (uint64_t)(pause / 2 + 1));
    l->state = PAUSING;
    pass_turn(l);
    tt_timer_start(l->op.loop, &l->pause, tt_loop_now(l->op.loop) + pause, on_pause_over);
}

/* --- the handshake --- */

static void on_authenticated(struct tt_op *op, void *arg)
{
    struct login *l = arg;
    finish(l, tt_error_copy(op->error));
}

static void authenticate(struct login *l)
{
    tt_op_drop(&l->sub, NULL);
    l->state = AUTHENTICATING;
    l->sub = tx_auth(l->session, l->op.scope, l->settings);
    tt_op_await(l->sub, on_authenticated, l);
}

static void on_remembered(struct tt_op *op, void *arg)
{
    struct login *l = arg;
    if (op->error)
        finish(l, tt_error_copy(op->error));
    else
        authenticate(l);
}

static void check_key(struct login *l)
{
    struct tt_error *err = NULL;
    int rc = tx_hostkey_check(l->session, tx_known_of(l->known_op), l->settings, &err);
    tx_session_unwait(l->session, &l->waiter);
    if (rc < 0) {
        finish(l, err);
    } else if (rc == 1) {
        l->state = REMEMBERING;
        l->sub = tx_hostkey_remember(l->op.scope, l->session, l->settings);
        tt_op_await(l->sub, on_remembered, l);
    } else {
        authenticate(l);
    }
}

static void shake(struct login *l)
{
    LIBSSH2_SESSION *raw = tx_session_raw(l->session);
    int rc = tx_session_handshake(l->session);
    if (rc == 0) {
        check_key(l);
        return;
    }
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(l->session))
        return;
    const struct tt_error *why = tx_session_why(l->session);
    struct tt_error *err = why ? tt_error_copy(why) : NULL;
    /* a full server may say a line before it hangs up, but none that begins so */
    const char *banner = tx_ssh2.session_banner_get(raw);
    if (!banner || strncmp(banner, "SSH-", 4) != 0) {
        tt_fail(&err, TT_CONNECT, "%s ended the connection before it said who it is%s%s",
                l->settings->host, banner ? ": " : "", banner ? banner : "");
        pause_and_retry(l, err);
        return;
    }
    if (!why)
        tt_fail(&err, TT_CONNECT, "%s", tx_session_text(l->session));
    tt_fail(&err, TT_CONNECT, "no agreement with %s on how to talk", l->settings->host);
    finish(l, err);
}

static void on_wake(struct tx_waiter *waiter)
{
    struct login *l = tt_owner(waiter, struct login, waiter);
    if (l->state == SHAKING)
        shake(l);
}

static void on_dialled(struct tt_op *op, void *arg)
{
    struct login *l = arg;
    struct tt_error *err = tt_error_copy(op->error);
    struct tx_wire *wire = err ? NULL : tx_wire_of(op);
    l->attempts++;
    tt_op_drop(&l->sub, NULL);
    if (wire)
        l->session = tx_session_new(l->op.loop, wire, &err);
    if (l->session && tx_hostkey_prefer(l->session, tx_known_of(l->known_op), &err) == 0 &&
        tx_ciphers_prefer(l->session, &err) == 0) {
        l->state = SHAKING;
        tx_session_wait(l->session, &l->waiter);
        return;
    }
    /* a full queue of connections answers with a reset */
    if (err && err->kind == TT_CONNECT && err->cause && err->cause->errnum == ECONNRESET)
        pause_and_retry(l, err);
    else
        finish(l, err);
}

static void start_dialling(struct login *l)
{
    int64_t now = tt_loop_now(l->op.loop);
    l->state = DIALLING;
    l->has_turn = true;
    queue_of(l)->in_turn++;
    tt_timer_start(l->op.loop, &l->turn, now + turn_ms, on_turn_over);
    /* what a connection may take counts from here: waiting for our own turn is no fault of the host
     */
    if (!l->attempts)
        tt_scope_deadline(l->op.scope, tt_deadline_after(now, l->settings->connect_timeout),
                          "connecting");
    l->sub = l->dial(l->arg, l->op.scope);
    tt_op_await(l->sub, on_dialled, l);
}

static void on_known(struct tt_op *op, void *arg)
{
    struct login *l = arg;
    if (op->error)
        finish(l, tt_error_copy(op->error));
    else
        queue_up(l);
}

struct tt_op *tx_login(struct tt_scope *scope, const struct tx_ssh_settings *settings,
                       tx_dial *dial, void *arg)
{
    static const struct tt_op_class class_ = {"connecting by ssh", login_cancel, login_free};
    struct login *l = tt_zalloc(sizeof *l);
    l->settings = settings;
    l->dial = dial;
    l->arg = arg;
    l->waiter.wake = on_wake;
    tt_op_init(&l->op, &class_, scope);
    if (tt_op_finished(&l->op))
        return &l->op;
    struct tt_error *err = NULL;
    if (tx_ssh_load(&err) < 0) {
        tt_op_finish(&l->op, err);
        return &l->op;
    }
    l->known_op = tx_known_load(scope, settings);
    tt_op_await(l->known_op, on_known, l);
    return &l->op;
}

struct tx_session *tx_login_session(struct tt_op *op)
{
    struct login *l = (struct login *)(void *)op;
    struct tx_session *session = op->error ? NULL : l->session;
    if (session)
        l->session = NULL;
    return session;
}
