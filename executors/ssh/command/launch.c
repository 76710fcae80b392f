#include "executors/ssh/command/launch.h"

#include "core/base/alloc.h"
#include "executors/remote/shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is read ahead of who asks for it; beyond, the channel's window holds the sender back. */
enum { read_ahead = 256 << 10, max_words = 2000 };

enum state { ASKING_PTY, STARTING, LAUNCHING /* accepted; no P yet */, RUNNING };

struct stream {
    struct tt_buf data;
    bool ended;
};

struct tx_launch {
    struct tx_host *host; /* lives as long as the link's users */
    struct tx_lease *lease;
    struct tx_shim shim;
    struct tx_reports reports;
    size_t header_at;    /* sent of the header */
    bool header_allowed; /* R was reported, or it is not waited for */
    char *password, *user;
    bool pty, stdin_open, password_sent;
    enum state state;
    struct stream streams[2];
    bool end_wanted, end_sent;
    bool closed; /* the channel's close was seen */
    int64_t launcher, group;
    bool exit_known;
    struct tt_exit exit;
    void (*changed)(void *arg);
    void *arg;
};

static struct tx_channel *channel_of(const struct tx_launch *launch)
{
    return launch->lease->channel;
}

/* The stream that carries the reports. */
static struct stream *report_stream(struct tx_launch *launch)
{
    return &launch->streams[launch->pty ? TT_STDOUT : TT_STDERR];
}

/* --- the end --- */

static void ended(struct tx_launch *launch, enum tt_kind kind, int code, int signal, char *message)
{
    if (launch->exit_known) {
        free(message);
        return;
    }
    launch->exit_known = true;
    launch->exit = (struct tt_exit){.kind = kind,
                                    .code = code,
                                    .signal = signal,
                                    .usage = {-1, -1, -1, -1, -1},
                                    .message = message};
}

/* It never ran: what the far side said is the reason, not the command's output. */
static void never_ran(struct tx_launch *launch, enum tt_kind kind, const char *what)
{
    struct tt_buf said = {0};
    tx_reports_end(&launch->reports, &report_stream(launch)->data);
    for (int i = 1; i >= 0; i--) {
        struct tt_buf *data = &launch->streams[i].data;
        tt_buf_add(&said, data->data ? data->data : "", data->length);
        tt_buf_free(data);
        launch->streams[i].ended = true;
    }
    while (said.length && strchr(" \r\n", said.data[said.length - 1]))
        said.length--;
    size_t length = said.length < max_words ? said.length : max_words;
    ended(launch, kind, -1, 0,
          length ? tt_format("%s: %.*s", what, (int)length, said.data) : tt_strdup(what));
    tt_buf_free(&said);
}

static void not_that_user(struct tx_launch *launch, const char *why)
{
    char *what = tt_format("cannot become the user %s%s", launch->user, why);
    never_ran(launch, TT_PERMISSION, what);
    free(what);
}

static void on_closed(struct tx_launch *launch)
{
    int code, signal;
    bool known = tx_channel_status(channel_of(launch), &code, &signal);
    launch->closed = true;
    if (launch->exit_known || !known)
        return;
    if (launch->state == RUNNING && signal)
        ended(launch, TT_OK, -1, signal, NULL);
    else if (launch->state == RUNNING)
        ended(launch, TT_OK, code, 0, NULL);
    else if (launch->user && launch->launcher)
        not_that_user(launch, "");
    else
        never_ran(launch, TT_PERMISSION, "the host's login shell did not run the command");
}

static void on_broken(struct tx_launch *launch)
{
    if (launch->exit_known)
        return;
    char *why = tt_error_text(tx_session_why(tx_channel_session(channel_of(launch))));
    ended(launch, TT_LOST, -1, 0, tt_format("%s; the command may still be running", why));
    free(why);
}

/* --- reports --- */

static void send_password(struct tx_launch *launch)
{
    if (!launch->password || launch->password_sent) {
        not_that_user(launch, launch->password ? ": sudo does not accept the password"
                                               : ": sudo asks for a password");
        launch->end_wanted = true;
        return;
    }
    launch->password_sent = true;
    /* the header waits for R: nothing stands before the password */
    struct tt_buf line = {0};
    tt_buf_format(&line, "%s\n", launch->password);
    ssize_t n = tx_channel_write(channel_of(launch), line.data, line.length);
    explicit_bzero(line.data, line.length);
    if (n != (ssize_t)line.length)
        never_ran(launch, TT_LOST, "the password could not be sent");
    tt_buf_free(&line);
}

