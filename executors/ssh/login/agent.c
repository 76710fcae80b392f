#include "executors/ssh/login/agent.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/ssh/wire/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Message numbers of draft-miller-ssh-agent. */
enum {
    request_identities = 11,
    identities_answer = 12,
    sign_request = 13,
    sign_response = 14,
    rsa_sha2_256 = 2,
};
enum { max_reply = 256 << 10 }; /* OpenSSH's own bound */

/* The socket outlives the operation by the closing of its handle. */
struct line {
    uv_poll_t poll;
    int fd;
    struct ask *ask;
};

struct ask {
    struct tt_bytes_op base;
    struct line *line;
    struct tt_buf request, reply;
    size_t sent;
    struct tt_job job;
};

static void on_closed(uv_handle_t *handle)
{
    struct line *line = handle->data;
    close(line->fd);
    free(line);
}

static void hang_up(struct ask *ask)
{
    tt_loop_unpost(ask->base.op.loop, &ask->job);
    if (ask->line)
        uv_close((uv_handle_t *)&ask->line->poll, on_closed);
    ask->line = NULL;
}

static void finish(struct ask *ask, struct tt_error *err)
{
    hang_up(ask);
    tt_op_finish(&ask->base.op, err);
}

static void ask_cancel(struct tt_op *op, const struct tt_error *why)
{
    finish((struct ask *)(void *)op, tt_error_copy(why));
}

static void ask_free(struct tt_op *op)
{
    struct ask *ask = (struct ask *)(void *)op;
    tt_buf_free(&ask->request);
    tt_buf_free(&ask->reply);
    tt_bytes_op_free(op);
}

static void broke(struct ask *ask, int errnum)
{
    struct tt_error *err = NULL;
    tt_fail_errno(&err, errnum, "the ssh agent broke off");
    err->kind = TT_AUTH;
    finish(ask, err);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct line *line = poll->data;
    tt_loop_post(line->ask->base.op.loop, &line->ask->job);
}

/* The reply's length is known from its first four bytes; true once all of it is there. */
static bool complete(struct ask *ask)
{
    struct tx_cursor cursor = tx_cursor(ask->reply.data, ask->reply.length);
    uint32_t length = tx_get_u32(&cursor);
    if (cursor.bad || (length <= max_reply && cursor.left < length))
        return false;
    if (length > max_reply) {
        broke(ask, EMSGSIZE);
        return false;
    }
    if (length) {
        ask->base.bytes = (struct tt_bytes){tt_alloc(length), length};
        memcpy(ask->base.bytes.data, cursor.at, length);
    }
    return true;
}

static void on_job(struct tt_job *job)
{
    struct ask *ask = tt_owner(job, struct ask, job);
    while (ask->sent < ask->request.length) {
        ssize_t n = TT_FAULT("ssh_agent.send")
                        ? -1
                        : send(ask->line->fd, ask->request.data + ask->sent,
                               ask->request.length - ask->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            broke(ask, errno);
            return;
        }
        ask->sent += (size_t)n;
    }
    uv_poll_start(&ask->line->poll, UV_READABLE, on_poll);
    for (;;) {
        char chunk[4096];
        ssize_t n = TT_FAULT("ssh_agent.recv") ? -1 : recv(ask->line->fd, chunk, sizeof chunk, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            broke(ask, n < 0 ? errno : EPIPE);
            return;
        }
        tt_buf_add(&ask->reply, chunk, (size_t)n);
        if (complete(ask)) {
            finish(ask, NULL);
            return;
        }
        if (!ask->line)
            return;
    }
}

