#include "executors/http/stream.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/http/head.h"
#include "executors/http/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { head_piece = 4096, max_refusal = 256 << 10, max_piece = 256 << 10 };

enum state { CONNECTING, HEAD, REFUSAL, OPEN, BROKEN };

struct opening;
struct reading;
struct writing;

struct tx_stream {
    struct tx_transfer transfer;
    curl_socket_t fd;
    uv_poll_t *poll; /* NULL until connected; freed when libuv closed it */
    enum state state;
    struct tt_buf out;  /* accepted, not yet sent */
    struct tt_buf in;   /* received beyond the head, not yet read */
    struct tt_buf body; /* of a refusal */
    char *head;
    size_t head_length;
    int status;
    bool ended, shut, shut_wanted, refused;
    struct tt_error *error; /* why it broke */
    struct opening *opening;
    struct reading *reading;
    struct writing *writing;
};

struct opening {
    struct tt_op op;
    struct tx_stream *stream; /* owned until taken */
    struct tt_timer silence;
    int64_t patience;
};

struct reading {
    struct tt_bytes_op bytes;
    struct tx_stream *stream;
    size_t max;
};

struct writing {
    struct tt_op op;
    struct tx_stream *stream;
};

static void watch(struct tx_stream *stream);

/* --- ending --- */

static void break_off(struct tx_stream *stream, struct tt_error *err)
{
    if (stream->state == BROKEN) {
        tt_error_free(err);
        return;
    }
    stream->state = BROKEN;
    stream->error = err;
    struct opening *opening = stream->opening;
    struct reading *reading = stream->reading;
    struct writing *writing = stream->writing;
    stream->opening = NULL;
    stream->reading = NULL;
    stream->writing = NULL;
    if (opening) {
        tt_timer_stop(opening->op.loop, &opening->silence);
        tt_op_finish(&opening->op, tt_error_copy(err));
    }
    if (reading)
        tt_op_finish(&reading->bytes.op, tt_error_copy(err));
    if (writing)
        tt_op_finish(&writing->op, tt_error_copy(err));
    watch(stream);
}

static void poll_closed(uv_handle_t *poll)
{
    free(poll);
}

void tx_stream_free(struct tx_stream *stream)
{
    if (!stream)
        return;
    break_off(stream, tt_error_new(TT_CANCELLED, "the stream was closed"));
    if (stream->poll) {
        uv_poll_stop(stream->poll);
        stream->poll->data = NULL;
        uv_close((uv_handle_t *)stream->poll, poll_closed);
    }
    tx_transfer_clear(&stream->transfer);
    tt_error_free(stream->error);
    tt_buf_free(&stream->out);
    tt_buf_free(&stream->in);
    tt_buf_free(&stream->body);
    free(stream->head);
    free(stream);
}

/* --- moving bytes --- */

static const struct tx_curl *curl_of(const struct tx_stream *stream)
{
    return tx_http_curl(stream->transfer.http);
}

/* Bytes received into `to`; 0: none now; -1: it ended or broke. */
static long receive(struct tx_stream *stream, struct tt_buf *to, size_t max)
{
    size_t got = 0;
    char *room = tt_buf_reserve(to, max);
    if (!room) {
        break_off(stream, tt_error_new(TT_IO, "out of memory"));
        return -1;
    }
    CURLcode code = TT_FAULT("http_stream.recv")
                        ? CURLE_RECV_ERROR
                        : curl_of(stream)->easy_recv(stream->transfer.easy, room, max, &got);
    if (code == CURLE_AGAIN) {
        if (!to->length) /* what woke us was TLS's own */
            tt_buf_free(to);
        return 0;
    }
    if (code != CURLE_OK) {
        struct tt_error *err = tx_transfer_error(&stream->transfer, code);
        err->kind = TT_LOST;
        break_off(stream, err);
        return -1;
    }
    if (!got) {
        stream->ended = true;
        return -1;
    }
    to->length += got;
    to->data[to->length] = 0;
    return (long)got;
}

static void shut_now(struct tx_stream *stream)
{
    struct curl_tlssessioninfo *tls = NULL;
    const struct tx_curl *curl = curl_of(stream);
    stream->shut_wanted = false;
    stream->shut = true;
    curl->easy_getinfo(stream->transfer.easy, CURLINFO_TLS_SSL_PTR, &tls);
    if (tls && tls->internals && curl->ssl_shutdown)
        curl->ssl_shutdown(tls->internals); /* the far side reads an end; we go on reading */
    else
        shutdown(stream->fd, SHUT_WR);
}

