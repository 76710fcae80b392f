#include "executors/ssh/wire/channel.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/env/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { window = 2 << 20, packet = 32 << 10 };
enum { ahead_more = 64 << 10, ahead_per_ms = 128 << 10 }; /* see may_write */

struct tx_channel {
    struct tx_session *session; /* held */
    LIBSSH2_CHANNEL *raw;
    enum tx_channel_state state;
    struct tx_waiter waiter;
    struct tx_turn turn, asking;
    char *host; /* of a direct connection */
    int port;
    char *refusal;
    void (*changed)(void *arg);
    void *arg;
    bool leaving; /* nobody owns it any more */
    bool was_closed;
    int64_t asked_at, opening_ms; /* when the open request went out; how long its answer took */
    unsigned long widest;         /* the server's window for what is written; 0: not known */
};

static void destroy(struct tx_channel *ch)
{
    struct tx_session *session = ch->session;
    tx_session_unqueue(session, TX_OPENING, &ch->turn);
    tx_session_unqueue(session, TX_REQUESTING, &ch->asking);
    tx_session_unwait(session, &ch->waiter);
    free(ch->host);
    free(ch->refusal);
    free(ch);
    tx_session_release(session);
}

/* --- opening --- */

static void call_open(struct tx_channel *ch)
{
    LIBSSH2_SESSION *raw = tx_session_raw(ch->session);
    bool broken = TT_FAULT("ssh_channel.open");
    if (!ch->asked_at)
        ch->asked_at = tt_loop_now(tx_session_loop(ch->session));
    if (broken)
        tx_session_break(ch->session, tt_error_new(TT_LOST, "the connection broke"));
    else if (ch->host)
        ch->raw = tx_ssh2.channel_direct_tcpip_ex(raw, ch->host, ch->port, "127.0.0.1", 0);
    else
        ch->raw =
            tx_ssh2.channel_open_ex(raw, "session", sizeof "session" - 1, window, packet, NULL, 0);
    if (ch->raw) {
        ch->state = TX_CHANNEL_OPEN;
        ch->opening_ms = tt_loop_now(tx_session_loop(ch->session)) - ch->asked_at;
    } else {
        int rc = broken ? LIBSSH2_ERROR_SOCKET_RECV : tx_ssh2.session_last_errno(raw);
        if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(ch->session))
            return;
        if (tx_session_why(ch->session) ||
            tx_session_failed(ch->session, rc, "opening a channel")) {
            ch->state = TX_CHANNEL_BROKEN;
        } else {
            ch->state = TX_CHANNEL_REFUSED;
            ch->refusal = tt_strdup(tx_session_text(ch->session));
        }
    }
    tx_session_unqueue(ch->session, TX_OPENING, &ch->turn);
}

/* A channel that is not wanted any more goes once the server agreed to close it. */
static void leave(struct tx_channel *ch)
{
    bool gone = tx_session_why(ch->session) || !ch->raw ||
                TX_SSH2("ssh_channel.free", tx_ssh2.channel_free(ch->raw)) != LIBSSH2_ERROR_EAGAIN;
    if (gone)
        destroy(ch);
}

static void on_wake(struct tx_waiter *waiter)
{
    struct tx_channel *ch = tt_owner(waiter, struct tx_channel, waiter);
    if (ch->state == TX_CHANNEL_OPENING) {
        if (tx_session_why(ch->session)) {
            ch->state = TX_CHANNEL_BROKEN;
            tx_session_unqueue(ch->session, TX_OPENING, &ch->turn);
        } else if (tx_session_has_turn(ch->session, TX_OPENING, &ch->turn)) {
            call_open(ch);
        }
        if (ch->state == TX_CHANNEL_OPENING)
            return;
    }
    if (ch->leaving)
        leave(ch);
    else if (ch->changed)
        ch->changed(ch->arg);
}

static struct tx_channel *make(struct tx_session *session)
{
    struct tx_channel *ch = tt_zalloc(sizeof *ch);
    ch->session = session;
    tx_session_retain(session);
    ch->waiter.wake = on_wake;
    tx_session_wait(session, &ch->waiter);
    return ch;
}

