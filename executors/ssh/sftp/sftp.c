#include "executors/ssh/sftp/sftp.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/ssh/sftp/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    version = 3,
    init = 1,
    version_reply = 2,
    max_packet = 1 << 20,
    usual_size = 32 << 10, /* what every server takes */
    largest_size = 255 << 10,
    chunk_size = 256 << 10,
};

struct get {
    struct tt_op op;
    struct tx_host *host; /* held */
    struct tx_sftp *sftp; /* held */
    struct get *next;
};

enum state { OPENING, STARTING, GREETING, ASKING_LIMITS, READY, BROKEN };

struct tx_sftp {
    struct tx_attached attached;
    unsigned refs;        /* the users' and the host's */
    unsigned users;       /* refs without the host's */
    struct tx_host *host; /* NULL once it is not the host's any more */
    struct tt_scope *scope;
    struct tt_op *opening;
    struct tx_lease *lease;
    enum state state;
    struct tt_error *why;
    struct get *gets;
    struct tx_pending pending;
    struct tt_buf out, in;
    size_t out_at, in_at;
    size_t max_read, max_write;
    bool posix_rename, limits;
    struct tt_job job; /* answers what was asked after the end */
};

static void on_changed(void *arg);

/* --- life --- */

static void wake_gets(struct tx_sftp *s)
{
    while (s->gets) {
        struct get *get = s->gets;
        s->gets = get->next;
        tt_op_finish(&get->op, s->state == READY ? NULL : tt_error_copy(s->why));
    }
}

static void in_use(struct tx_sftp *s, bool yes)
{
    if (s->lease)
        tx_link_use(s->lease->link, yes);
}

void tx_sftp_retain(struct tx_sftp *s)
{
    s->refs++;
    if (s->users++ == 0)
        in_use(s, true);
}

static void unref(struct tx_sftp *s)
{
    if (--s->refs > 0)
        return;
    tx_pending_clear(&s->pending);
    tt_buf_free(&s->out);
    tt_buf_free(&s->in);
    tt_error_free(s->why);
    tt_scope_release(s->scope);
    free(s);
}

static void on_job(struct tt_job *job)
{
    struct tx_sftp *s = tt_owner(job, struct tx_sftp, job);
    tx_pending_lose(&s->pending);
    unref(s);
}

/* Takes why. */
static void broke(struct tx_sftp *s, struct tt_error *why)
{
    if (s->state == BROKEN) {
        tt_error_free(why);
        return;
    }
    s->refs++;
    s->state = BROKEN;
    s->why = why;
    if (s->host && tx_host_sftp(s->host) == s) {
        tx_host_set_sftp(s->host, NULL);
        unref(s); /* the host's */
    }
    s->host = NULL;
    tt_op_drop(&s->opening, why);
    if (s->lease) {
        struct tx_lease *lease = s->lease;
        if (s->users)
            in_use(s, false);
        s->lease = NULL;
        tx_link_detach(lease->link, &s->attached);
        tx_lease_end(lease);
    }
    wake_gets(s);
    tx_pending_lose(&s->pending);
    unref(s);
}

/* Nobody waits for one that is not open yet. */
void tx_sftp_release(struct tx_sftp *s)
{
    if (!s)
        return;
    if (--s->users == 0) {
        in_use(s, false);
        if (s->state == OPENING)
            broke(s, tt_error_new(TT_CANCELLED, "no file operation waits any more"));
    }
    unref(s);
}

/* The connection goes. */
static void on_drop(struct tx_attached *attached)
{
    broke((struct tx_sftp *)(void *)attached,
          tt_error_new(TT_LOST, "the connection ended during a file operation"));
}

/* --- requests --- */

/* Never moves more than was used: its cost stays in proportion. */
static void drop_used(struct tt_buf *buf, size_t *used)
{
    if (*used < buf->length && (*used <= chunk_size || *used <= buf->length / 2))
        return;
    tt_buf_drop(buf, *used);
    *used = 0;
}