static void send_some(struct tx_stream *stream)
{
    while (stream->out.length && stream->state != BROKEN) {
        size_t sent = 0;
        CURLcode code = TT_FAULT("http_stream.send")
                            ? CURLE_SEND_ERROR
                            : curl_of(stream)->easy_send(stream->transfer.easy, stream->out.data,
                                                         stream->out.length, &sent);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK) {
            struct tt_error *err = tx_transfer_error(&stream->transfer, code);
            err->kind = TT_LOST;
            break_off(stream, err);
            return;
        }
        tt_buf_drop(&stream->out, sent);
    }
    if (stream->state == BROKEN)
        return;
    if (stream->out.capacity > head_piece)
        tt_buf_free(&stream->out);
    if (stream->shut_wanted)
        shut_now(stream);
    struct writing *writing = stream->writing;
    stream->writing = NULL;
    if (writing)
        tt_op_finish(&writing->op, NULL);
}

/* --- opening --- */

static void opened(struct tx_stream *stream, enum state state)
{
    struct opening *opening = stream->opening;
    stream->state = state;
    stream->opening = NULL;
    tt_timer_stop(opening->op.loop, &opening->silence);
    tt_op_finish(&opening->op, NULL);
}

/* Whether the whole refusal is there. */
static bool refusal_complete(struct tx_stream *stream)
{
    char *length = tx_head_value(stream->head, stream->head_length, "Content-Length");
    char *coding = tx_head_value(stream->head, stream->head_length, "Transfer-Encoding");
    bool complete = stream->ended || stream->in.length >= max_refusal;
    if (coding && strcasecmp(coding, "chunked") == 0) {
        if (tx_dechunk(&stream->in, &stream->body, max_refusal, NULL) != 0)
            complete = true;
    } else {
        tt_buf_add(&stream->body, stream->in.data, stream->in.length);
        stream->in.length = 0;
        if (length && stream->body.length >= strtoul(length, NULL, 10))
            complete = true;
    }
    free(length);
    free(coding);
    return complete;
}

static void read_refusal(struct tx_stream *stream)
{
    while (!refusal_complete(stream)) {
        long got = receive(stream, &stream->in, head_piece);
        if (got == 0 || stream->state == BROKEN)
            return;
    }
    opened(stream, REFUSAL);
}

static void read_head(struct tx_stream *stream)
{
    struct tt_error *err = NULL;
    for (;;) {
        int rc = tx_head_parse(stream->in.data, stream->in.length, &stream->status, &err);
        if (rc < 0) {
            break_off(stream, err);
            return;
        }
        if (rc > 0) {
            stream->head_length = (size_t)rc;
            stream->head = tt_strndup(stream->in.data, (size_t)rc);
            tt_buf_drop(&stream->in, (size_t)rc);
            break;
        }
        long got = receive(stream, &stream->in, head_piece);
        if (got == 0 || stream->state == BROKEN)
            return;
        if (got < 0) {
            break_off(stream, tt_error_new(TT_LOST, "the connection ended before an answer"));
            return;
        }
    }
    if (stream->status == 101 || stream->status == 200) {
        opened(stream, OPEN);
    } else {
        stream->state = REFUSAL;
        read_refusal(stream);
    }
}

/* --- readiness --- */

static void take_bytes(struct tx_stream *stream)
{
    struct reading *reading = stream->reading;
    if (!stream->in.length && !stream->ended &&
        receive(stream, &stream->in, reading->max < max_piece ? reading->max : max_piece) == 0)
        return;
    if (stream->state == BROKEN)
        return; /* the reader was told */
    stream->reading = NULL;
    struct tt_bytes *bytes = &reading->bytes.bytes;
    bytes->length = stream->in.length < reading->max ? stream->in.length : reading->max;
    if (bytes->length && bytes->length == stream->in.length) {
        bytes->data = tt_buf_take(&stream->in);
    } else if (bytes->length) {
        bytes->data = tt_alloc(bytes->length + 1);
        memcpy(bytes->data, stream->in.data, bytes->length);
        bytes->data[bytes->length] = 0;
        tt_buf_drop(&stream->in, bytes->length);
    } else {
        tt_buf_free(&stream->in);
    }
    tt_op_finish(&reading->bytes.op, NULL);
}