struct tx_channel *tx_channel_open(struct tx_session *session, const char *host, int port)
{
    struct tx_channel *ch = make(session);
    ch->host = host ? tt_strdup(host) : NULL;
    ch->port = port;
    tx_session_queue(session, TX_OPENING, &ch->turn);
    return ch;
}

struct tx_channel *tx_channel_adopt(struct tx_session *session, LIBSSH2_CHANNEL *raw)
{
    struct tx_channel *ch = make(session);
    ch->raw = raw;
    ch->state = TX_CHANNEL_OPEN;
    return ch;
}

void tx_channel_listen(struct tx_channel *ch, void (*changed)(void *arg), void *arg)
{
    ch->changed = changed;
    ch->arg = arg;
    tx_session_wake(ch->session);
}

void tx_channel_free(struct tx_channel *ch)
{
    if (!ch)
        return;
    ch->leaving = true;
    ch->changed = NULL;
    if (ch->state == TX_CHANNEL_OPENING && !tx_session_why(ch->session)) {
        /* libssh2 may be in the middle of it: only what has not begun can simply go */
        if (!tx_session_has_turn(ch->session, TX_OPENING, &ch->turn))
            destroy(ch);
        return;
    }
    leave(ch);
}

enum tx_channel_state tx_channel_state(const struct tx_channel *ch)
{
    return ch->state;
}

struct tx_session *tx_channel_session(const struct tx_channel *ch)
{
    return ch->session;
}

const char *tx_channel_refusal(const struct tx_channel *ch)
{
    return ch->refusal ? ch->refusal : "";
}

/* --- starting --- */

static int judge(struct tx_channel *ch, int rc, const char *what)
{
    if (rc == 0)
        return 0;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return tx_session_why(ch->session) ? -EPIPE : -EAGAIN;
    return tx_session_why(ch->session) || tx_session_failed(ch->session, rc, what) ? -EPIPE
                                                                                   : -EACCES;
}

/* Terminal modes (RFC 4254, section 8) that hand every byte through: opcode, 32-bit value. */
static const char raw_modes[] = "\044\0\0\0\0"  /* 36 ICRNL */
                                "\043\0\0\0\0"  /* 35 IGNCR */
                                "\042\0\0\0\0"  /* 34 INLCR */
                                "\046\0\0\0\0"  /* 38 IXON */
                                "\062\0\0\0\0"  /* 50 ISIG */
                                "\063\0\0\0\0"  /* 51 ICANON */
                                "\065\0\0\0\0"  /* 53 ECHO */
                                "\073\0\0\0\0"; /* 59 IEXTEN; then 0: the end */

/* One request at a time in a session. */
static bool may_ask(struct tx_channel *ch)
{
    tx_session_queue(ch->session, TX_REQUESTING, &ch->asking);
    return tx_session_has_turn(ch->session, TX_REQUESTING, &ch->asking);
}

static int asked(struct tx_channel *ch, int rc, const char *what)
{
    /* -1 alone is libssh2's surprise at the late answer to another channel's request: ours was
     * sent, and what follows on the channel tells how it went */
    if (rc == LIBSSH2_ERROR_SOCKET_NONE && !tx_session_disconnected(ch->session))
        rc = 0;
    rc = judge(ch, rc, what);
    if (rc != -EAGAIN)
        tx_session_unqueue(ch->session, TX_REQUESTING, &ch->asking);
    return rc;
}

int tx_channel_pty(struct tx_channel *ch, bool raw_input)
{
    static const char term[] = "xterm";
    if (!may_ask(ch))
        return tx_session_why(ch->session) ? -EPIPE : -EAGAIN;
    return asked(
        ch,
        TX_SSH2("ssh_channel.pty", tx_ssh2.channel_request_pty_ex(
                                       ch->raw, term, sizeof term - 1, raw_input ? raw_modes : "",
                                       raw_input ? sizeof raw_modes : 1, 80, 24, 0, 0)),
        "requesting a pty");
}