static void flush(struct tx_sftp *s)
{
    while (s->lease && s->out_at < s->out.length) {
        ssize_t n =
            tx_channel_write(s->lease->channel, s->out.data + s->out_at, s->out.length - s->out_at);
        if (n <= 0)
            break; /* a broken session is seen by the link */
        s->out_at += (size_t)n;
    }
    drop_used(&s->out, &s->out_at);
}

uint32_t tx_sftp_send_data(struct tx_sftp *s, enum tx_sftp_type type, const struct tt_buf *payload,
                           const void *data, size_t length, tx_sftp_done *done, void *arg)
{
    uint32_t id = tx_pending_add(&s->pending, done, arg);
    if (s->state == BROKEN) {
        if (!s->job.posted)
            s->refs++;
        tt_loop_post(tt_scope_loop(s->scope), &s->job);
        return id;
    }
    if (TT_FAULT("sftp.send"))
        tx_session_break(tx_channel_session(s->lease->channel),
                         tt_error_new(TT_LOST, "the connection broke"));
    tx_put_u32(&s->out, (uint32_t)(5 + payload->length + (data ? 4 + length : 0)));
    tx_put_u8(&s->out, (uint8_t)type);
    tx_put_u32(&s->out, id);
    tt_buf_add(&s->out, payload->data ? payload->data : "", payload->length);
    if (data)
        tx_put_string(&s->out, data, length);
    if (s->out.length - s->out_at > usual_size)
        flush(s);
    else
        tx_session_wake(tx_channel_session(s->lease->channel));
    return id;
}

uint32_t tx_sftp_send(struct tx_sftp *s, enum tx_sftp_type type, const struct tt_buf *payload,
                      tx_sftp_done *done, void *arg)
{
    return tx_sftp_send_data(s, type, payload, NULL, 0, done, arg);
}

void tx_sftp_forget(struct tx_sftp *s, void *arg)
{
    tx_pending_forget(&s->pending, arg);
}

void tx_sftp_close_quietly(struct tx_sftp *s, const struct tt_buf *handle)
{
    struct tt_buf payload = {0};
    if (s->state == BROKEN)
        return;
    tx_put_string(&payload, handle->data, handle->length);
    tx_sftp_send(s, TX_SFTP_CLOSE, &payload, NULL, NULL);
    tt_buf_free(&payload);
}

void tx_sftp_remove_quietly(struct tx_sftp *s, const char *path)
{
    struct tt_buf payload = {0};
    if (s->state == BROKEN)
        return;
    tx_put_text(&payload, path);
    tx_sftp_send(s, TX_SFTP_REMOVE, &payload, NULL, NULL);
    tt_buf_free(&payload);
}

/* --- replies --- */

static void damaged(struct tx_sftp *s)
{
    broke(s, tt_error_new(TT_IO, "the server's SFTP makes no sense"));
}

static void say_init(struct tx_sftp *s)
{
    tx_put_u32(&s->out, 5);
    tx_put_u8(&s->out, init);
    tx_put_u32(&s->out, version);
    flush(s);
}

static void on_limits(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_sftp *s = arg;
    struct tx_cursor body = reply->body;
    if (reply->status == TX_SFTP_LOST)
        return;
    tx_get_u64(&body); /* of a packet */
    uint64_t reads = tx_get_u64(&body), writes = tx_get_u64(&body);
    if (reply->type == TX_SFTP_EXTENDED_REPLY && !body.bad) {
        if (reads)
            s->max_read = reads < largest_size ? (size_t)reads : largest_size;
        if (writes)
            s->max_write = writes < largest_size ? (size_t)writes : largest_size;
    }
    s->state = READY;
    wake_gets(s);
}