static void advance(struct tx_stream *stream)
{
    if (stream->out.length || stream->writing || stream->shut_wanted)
        send_some(stream);
    if (stream->state == HEAD)
        read_head(stream);
    else if (stream->state == REFUSAL && stream->opening)
        read_refusal(stream);
    if (stream->state == OPEN && stream->reading)
        take_bytes(stream);
    watch(stream);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status; /* send and receive say what is wrong */
    (void)events;
    if (poll->data)
        advance(poll->data);
}

static void watch(struct tx_stream *stream)
{
    if (!stream->poll)
        return;
    int events = 0;
    if (stream->state != BROKEN && stream->out.length)
        events |= UV_WRITABLE;
    if (stream->state == HEAD || (stream->state == REFUSAL && stream->opening) ||
        (stream->state == OPEN && stream->reading))
        events |= UV_READABLE;
    if (events)
        uv_poll_start(stream->poll, events, on_ready);
    else
        uv_poll_stop(stream->poll);
}

/* Runs while libcurl is on the stack: the first send waits for the socket's readiness. */
static void on_connected(struct tx_transfer *transfer, CURLcode code)
{
    struct tx_stream *stream = (struct tx_stream *)(void *)transfer;
    if (stream->state != CONNECTING)
        return;
    if (code != CURLE_OK) {
        break_off(stream, tx_transfer_error(transfer, code));
        return;
    }
    curl_of(stream)->easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &stream->fd);
    stream->poll = tt_zalloc(sizeof *stream->poll);
    stream->poll->data = stream;
    if (TT_FAULT("http_stream.poll") || stream->fd == CURL_SOCKET_BAD ||
        uv_poll_init_socket(tt_loop_uv(tx_http_loop(transfer->http)), stream->poll, stream->fd) <
            0) {
        free(stream->poll);
        stream->poll = NULL;
        break_off(stream, tt_error_new(TT_CONNECT, "the connection can't be watched"));
        return;
    }
    stream->state = HEAD;
    watch(stream);
}

/* --- the operations --- */

static void opening_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct opening *opening = (struct opening *)(void *)op;
    opening->stream->opening = NULL;
    tt_timer_stop(op->loop, &opening->silence);
    tt_op_finish(op, tt_error_copy(why));
}

static void opening_free(struct tt_op *op)
{
    tx_stream_free(((struct opening *)(void *)op)->stream);
    free(op);
}

static void on_silence(struct tt_timer *timer)
{
    struct opening *opening = tt_owner(timer, struct opening, silence);
    break_off(opening->stream, tx_transfer_silence(&opening->stream->transfer, opening->patience));
}

static void write_request(struct tx_stream *stream, const struct tx_http_request *request)
{
    struct tx_http *http = stream->transfer.http;
    struct tt_buf *out = &stream->out;
    tt_buf_format(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tutti/" TT_VERSION "\r\n",
                  request->method, tx_http_prefix(http), request->path, tx_http_host(http));
    for (const char *const *line = request->headers; line && *line; line++)
        tt_buf_format(out, "%s\r\n", *line);
    if (tx_http_authorization(http))
        tt_buf_format(out, "Authorization: %s\r\n", tx_http_authorization(http));
    if (request->body)
        tt_buf_format(out, "Content-Length: %zu\r\n", request->length);
    tt_buf_text(out, "\r\n");
    if (request->body)
        tt_buf_add(out, request->body, request->length);
}

struct tt_op *tx_stream_open(struct tx_http *http, struct tt_scope *scope,
                             const struct tx_http_request *request)
{
    static const struct tt_op_class class_ = {"http stream", opening_cancel, opening_free};
    struct opening *opening = tt_zalloc(sizeof *opening);
    tt_op_init(&opening->op, &class_, scope);
    if (tt_op_finished(&opening->op))
        return &opening->op;
    struct tx_stream *stream = tt_zalloc(sizeof *stream);
    struct tt_error *err = NULL;
    opening->stream = stream;
    opening->patience = request->patience ? request->patience : tx_http_patience_ms;
    stream->transfer.done = on_connected;
    stream->opening = opening;
    int rc = tx_transfer_init(&stream->transfer, http, request->path, &err);
    if (rc == 0) {
        tx_http_curl(http)->easy_setopt(stream->transfer.easy, CURLOPT_CONNECT_ONLY, 1L);
        write_request(stream, request);
        rc = tx_transfer_begin(&stream->transfer, &err);
    }
    if (rc < 0)
        break_off(stream, err);
    else if (opening->patience != TT_NEVER)
        tt_timer_start(opening->op.loop, &opening->silence,
                       tt_deadline_after(tt_loop_now(opening->op.loop), opening->patience),
                       on_silence);
    return &opening->op;
}