int tx_channel_start(struct tx_channel *ch, const char *request, const char *text)
{
    if (!may_ask(ch))
        return tx_session_why(ch->session) ? -EPIPE : -EAGAIN;
    return asked(ch,
                 TX_SSH2("ssh_channel.start", tx_ssh2.channel_process_startup(
                                                  ch->raw, request, (unsigned)strlen(request), text,
                                                  (unsigned)strlen(text))),
                 "starting a command");
}

/* --- bytes --- */

ssize_t tx_channel_read(struct tx_channel *ch, int stream, void *to, size_t room)
{
    ssize_t n = TX_SSH2("ssh_channel.read", tx_ssh2.channel_read_ex(ch->raw, stream, to, room));
    if (n > 0)
        return n;
    if (n == 0) {
        /* an end, of this stream or of the connection */
        bool end = !tx_session_disconnected(ch->session) || tx_ssh2.channel_eof(ch->raw) == 1;
        return end ? 0 : tx_session_why(ch->session) ? -EPIPE : -EAGAIN;
    }
    int rc = judge(ch, (int)n, "reading");
    return rc == -EACCES ? -EPIPE : rc;
}

/* OpenSSH's server copies all that a command has not read yet whenever more of it comes: it is sent
 * half of the window and a bit, as long as the way is so short that this keeps it busy. It widens
 * the window with each 96 KiB that were read; another server may wait longer, and gets all. */
static bool may_write(struct tx_channel *ch)
{
    static const char openssh[] = "SSH-2.0-OpenSSH";
    LIBSSH2_SESSION *raw = tx_session_raw(ch->session);
    unsigned long left = tx_ssh2.channel_window_write_ex(ch->raw, NULL);
    const char *banner = tx_ssh2.session_banner_get(raw);
    if (!ch->asked_at || !banner || strncmp(banner, openssh, sizeof openssh - 1) != 0)
        return true;
    if (left > ch->widest)
        ch->widest = left;
    return ch->widest - left <
           ch->widest / 2 + ahead_more + (uint64_t)ch->opening_ms * ahead_per_ms;
}

ssize_t tx_channel_write(struct tx_channel *ch, const void *from, size_t length)
{
    if (tx_session_why(ch->session))
        return -EPIPE;
    if (tx_session_backlog(ch->session) >= tx_session_full || !may_write(ch))
        return -EAGAIN;
    ssize_t n = TX_SSH2("ssh_channel.write", tx_ssh2.channel_write_ex(ch->raw, 0, from, length));
    if (n > 0)
        return n;
    if (n == 0)
        return -EAGAIN;
    int rc = judge(ch, (int)n, "writing");
    return rc == -EACCES ? -EPIPE : rc;
}

int tx_channel_end(struct tx_channel *ch)
{
    int rc = judge(ch, TX_SSH2("ssh_channel.end", tx_ssh2.channel_send_eof(ch->raw)), "ending");
    return rc == -EACCES ? -EPIPE : rc;
}

/* --- the end --- */

bool tx_channel_closed(struct tx_channel *ch)
{
    if (!ch->was_closed && ch->state == TX_CHANNEL_OPEN && !tx_session_disconnected(ch->session))
        ch->was_closed =
            tx_ssh2.channel_eof(ch->raw) == 1 && tx_ssh2.channel_wait_closed(ch->raw) == 0;
    return ch->was_closed;
}

bool tx_channel_status(struct tx_channel *ch, int *code, int *signal)
{
    char *name = NULL;
    size_t length = 0;
    *signal = 0;
    *code = tx_ssh2.channel_get_exit_status(ch->raw);
    if (tx_ssh2.channel_get_exit_signal(ch->raw, &name, &length, NULL, NULL, NULL, NULL) == 0 &&
        name) {
        *signal = tt_signal_number(name);
        if (!*signal)
            *signal = 1; /* one that this system has no number for */
        tx_ssh2.free(tx_session_raw(ch->session), name);
    }
    return *signal || *code || tx_channel_closed(ch);
}
