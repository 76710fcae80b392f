#include "executors/ssh/command/run.h"

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

struct tx_run {
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

static struct tx_channel *channel_of(const struct tx_run *run)
{
    return run->lease->channel;
}

/* The stream that carries the reports. */
static struct stream *report_stream(struct tx_run *run)
{
    return &run->streams[run->pty ? TT_STDOUT : TT_STDERR];
}

/* --- the end --- */

static void ended(struct tx_run *run, enum tt_kind kind, int code, int signal, char *message)
{
    if (run->exit_known) {
        free(message);
        return;
    }
    run->exit_known = true;
    run->exit = (struct tt_exit){.kind = kind,
                                 .code = code,
                                 .signal = signal,
                                 .usage = {-1, -1, -1, -1, -1},
                                 .message = message};
}

/* It never ran: what the far side said is the reason, not the command's output. */
static void never_ran(struct tx_run *run, enum tt_kind kind, const char *what)
{
    struct tt_buf said = {0};
    tx_reports_end(&run->reports, &report_stream(run)->data);
    for (int i = 1; i >= 0; i--) {
        struct tt_buf *data = &run->streams[i].data;
        tt_buf_add(&said, data->data ? data->data : "", data->length);
        tt_buf_free(data);
        run->streams[i].ended = true;
    }
    while (said.length && strchr(" \r\n", said.data[said.length - 1]))
        said.length--;
    size_t length = said.length < max_words ? said.length : max_words;
    ended(run, kind, -1, 0,
          length ? tt_format("%s: %.*s", what, (int)length, said.data) : tt_strdup(what));
    tt_buf_free(&said);
}

static void not_that_user(struct tx_run *run, const char *why)
{
    char *what = tt_format("cannot become the user %s%s", run->user, why);
    never_ran(run, TT_PERMISSION, what);
    free(what);
}

static void on_closed(struct tx_run *run)
{
    int code, signal;
    bool known = tx_channel_status(channel_of(run), &code, &signal);
    run->closed = true;
    if (run->exit_known || !known)
        return;
    if (run->state == RUNNING && signal)
        ended(run, TT_OK, -1, signal, NULL);
    else if (run->state == RUNNING)
        ended(run, TT_OK, code, 0, NULL);
    else if (run->user && run->launcher)
        not_that_user(run, "");
    else
        never_ran(run, TT_PERMISSION, "the host's login shell did not run the command");
}

static void on_broken(struct tx_run *run)
{
    if (run->exit_known)
        return;
    char *why = tt_error_text(tx_session_why(tx_channel_session(channel_of(run))));
    ended(run, TT_LOST, -1, 0, tt_format("%s; the command may still be running", why));
    free(why);
}

/* --- reports --- */

static void send_password(struct tx_run *run)
{
    if (!run->password || run->password_sent) {
        not_that_user(run, run->password ? ": sudo does not accept the password"
                                         : ": sudo asks for a password");
        run->end_wanted = true;
        return;
    }
    run->password_sent = true;
    /* the header waits for R: nothing stands before the password */
    struct tt_buf line = {0};
    tt_buf_format(&line, "%s\n", run->password);
    ssize_t n = tx_channel_write(channel_of(run), line.data, line.length);
    explicit_bzero(line.data, line.length);
    if (n != (ssize_t)line.length)
        never_ran(run, TT_LOST, "the password could not be sent");
    tt_buf_free(&line);
}

static void on_report(struct tx_run *run, const struct tx_report *report)
{
    /* once the command runs it may print what it likes: only its end is still reported */
    if (run->state == RUNNING) {
        if (report->what == 'X' && report->code >= 0)
            ended(run, TT_OK, report->code, 0, NULL);
        return;
    }
    switch (report->what) {
    case 'S':
        run->launcher = report->pid;
        break;
    case '?':
        send_password(run);
        break;
    case 'R':
        run->header_allowed = true;
        break;
    case 'C':
        never_ran(run, TT_CWD, "the working directory cannot be entered");
        break;
    case 'P':
        run->state = RUNNING;
        run->group = report->group;
        if (!run->user && report->shell_is_sh)
            tx_host_learn_shell(run->host, true);
        break;
    case 'X':
        if (run->user)
            not_that_user(run, "");
        else
            never_ran(run, TT_IO, "the command was not started");
        break;
    default:
        break;
    }
}

static void filter(struct tx_run *run, const char *bytes, size_t length)
{
    struct stream *s = report_stream(run);
    struct tx_report report;
    bool more = tx_reports_next(&run->reports, bytes, length, &s->data, &report);
    for (; more; more = tx_reports_next(&run->reports, NULL, 0, &s->data, &report))
        on_report(run, &report);
}

/* --- moving bytes --- */

static void fill(struct tx_run *run, enum tt_stream which)
{
    static char chunk[64 << 10]; /* one loop thread, no call nests */
    struct stream *s = &run->streams[which];
    while (!s->ended && s->data.length < read_ahead) {
        ssize_t n = tx_channel_read(channel_of(run), which == TT_STDERR, chunk, sizeof chunk);
        if (n > 0 && s == report_stream(run)) {
            filter(run, chunk, (size_t)n);
        } else if (n > 0) {
            tt_buf_add(&s->data, chunk, (size_t)n);
        } else if (n == 0) {
            s->ended = true;
            if (s == report_stream(run))
                tx_reports_end(&run->reports, &s->data);
        } else {
            return;
        }
    }
}

static void send_header(struct tx_run *run)
{
    struct tt_buf *header = &run->shim.header;
    while (run->header_allowed && run->header_at < header->length) {
        ssize_t n = tx_channel_write(channel_of(run), header->data + run->header_at,
                                     header->length - run->header_at);
        if (n <= 0)
            return;
        run->header_at += (size_t)n;
        if (run->header_at == header->length) {
            explicit_bzero(header->data, header->length);
            tt_buf_free(header);
            run->header_at = 0;
            return;
        }
    }
}

static void send_end(struct tx_run *run)
{
    if (!run->end_wanted || run->end_sent || (run->shim.header.length && !run->exit_known))
        return;
    /* a terminal has no end of file but the character */
    if (run->pty && tx_channel_write(channel_of(run), "\004", 1) == -EAGAIN)
        return;
    if (tx_channel_end(channel_of(run)) != -EAGAIN)
        run->end_sent = true;
}

/* Each returns true when the next step may follow. */
static bool ask_pty(struct tx_run *run)
{
    int rc = tx_channel_pty(channel_of(run), run->shim.header.length > 0);
    if (rc == -EACCES)
        never_ran(run, TT_UNSUPPORTED, "the server gives no pty");
    else if (rc == 0)
        run->state = STARTING;
    return rc == 0;
}

static bool start(struct tx_run *run)
{
    int rc = tx_channel_start(channel_of(run), "exec", run->shim.line);
    if (rc == -EACCES)
        never_ran(run, TT_PERMISSION, "the server refuses to run commands");
    else if (rc == 0)
        run->state = LAUNCHING;
    return rc == 0;
}

static void on_changed(void *arg)
{
    struct tx_run *run = arg;
    struct tx_session *session = tx_channel_session(channel_of(run));
    if (run->state == ASKING_PTY && !run->exit_known)
        ask_pty(run);
    if (run->state == STARTING && !run->exit_known)
        start(run);
    if (run->state >= LAUNCHING) {
        send_header(run);
        fill(run, TT_STDERR);
        fill(run, TT_STDOUT);
        send_header(run); /* R may have come */
        send_end(run);
        if (!run->closed && run->streams[0].ended && run->streams[1].ended &&
            tx_channel_closed(channel_of(run)))
            on_closed(run);
        /* a signal is known before the close, and a code other than 0 */
        int code, signal;
        if (!run->exit_known && run->state == RUNNING &&
            tx_channel_status(channel_of(run), &code, &signal) && (signal || code))
            ended(run, TT_OK, signal ? -1 : code, signal, NULL);
    }
    if (tx_session_why(session))
        on_broken(run);
    run->changed(run->arg);
}

/* --- interface --- */

struct tx_run *tx_run_new(struct tx_host *host, struct tx_lease *lease,
                          const struct tt_command *command, void (*changed)(void *arg), void *arg,
                          struct tt_error **err)
{
    struct tx_run *run = tt_zalloc(sizeof *run);
    struct tx_shim_options options = {.nonce = run->reports.nonce,
                                      .shell_is_sh = tx_host_shell_is_sh(host),
                                      .report_shell = !tx_host_shell_is_sh(host)};
    if (tx_shim_nonce(run->reports.nonce, err) < 0 ||
        tx_shim_build(&run->shim, command, &options, err) < 0) {
        free(run);
        tx_lease_end(lease);
        return NULL;
    }
    run->host = host;
    run->lease = lease;
    run->header_allowed = !run->shim.header_on_ready;
    run->password = command->password ? tt_strdup(command->password) : NULL;
    run->user = command->user ? tt_strdup(command->user) : NULL;
    run->pty = command->pty;
    run->stdin_open = command->stdin_open;
    run->end_wanted = !command->stdin_open;
    run->state = command->pty ? ASKING_PTY : STARTING;
    run->changed = changed;
    run->arg = arg;
    tx_channel_listen(lease->channel, on_changed, run);
    return run;
}

void tx_run_free(struct tx_run *run)
{
    if (!run)
        return;
    tx_lease_end(run->lease);
    tx_shim_clear(&run->shim);
    tt_buf_free(&run->reports.held);
    tt_buf_free(&run->streams[0].data);
    tt_buf_free(&run->streams[1].data);
    if (run->password)
        explicit_bzero(run->password, strlen(run->password));
    free(run->password);
    free(run->user);
    free(run->exit.message);
    free(run);
}

struct tx_link *tx_run_link(const struct tx_run *run)
{
    return run->lease->link;
}

struct tx_lease *tx_run_lease(const struct tx_run *run)
{
    return run->lease;
}

bool tx_run_accepted(const struct tx_run *run)
{
    return run->state >= LAUNCHING;
}

int64_t tx_run_group(const struct tx_run *run)
{
    return run->group;
}

int64_t tx_run_launcher(const struct tx_run *run)
{
    return run->launcher;
}

const struct tt_exit *tx_run_exit(const struct tx_run *run)
{
    return run->exit_known ? &run->exit : NULL;
}

bool tx_run_closed(const struct tx_run *run)
{
    return run->closed;
}

ssize_t tx_run_read(struct tx_run *run, enum tt_stream stream, size_t max, struct tt_bytes *bytes)
{
    struct stream *s = &run->streams[stream];
    bool was_full = s->data.length >= read_ahead;
    /* until the command runs, what the far side says may be a reason and not output */
    if (run->state < RUNNING && !run->exit_known)
        return -EAGAIN;
    if (!s->data.length) {
        if (s->ended)
            return 0;
        return tx_session_why(tx_channel_session(channel_of(run))) ? -EPIPE : -EAGAIN;
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
        tx_session_wake(tx_channel_session(channel_of(run)));
    return (ssize_t)bytes->length;
}

ssize_t tx_run_write(struct tx_run *run, const void *data, size_t length)
{
    if (run->exit_known || run->end_wanted)
        return -EPIPE;
    if (run->state < LAUNCHING || run->shim.header.length ||
        (run->state < RUNNING && run->user)) /* sudo could take it for a password */
        return tx_session_why(tx_channel_session(channel_of(run))) ? -EPIPE : -EAGAIN;
    return tx_channel_write(channel_of(run), data, length);
}

int tx_run_close_stdin(struct tx_run *run)
{
    run->end_wanted = true;
    if (run->exit_known || run->end_sent)
        return 0;
    tx_session_wake(tx_channel_session(channel_of(run)));
    return 0;
}