struct tx_stream *tx_stream_of(struct tt_op *op)
{
    struct opening *opening = (struct opening *)(void *)op;
    struct tx_stream *stream = op->error ? NULL : opening->stream;
    if (stream)
        opening->stream = NULL;
    return stream;
}

int tx_stream_status(const struct tx_stream *stream)
{
    return stream->status;
}

char *tx_stream_header(const struct tx_stream *stream, const char *name)
{
    return stream->head ? tx_head_value(stream->head, stream->head_length, name) : NULL;
}

const struct tt_buf *tx_stream_body(const struct tx_stream *stream)
{
    return &stream->body;
}

static void reading_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tx_stream *stream = ((struct reading *)(void *)op)->stream;
    stream->reading = NULL;
    watch(stream);
    tt_op_finish(op, tt_error_copy(why));
}

struct tt_op *tx_stream_read(struct tx_stream *stream, struct tt_scope *scope, size_t max)
{
    static const struct tt_op_class class_ = {"read", reading_cancel, tt_bytes_op_free};
    struct reading *reading = tt_zalloc(sizeof *reading);
    reading->stream = stream;
    reading->max = max;
    tt_op_init(&reading->bytes.op, &class_, scope);
    if (tt_op_finished(&reading->bytes.op))
        return &reading->bytes.op;
    if (stream->state == BROKEN) {
        tt_op_finish(&reading->bytes.op, tt_error_copy(stream->error));
        return &reading->bytes.op;
    }
    stream->reading = reading;
    advance(stream);
    return &reading->bytes.op;
}

static struct tt_error *epipe(void)
{
    struct tt_error *err = tt_error_new(TT_IO, "nobody reads it any more");
    err->errnum = EPIPE;
    return err;
}

static void writing_cancel(struct tt_op *op, const struct tt_error *why)
{
    ((struct writing *)(void *)op)->stream->writing = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

struct tt_op *tx_stream_write(struct tx_stream *stream, struct tt_scope *scope, const void *data,
                              size_t length)
{
    static const struct tt_op_class class_ = {"write", writing_cancel, tt_op_free};
    struct writing *writing = tt_zalloc(sizeof *writing);
    writing->stream = stream;
    tt_op_init(&writing->op, &class_, scope);
    if (tt_op_finished(&writing->op))
        return &writing->op;
    struct tt_error *err = NULL;
    char *to = NULL;
    if (stream->refused)
        err = epipe();
    else if (stream->state == BROKEN)
        err = tt_error_copy(stream->error);
    else if (stream->shut || stream->shut_wanted)
        err = tt_error_new(TT_IO, "the stream was closed for writing");
    else if (!(to = tt_buf_reserve(&stream->out, length)))
        err = tt_error_new(TT_IO, "out of memory");
    if (err) {
        tt_op_finish(&writing->op, err);
        return &writing->op;
    }
    if (to && length)
        memcpy(to, data, length);
    stream->out.length += length;
    stream->writing = writing;
    advance(stream);
    return &writing->op;
}

void tx_stream_refuse(struct tx_stream *stream)
{
    struct writing *writing = stream->writing;
    stream->refused = true;
    stream->writing = NULL;
    stream->out.length = 0;
    if (writing)
        tt_op_finish(&writing->op, epipe());
    watch(stream);
}

int tx_stream_shutdown(struct tx_stream *stream, struct tt_error **err)
{
    if (stream->state == BROKEN) {
        if (err)
            *err = tt_error_copy(stream->error);
        return -(int)stream->error->kind;
    }
    if (!stream->shut) {
        stream->shut_wanted = true;
        advance(stream);
    }
    return 0;
}