static int dial(struct ask *ask, const char *path, struct tt_error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return tt_fail(err, TT_AUTH, "the ssh agent's socket has too long a name: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = TT_FAULT("ssh_agent.socket")
                 ? -1
                 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct line *line = NULL;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        line = tt_zalloc(sizeof *line);
        line->fd = fd;
        line->ask = ask;
        line->poll.data = line;
        errno = 0;
        if (uv_poll_init(tt_loop_uv(ask->base.op.loop), &line->poll, fd) < 0) {
            free(line);
            line = NULL;
            errno = EIO;
        }
    }
    if (!line) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        tt_fail_errno(err, errnum, "the ssh agent at %s cannot be reached", path);
        if (err && *err)
            (*err)->kind = TT_AUTH;
        return -TT_AUTH;
    }
    ask->line = line;
    uv_poll_start(&line->poll, UV_WRITABLE, on_poll);
    return 0;
}

static struct tt_op *ask_agent(struct tt_scope *scope, const char *path, struct tt_buf *message)
{
    static const struct tt_op_class class_ = {"asking the ssh agent", ask_cancel, ask_free};
    struct ask *ask = tt_zalloc(sizeof *ask);
    tx_put_string(&ask->request, message->data, message->length);
    tt_buf_free(message);
    ask->job.run = on_job;
    tt_op_init(&ask->base.op, &class_, scope);
    struct tt_error *err = NULL;
    if (!tt_op_finished(&ask->base.op) && dial(ask, path, &err) < 0)
        tt_op_finish(&ask->base.op, err);
    return &ask->base.op;
}

struct tt_op *tx_agent_list(struct tt_scope *scope, const char *socket_path)
{
    struct tt_buf message = {0};
    tx_put_u8(&message, request_identities);
    return ask_agent(scope, socket_path, &message);
}

struct tt_op *tx_agent_sign(struct tt_scope *scope, const char *socket_path,
                            const struct tt_buf *blob, const void *data, size_t length)
{
    struct tx_cursor cursor = tx_cursor(blob->data, blob->length);
    struct tx_span type = tx_get_string(&cursor);
    struct tt_buf message = {0};
    tx_put_u8(&message, sign_request);
    tx_put_string(&message, blob->data, blob->length);
    tx_put_string(&message, data, length);
    tx_put_u32(&message, tx_span_is(type, "ssh-rsa") ? rsa_sha2_256 : 0);
    return ask_agent(scope, socket_path, &message);
}

int tx_agent_read_list(const struct tt_bytes *reply, struct tx_agent_keys *keys,
                       struct tt_error **err)
{
    struct tx_cursor cursor = tx_cursor(reply->data, reply->length);
    if (tx_get_u8(&cursor) != identities_answer)
        return tt_fail(err, TT_AUTH, "the ssh agent does not list its keys");
    uint32_t count = tx_get_u32(&cursor);
    for (uint32_t i = 0; i < count; i++) {
        struct tx_span blob = tx_get_string(&cursor), comment = tx_get_string(&cursor);
        if (cursor.bad)
            return tt_fail(err, TT_AUTH, "the ssh agent's list is damaged");
        keys->items = tt_reallocarray(keys->items, keys->count + 1, sizeof *keys->items);
        struct tx_agent_key *key = &keys->items[keys->count++];
        *key = (struct tx_agent_key){0};
        tt_buf_add(&key->blob, blob.bytes, blob.length);
        key->comment = tt_strndup((const char *)comment.bytes, comment.length);
    }
    return 0;
}

void tx_agent_keys_clear(struct tx_agent_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        tt_buf_free(&keys->items[i].blob);
        free(keys->items[i].comment);
    }
    free(keys->items);
    *keys = (struct tx_agent_keys){0};
}

int tx_agent_read_signature(const struct tt_bytes *reply, struct tt_buf *signature,
                            struct tt_error **err)
{
    struct tx_cursor cursor = tx_cursor(reply->data, reply->length);
    uint8_t what = tx_get_u8(&cursor);
    struct tx_span both = tx_get_string(&cursor);
    struct tx_cursor inner = tx_cursor(both.bytes, both.length);
    tx_get_string(&inner); /* the algorithm */
    struct tx_span bytes = tx_get_string(&inner);
    if (what != sign_response || inner.bad)
        return tt_fail(err, TT_AUTH, "the ssh agent did not sign");
    tt_buf_add(signature, bytes.bytes, bytes.length);
    return 0;
}