static void on_report(struct tx_launch *launch, const struct tx_report *report)
{
    /* once the command runs it may print what it likes: only its end is still reported */
    if (launch->state == RUNNING) {
        if (report->what == 'X' && report->code >= 0)
            ended(launch, TT_OK, report->code, 0, NULL);
        return;
    }
    switch (report->what) {
    case 'S':
        launch->launcher = report->pid;
        break;
    case '?':
        send_password(launch);
        break;
    case 'R':
        launch->header_allowed = true;
        break;
    case 'C':
        never_ran(launch, TT_CWD, "the working directory cannot be entered");
        break;
    case 'P':
        launch->state = RUNNING;
        launch->group = report->group;
        if (!launch->user && report->shell_is_sh)
            tx_host_learn_shell(launch->host, true);
        break;
    case 'X':
        if (launch->user)
            not_that_user(launch, "");
        else
            never_ran(launch, TT_IO, "the command was not started");
        break;
    default:
        break;
    }
}

static void filter(struct tx_launch *launch, const char *bytes, size_t length)
{
    struct stream *s = report_stream(launch);
    struct tx_report report;
    bool more = tx_reports_next(&launch->reports, bytes, length, &s->data, &report);
    for (; more; more = tx_reports_next(&launch->reports, NULL, 0, &s->data, &report))
        on_report(launch, &report);
}

/* --- moving bytes --- */

static void fill(struct tx_launch *launch, enum tt_stream which)
{
    static char chunk[64 << 10]; /* one loop thread, no call nests */
    struct stream *s = &launch->streams[which];
    while (!s->ended && s->data.length < read_ahead) {
        ssize_t n = tx_channel_read(channel_of(launch), which == TT_STDERR, chunk, sizeof chunk);
        if (n > 0 && s == report_stream(launch)) {
            filter(launch, chunk, (size_t)n);
        } else if (n > 0) {
            tt_buf_add(&s->data, chunk, (size_t)n);
        } else if (n == 0) {
            s->ended = true;
            if (s == report_stream(launch))
                tx_reports_end(&launch->reports, &s->data);
        } else {
            return;
        }
    }
}

static void send_header(struct tx_launch *launch)
{
    struct tt_buf *header = &launch->shim.header;
    while (launch->header_allowed && launch->header_at < header->length) {
        ssize_t n = tx_channel_write(channel_of(launch), header->data + launch->header_at,
                                     header->length - launch->header_at);
        if (n <= 0)
            return;
        launch->header_at += (size_t)n;
        if (launch->header_at == header->length) {
            explicit_bzero(header->data, header->length);
            tt_buf_free(header);
            launch->header_at = 0;
            return;
        }
    }
}

static void send_end(struct tx_launch *launch)
{
    if (!launch->end_wanted || launch->end_sent ||
        (launch->shim.header.length && !launch->exit_known))
        return;
    /* a terminal has no end of file but the character */
    if (launch->pty && tx_channel_write(channel_of(launch), "\004", 1) == -EAGAIN)
        return;
    if (tx_channel_end(channel_of(launch)) != -EAGAIN)
        launch->end_sent = true;
}

/* Each returns true when the next step may follow. */
static bool ask_pty(struct tx_launch *launch)
{
    int rc = tx_channel_pty(channel_of(launch), launch->shim.header.length > 0);
    if (rc == -EACCES)
        never_ran(launch, TT_UNSUPPORTED, "the server gives no pty");
    else if (rc == 0)
        launch->state = STARTING;
    return rc == 0;
}

static bool start(struct tx_launch *launch)
{
    int rc = tx_channel_start(channel_of(launch), "exec", launch->shim.line);
    if (rc == -EACCES)
        never_ran(launch, TT_PERMISSION, "the server refuses to run commands");
    else if (rc == 0)
        launch->state = LAUNCHING;
    return rc == 0;
}

static void on_changed(void *arg)
{
    struct tx_launch *launch = arg;
    struct tx_session *session = tx_channel_session(channel_of(launch));
    if (launch->state == ASKING_PTY && !launch->exit_known)
        ask_pty(launch);
    if (launch->state == STARTING && !launch->exit_known)
        start(launch);
    if (launch->state >= LAUNCHING) {
        send_header(launch);
        fill(launch, TT_STDERR);
        fill(launch, TT_STDOUT);
        send_header(launch); /* R may have come */
        send_end(launch);
        if (!launch->closed && launch->streams[0].ended && launch->streams[1].ended &&
            tx_channel_closed(channel_of(launch)))
            on_closed(launch);
        /* a signal is known before the close, and a code other than 0 */
        int code, signal;
        if (!launch->exit_known && launch->state == RUNNING &&
            tx_channel_status(channel_of(launch), &code, &signal) && (signal || code))
            ended(launch, TT_OK, signal ? -1 : code, signal, NULL);
    }
    if (tx_session_why(session))
        on_broken(launch);
    launch->changed(launch->arg);
}