static void on_version(struct tx_sftp *s, struct tx_cursor body)
{
    if (tx_get_u32(&body) < version) {
        damaged(s);
        return;
    }
    while (body.left && !body.bad) {
        struct tx_span name = tx_get_string(&body), value = tx_get_string(&body);
        if (tx_span_is(name, "posix-rename@openssh.com") && tx_span_is(value, "1"))
            s->posix_rename = true;
        if (tx_span_is(name, "limits@openssh.com") && tx_span_is(value, "1"))
            s->limits = true;
    }
    if (s->limits) {
        struct tt_buf payload = {0};
        s->state = ASKING_LIMITS;
        tx_put_text(&payload, "limits@openssh.com");
        tx_sftp_send(s, TX_SFTP_EXTENDED, &payload, on_limits, s);
        tt_buf_free(&payload);
    } else {
        s->state = READY;
        wake_gets(s);
    }
}

static void on_packet(struct tx_sftp *s, struct tx_cursor body)
{
    struct tx_sftp_reply reply = {.type = tx_get_u8(&body)};
    if (s->state == GREETING) {
        if (reply.type == version_reply)
            on_version(s, body);
        else
            damaged(s);
        return;
    }
    uint32_t id = tx_get_u32(&body);
    struct tx_awaited awaited;
    if (body.bad || !tx_pending_take(&s->pending, id, &awaited)) {
        damaged(s);
        return;
    }
    reply.id = id;
    reply.body = body;
    if (reply.type == TX_SFTP_STATUS) {
        reply.status = (int)tx_get_u32(&body);
        if (body.bad || reply.status < 0)
            reply.status = TX_SFTP_FAILURE;
        reply.said = tx_get_string(&body);
    }
    if (awaited.done)
        awaited.done(awaited.arg, &reply);
    else if (reply.type == TX_SFTP_HANDLE) {
        /* whoever asked is gone */
        struct tx_span handle = tx_get_string(&body);
        struct tt_buf copy = {0};
        tt_buf_add(&copy, handle.bytes, handle.length);
        tx_sftp_close_quietly(s, &copy);
        tt_buf_free(&copy);
    }
}

static void read_packets(struct tx_sftp *s)
{
    while (s->state != BROKEN) {
        struct tx_cursor cursor = tx_cursor(s->in.data + s->in_at, s->in.length - s->in_at);
        uint32_t length = tx_get_u32(&cursor);
        if (!cursor.bad && length > max_packet) {
            damaged(s);
            return;
        }
        if (cursor.bad || cursor.left < length)
            break;
        s->in_at += 4 + length;
        on_packet(s, tx_cursor(cursor.at, length));
    }
    drop_used(&s->in, &s->in_at);
}

/* No greeting will come. A server without SFTP may have a command in its place, which ends with a
 * code; one whose SFTP was killed has it, and it was lost. */
static void ended_early(struct tx_sftp *s)
{
    int code, signal;
    if (!tx_channel_closed(s->lease->channel))
        return; /* how it ended comes behind the end of its output */
    /* a shell between us and it turns a signal into a code */
    if (tx_channel_status(s->lease->channel, &code, &signal) && !signal && code <= 128)
        broke(s, tt_error_new(TT_UNSUPPORTED,
                              "the server's SFTP does not start: it ended with code %d", code));
    else
        broke(s, tt_error_new(TT_LOST, "the server's SFTP was killed before it started"));
}

static void receive(struct tx_sftp *s)
{
    while (s->state != BROKEN) {
        char *to = tt_buf_reserve(&s->in, chunk_size);
        if (!to) {
            broke(s, tt_error_new(TT_IO, "no memory for a file operation"));
            return;
        }
        ssize_t n = tx_channel_read(s->lease->channel, 0, to, chunk_size);
        if (n == -EAGAIN)
            return;
        if (n == 0 && s->state == GREETING) {
            ended_early(s);
            return;
        }
        if (n <= 0) {
            broke(s, tt_error_new(TT_LOST, "the server's SFTP ended"));
            return;
        }
        s->in.length += (size_t)n;
        read_packets(s);
    }
}

