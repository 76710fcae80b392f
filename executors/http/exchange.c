/* Exchanges: a request through libcurl, its bodies pulled and pushed with credit. */
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/http/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { max_head = 64 << 10, max_held = 64 << 10, max_given = 256 << 10 };

struct waiter;

struct tx_exchange {
    struct tx_transfer transfer;
    struct curl_slist *headers;
    struct tt_buf head;     /* the reply's header lines */
    struct tt_buf received; /* of its body, not yet read */
    struct tt_buf given;    /* of the request's body, not yet sent */
    size_t sent;            /* of `given` */
    struct waiter *on_head, *on_read, *on_write;
    struct tt_timer silence;
    int64_t patience;
    struct tt_error *error; /* how it broke */
    int status;
    bool head_done, ended, streamed, complete;
    bool receive_paused, send_paused;
};

/* An operation that waits for the exchange. */
struct waiter {
    struct tt_bytes_op bytes;
    struct tx_exchange *exchange; /* NULL once the exchange was freed */
    struct waiter **place;        /* where the exchange keeps it while it waits */
    size_t max;
};

static struct waiter *waiter_of(struct tt_op *op)
{
    return (struct waiter *)(void *)op;
}

static void waiter_finish(struct waiter *waiter, struct tt_error *err)
{
    *waiter->place = NULL;
    tt_op_finish(&waiter->bytes.op, err);
}

static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    waiter_finish(waiter_of(op), tt_error_copy(why));
}

static struct waiter *wait_in(struct waiter **place, struct tx_exchange *x, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"http", waiter_cancel, tt_bytes_op_free};
    struct waiter *waiter = tt_zalloc(sizeof *waiter);
    waiter->exchange = x;
    waiter->place = place;
    tt_op_init(&waiter->bytes.op, &class_, scope);
    if (!tt_op_finished(&waiter->bytes.op))
        *place = waiter;
    return waiter;
}

static void fail_waiter(struct waiter *waiter, const struct tt_error *why)
{
    if (waiter)
        waiter_finish(waiter, tt_error_copy(why));
}

/* --- the reply's body --- */

static void give_bytes(struct waiter *waiter, struct tt_buf *from)
{
    size_t length = from->length < waiter->max ? from->length : waiter->max;
    if (length == from->length) {
        waiter->bytes.bytes.length = length;
        waiter->bytes.bytes.data = tt_buf_take(from);
    } else {
        waiter->bytes.bytes.data = tt_alloc(length + 1);
        memcpy(waiter->bytes.bytes.data, from->data, length);
        waiter->bytes.bytes.data[length] = 0;
        waiter->bytes.bytes.length = length;
        tt_buf_drop(from, length);
    }
    waiter_finish(waiter, NULL);
}

static void serve_reader(struct tx_exchange *x)
{
    if (!x->on_read)
        return;
    if (x->received.length)
        give_bytes(x->on_read, &x->received);
    else if (x->error)
        fail_waiter(x->on_read, x->error);
    else if (x->ended)
        waiter_finish(x->on_read, NULL);
}

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
    struct tx_exchange *x = arg;
    size_t length = one * count;
    if (!length)
        return 0;
    if (x->received.length >= max_held) {
        x->receive_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    char *to = tt_buf_reserve(&x->received, length);
    if (!to)
        return 0;
    memcpy(to, bytes, length);
    x->received.length += length;
    serve_reader(x);
    return length;
}

/* --- the reply's head --- */