/* --- interface --- */

struct tx_launch *tx_launch_new(struct tx_host *host, struct tx_lease *lease,
                                const struct tt_command *command, void (*changed)(void *arg),
                                void *arg, struct tt_error **err)
{
    struct tx_launch *launch = tt_zalloc(sizeof *launch);
    struct tx_shim_options options = {.nonce = launch->reports.nonce,
                                      .shell_is_sh = tx_host_shell_is_sh(host),
                                      .report_shell = !tx_host_shell_is_sh(host)};
    if (tx_shim_nonce(launch->reports.nonce, err) < 0 ||
        tx_shim_build(&launch->shim, command, &options, err) < 0) {
        free(launch);
        tx_lease_end(lease);
        return NULL;
    }
    launch->host = host;
    launch->lease = lease;
    launch->header_allowed = !launch->shim.header_on_ready;
    launch->password = command->password ? tt_strdup(command->password) : NULL;
    launch->user = command->user ? tt_strdup(command->user) : NULL;
    launch->pty = command->pty;
    launch->stdin_open = command->stdin_open;
    launch->end_wanted = !command->stdin_open;
    launch->state = command->pty ? ASKING_PTY : STARTING;
    launch->changed = changed;
    launch->arg = arg;
    tx_channel_listen(lease->channel, on_changed, launch);
    return launch;
}

void tx_launch_free(struct tx_launch *launch)
{
    if (!launch)
        return;
    tx_lease_end(launch->lease);
    tx_shim_clear(&launch->shim);
    tt_buf_free(&launch->reports.held);
    tt_buf_free(&launch->streams[0].data);
    tt_buf_free(&launch->streams[1].data);
    if (launch->password)
        explicit_bzero(launch->password, strlen(launch->password));
    free(launch->password);
    free(launch->user);
    free(launch->exit.message);
    free(launch);
}

struct tx_link *tx_launch_link(const struct tx_launch *launch)
{
    return launch->lease->link;
}

struct tx_lease *tx_launch_lease(const struct tx_launch *launch)
{
    return launch->lease;
}

bool tx_launch_accepted(const struct tx_launch *launch)
{
    return launch->state >= LAUNCHING;
}

int64_t tx_launch_group(const struct tx_launch *launch)
{
    return launch->group;
}

int64_t tx_launch_launcher(const struct tx_launch *launch)
{
    return launch->launcher;
}

const struct tt_exit *tx_launch_exit(const struct tx_launch *launch)
{
    return launch->exit_known ? &launch->exit : NULL;
}

bool tx_launch_closed(const struct tx_launch *launch)
{
    return launch->closed;
}

ssize_t tx_launch_read(struct tx_launch *launch, enum tt_stream stream, size_t max,
                       struct tt_bytes *bytes)
{
    struct stream *s = &launch->streams[stream];
    bool was_full = s->data.length >= read_ahead;
    /* until the command runs, what the far side says may be a reason and not output */
    if (launch->state < RUNNING && !launch->exit_known)
        return -EAGAIN;
    if (!s->data.length) {
        if (s->ended)
            return 0;
        return tx_session_why(tx_channel_session(channel_of(launch))) ? -EPIPE : -EAGAIN;
    }
    if (s->data.length <= max) {
        bytes->length = s->data.length;
        bytes->data = tt_buf_take(&s->data);
    } else {
        bytes->length = max;
        bytes->data = tt_alloc(max);
        memcpy(bytes->data, s->data.data, max);
        tt_buf_drop(&s->data, max);
    }
    if (was_full)
        tx_session_wake(tx_channel_session(channel_of(launch)));
    return (ssize_t)bytes->length;
}

ssize_t tx_launch_write(struct tx_launch *launch, const void *data, size_t length)
{
    if (launch->exit_known || launch->end_wanted)
        return -EPIPE;
    if (launch->state < LAUNCHING || launch->shim.header.length ||
        (launch->state < RUNNING && launch->user)) /* sudo could take it for a password */
        return tx_session_why(tx_channel_session(channel_of(launch))) ? -EPIPE : -EAGAIN;
    return tx_channel_write(channel_of(launch), data, length);
}

int tx_launch_close_stdin(struct tx_launch *launch)
{
    launch->end_wanted = true;
    if (launch->exit_known || launch->end_sent)
        return 0;
    tx_session_wake(tx_channel_session(channel_of(launch)));
    return 0;
}