static void on_changed(void *arg)
{
    struct tx_sftp *s = arg;
    if (s->state == STARTING) {
        int rc = tx_channel_start(s->lease->channel, "subsystem", "sftp");
        if (rc == -EAGAIN)
            return;
        if (rc < 0) {
            broke(s, rc == -EACCES ? tt_error_new(TT_UNSUPPORTED, "the server has no SFTP")
                                   : tt_error_new(TT_LOST, "the connection broke"));
            return;
        }
        s->state = GREETING;
        say_init(s);
    }
    s->refs++;
    flush(s);
    receive(s);
    if (s->state != BROKEN)
        flush(s);
    if (!s->pending.count && !s->in.length && !s->out.length) {
        tt_buf_free(&s->in); /* an idle connection is small */
        tt_buf_free(&s->out);
    }
    unref(s);
}

/* --- getting it --- */

static void open_channel(struct tx_sftp *s);

static void on_opened(struct tt_op *op, void *arg)
{
    struct tx_sftp *s = arg;
    struct tt_error *err = tt_error_copy(op->error);
    struct tx_lease *lease = tx_lease_of(op);
    s->opening = NULL;
    if (lease && !tx_link_host(lease->link)) {
        /* it left the pool in between, and drops nothing any more */
        tx_lease_end(lease);
        open_channel(s);
    } else if (lease) {
        s->lease = lease;
        if (s->users)
            in_use(s, true);
        tx_lease_is_attached(lease);
        s->state = STARTING;
        s->attached.drop = on_drop;
        tx_link_attach(lease->link, &s->attached);
        tx_channel_listen(lease->channel, on_changed, s);
    }
    tt_op_release(op);
    if (!lease)
        broke(s, err);
}

static void open_channel(struct tx_sftp *s)
{
    s->opening = tx_host_channel(s->host, s->scope, NULL, 0);
    tt_op_await(s->opening, on_opened, s);
}

static struct tx_sftp *sftp_new(struct tx_host *host)
{
    struct tx_sftp *s = tt_zalloc(sizeof *s);
    s->refs = 1;
    s->host = host;
    s->max_read = s->max_write = usual_size;
    s->job.run = on_job;
    s->scope = tt_scope_new(tx_host_loop(host), tx_host_life(host));
    tx_host_set_sftp(host, s);
    open_channel(s);
    return s;
}

static void get_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct get *get = (struct get *)(void *)op;
    struct get **at = &get->sftp->gets;
    while (*at && *at != get)
        at = &(*at)->next;
    if (*at)
        *at = get->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void get_free(struct tt_op *op)
{
    struct get *get = (struct get *)(void *)op;
    tx_sftp_release(get->sftp);
    tx_host_release(get->host);
    free(get);
}

struct tt_op *tx_sftp_get(struct tx_host *host, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"starting SFTP", get_cancel, get_free};
    struct get *get = tt_zalloc(sizeof *get);
    get->host = host;
    tx_host_retain(host);
    tt_op_init(&get->op, &class_, scope);
    if (tt_op_finished(&get->op))
        return &get->op;
    get->sftp = tx_host_sftp(host) ? tx_host_sftp(host) : sftp_new(host);
    tx_sftp_retain(get->sftp);
    if (get->sftp->state == READY) {
        tt_op_finish(&get->op, NULL);
    } else {
        get->next = get->sftp->gets;
        get->sftp->gets = get;
    }
    return &get->op;
}

struct tx_sftp *tx_sftp_of(struct tt_op *op)
{
    struct get *get = (struct get *)(void *)op;
    if (op->error || !get->sftp)
        return NULL;
    tx_sftp_retain(get->sftp);
    return get->sftp;
}

size_t tx_sftp_max_read(const struct tx_sftp *sftp)
{
    return sftp->max_read;
}

size_t tx_sftp_max_write(const struct tx_sftp *sftp)
{
    return sftp->max_write;
}

bool tx_sftp_can_replace(const struct tx_sftp *sftp)
{
    return sftp->posix_rename;
}
