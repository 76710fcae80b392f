/* One channel of a session: opened, started, read, written, ended. Every call is immediate; what
 * would block says -EAGAIN, and `changed` is called (from a job) when it is worth trying again.
 * Loop thread. */
#ifndef TX_SSH_CHANNEL_H
#define TX_SSH_CHANNEL_H

#include "executors/ssh/wire/session.h"

struct tx_channel;

enum tx_channel_state {
    TX_CHANNEL_OPENING,
    TX_CHANNEL_OPEN,
    TX_CHANNEL_REFUSED, /* the server has no room for it, or does not allow it */
    TX_CHANNEL_BROKEN,  /* the session broke before it was open */
};

/* Begins to open a channel for a command, or (host not NULL) to host:port as the server sees it.
 * The channel holds the session. */
struct tx_channel *tx_channel_open(struct tx_session *session, const char *host, int port);
/* Wraps a channel that the server opened. */
struct tx_channel *tx_channel_adopt(struct tx_session *session, LIBSSH2_CHANNEL *raw);
/* Who is told of changes; NULL: nobody. */
void tx_channel_listen(struct tx_channel *channel, void (*changed)(void *arg), void *arg);
/* Closes it in the background and forgets it. */
void tx_channel_free(struct tx_channel *channel);

enum tx_channel_state tx_channel_state(const struct tx_channel *channel);
struct tx_session *tx_channel_session(const struct tx_channel *channel);
/* What the server said when it refused; borrowed. */
const char *tx_channel_refusal(const struct tx_channel *channel);

/* 0; -EAGAIN; -EPIPE: the session broke; -EACCES: the server refused. The same call is repeated
 * after -EAGAIN, and nothing else is asked of the channel before. raw_input: the terminal neither
 * echoes nor edits until the far side says otherwise. */
int tx_channel_pty(struct tx_channel *channel, bool raw_input);
/* request: "exec" or "subsystem". */
int tx_channel_start(struct tx_channel *channel, const char *request, const char *text);

/* Bytes read; 0 at the stream's end; -EAGAIN; -EPIPE when the session broke. Stream 0 or 1 (the
 * command's stderr). */
ssize_t tx_channel_read(struct tx_channel *channel, int stream, void *to, size_t room);
/* Bytes taken, -EAGAIN or -EPIPE. After -EAGAIN the next call begins with the same bytes. */
ssize_t tx_channel_write(struct tx_channel *channel, const void *from, size_t length);
/* Ends our side. 0, -EAGAIN or -EPIPE. */
int tx_channel_end(struct tx_channel *channel);
/* The far side closed the channel: its end was observed. */
bool tx_channel_closed(struct tx_channel *channel);
/* The command's code and signal as the server reported them; false before it did (a code of 0 can
 * only be told from none once the channel is closed). *signal is 0 or a number. */
bool tx_channel_status(struct tx_channel *channel, int *code, int *signal);

#endif