static void head_known(struct tx_exchange *x)
{
    long status = 0;
    tx_http_curl(x->transfer.http)->easy_getinfo(x->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    x->status = (int)status;
    x->head_done = true;
    tt_timer_stop(tx_http_loop(x->transfer.http), &x->silence);
    if (x->on_head)
        waiter_finish(x->on_head, NULL);
}

static size_t on_header(char *bytes, size_t one, size_t count, void *arg)
{
    struct tx_exchange *x = arg;
    size_t length = one * count;
    if (length > 5 && memcmp(bytes, "HTTP/", 5) == 0)
        x->head.length = 0; /* a new head: the one before was a 100 Continue */
    if (x->head.length + length > max_head)
        return 0;
    tt_buf_add(&x->head, bytes, length);
    bool last = length == 2 && bytes[0] == '\r';
    if (last && strncmp(x->head.data, "HTTP/1.1 1", 10) != 0)
        head_known(x);
    return length;
}

/* --- the request's body --- */

static void serve_writer(struct tx_exchange *x)
{
    if (!x->on_write)
        return;
    if (x->error)
        fail_waiter(x->on_write, x->error);
    else if (x->ended) {
        struct tt_error *err = tt_error_new(TT_IO, "the far side wants no more of the request");
        err->errnum = EPIPE;
        waiter_finish(x->on_write, err);
    } else if (x->given.length - x->sent < max_given)
        waiter_finish(x->on_write, NULL);
}

static size_t on_send(char *to, size_t one, size_t count, void *arg)
{
    struct tx_exchange *x = arg;
    size_t room = one * count, left = x->given.length - x->sent;
    if (!left && !x->complete) {
        x->send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    size_t length = left < room ? left : room;
    if (length)
        memcpy(to, x->given.data + x->sent, length);
    x->sent += length;
    if (x->sent == x->given.length)
        x->given.length = x->sent = 0;
    serve_writer(x);
    return length;
}

static void resume(struct tx_exchange *x)
{
    int flags = (x->receive_paused ? CURLPAUSE_RECV : 0) | (x->send_paused ? CURLPAUSE_SEND : 0);
    tx_http_curl(x->transfer.http)->easy_pause(x->transfer.easy, flags);
}

/* --- its life --- */

static void break_off(struct tx_exchange *x, struct tt_error *err)
{
    x->ended = true;
    x->error = err;
    tt_timer_stop(tx_http_loop(x->transfer.http), &x->silence);
    fail_waiter(x->on_head, err);
    serve_reader(x);
    serve_writer(x);
}

static void on_done(struct tx_transfer *transfer, CURLcode code)
{
    struct tx_exchange *x = (struct tx_exchange *)(void *)transfer;
    if (x->ended)
        return;
    if (code != CURLE_OK) {
        break_off(x, tx_transfer_error(transfer, code));
        return;
    }
    if (!x->head_done)
        head_known(x);
    x->ended = true;
    serve_reader(x);
    serve_writer(x);
}

static void on_silence(struct tt_timer *timer)
{
    struct tx_exchange *x = tt_owner(timer, struct tx_exchange, silence);
    break_off(x, tx_transfer_silence(&x->transfer, x->patience));
}

static void add_header(struct tx_exchange *x, const char *line)
{
    x->headers = tx_http_curl(x->transfer.http)->slist_append(x->headers, line);
}

static void set_headers(struct tx_exchange *x, const struct tx_http_request *request)
{
    for (const char *const *line = request->headers; line && *line; line++)
        add_header(x, *line);
    add_header(x, "Expect:");
    add_header(x, "User-Agent: tutti/" TT_VERSION);
    if (request->streamed)
        add_header(x, "Transfer-Encoding: chunked");
    const char *authorization = tx_http_authorization(x->transfer.http);
    if (authorization) {
        char *line = tt_format("Authorization: %s", authorization);
        add_header(x, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
    tx_http_curl(x->transfer.http)->easy_setopt(x->transfer.easy, CURLOPT_HTTPHEADER, x->headers);
}

static void set_body(struct tx_exchange *x, const struct tx_http_request *request)
{
    const struct tx_curl *curl = tx_http_curl(x->transfer.http);
    CURL *easy = x->transfer.easy;
    bool head = strcmp(request->method, "HEAD") == 0;
    if (head) {
        curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request->streamed) {
        curl->easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl->easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
        curl->easy_setopt(easy, CURLOPT_READDATA, x);
    } else if (request->body || strcmp(request->method, "POST") == 0) {
        curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->length);
        curl->easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
    }
    if (!head)
        curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

int tx_exchange_start(struct tx_exchange **out, struct tx_http *http,
                      const struct tx_http_request *request, struct tt_error **err)
{
    struct tx_exchange *x = tt_zalloc(sizeof *x);
    x->transfer.done = on_done;
    x->streamed = request->streamed;
    x->patience = request->patience ? request->patience : tx_http_patience_ms;
    int rc = tx_transfer_init(&x->transfer, http, request->path, err);
    if (rc < 0)
        goto out;
    const struct tx_curl *curl = tx_http_curl(http);
    curl->easy_setopt(x->transfer.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(x->transfer.easy, CURLOPT_WRITEDATA, x);
    curl->easy_setopt(x->transfer.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(x->transfer.easy, CURLOPT_HEADERDATA, x);
    set_body(x, request);
    set_headers(x, request);
    rc = tx_transfer_begin(&x->transfer, err);
    if (rc == 0 && x->patience != TT_NEVER)
        tt_timer_start(tx_http_loop(http), &x->silence,
                       tt_deadline_after(tt_loop_now(tx_http_loop(http)), x->patience), on_silence);
out:
    if (rc == 0)
        *out = x;
    else
        tx_exchange_free(x);
    return rc;
}

void tx_exchange_free(struct tx_exchange *x)
{
    if (!x)
        return;
    struct tt_error *gone = tt_error_new(TT_CANCELLED, "the exchange was broken off");
    fail_waiter(x->on_head, gone);
    fail_waiter(x->on_read, gone);
    fail_waiter(x->on_write, gone);
    tt_error_free(gone);
    struct tx_http *http = x->transfer.http;
    if (http) {
        const struct tx_curl *curl = tx_http_curl(http);
        struct curl_slist *headers = x->headers;
        tt_timer_stop(tx_http_loop(http), &x->silence);
        tx_transfer_clear(&x->transfer);
        curl->slist_free_all(headers);
    }
    tt_buf_free(&x->head);
    tt_buf_free(&x->received);
    tt_buf_free(&x->given);
    tt_error_free(x->error);
    free(x);
}

struct tt_op *tx_exchange_head(struct tx_exchange *x, struct tt_scope *scope)
{
    struct waiter *waiter = wait_in(&x->on_head, x, scope);
    if (x->on_head == waiter && x->head_done)
        waiter_finish(x->on_head, NULL);
    else if (x->on_head == waiter && x->error)
        fail_waiter(x->on_head, x->error);
    return &waiter->bytes.op;
}

int tx_exchange_status(const struct tx_exchange *x)
{
    return x->status;
}

char *tx_exchange_header(const struct tx_exchange *x, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = x->head.data; line && *line;) {
        size_t end = strcspn(line, "\r\n");
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            size_t skip = length + 1 + strspn(line + length + 1, " \t");
            return tt_strndup(line + skip, end > skip ? end - skip : 0);
        }
        line += end + strspn(line + end, "\r\n");
    }
    return NULL;
}

struct tt_op *tx_exchange_read(struct tx_exchange *x, struct tt_scope *scope, size_t max)
{
    struct waiter *waiter = wait_in(&x->on_read, x, scope);
    waiter->max = max;
    if (x->on_read != waiter)
        return &waiter->bytes.op;
    serve_reader(x);
    if (x->receive_paused && !x->ended && x->received.length < max_held) {
        x->receive_paused = false;
        resume(x);
    }
    return &waiter->bytes.op;
}

struct tt_op *tx_exchange_write(struct tx_exchange *x, struct tt_scope *scope, const void *data,
                                size_t length)
{
    struct waiter *waiter = wait_in(&x->on_write, x, scope);
    if (x->on_write != waiter)
        return &waiter->bytes.op;
    if (!x->ended) {
        char *to = tt_buf_reserve(&x->given, length);
        if (!to) {
            waiter_finish(waiter, tt_error_new(TT_IO, "out of memory"));
            return &waiter->bytes.op;
        }
        if (length)
            memcpy(to, data, length);
        x->given.length += length;
        if (x->send_paused) {
            x->send_paused = false;
            resume(x);
        }
    }
    serve_writer(x);
    return &waiter->bytes.op;
}

void tx_exchange_end(struct tx_exchange *x)
{
    x->complete = true;
    if (x->send_paused && !x->ended) {
        x->send_paused = false;
        resume(x);
    }
}
