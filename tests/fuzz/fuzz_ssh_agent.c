/* An agent's answers: what is read over the socket is the message that its length announces, or an
 * error; what a message says is what a plain reader finds in it. The first byte says where the
 * answer is sent in two pieces.
 *
 * inputs: 1000 */
#include "core/async/op.h"
#include "core/async/scope.h"
#include "executors/ssh/login/agent.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { max_reply = 256 << 10 };

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A string with its length before it, or NULL; moves *at behind it. */
static const uint8_t *string(const uint8_t **at, const uint8_t *end, size_t *length)
{
    if (end - *at < 4 || (size_t)(end - *at - 4) < number(*at))
        return NULL;
    const uint8_t *bytes = *at + 4;
    *length = number(*at);
    *at = bytes + *length;
    return bytes;
}

static void must(bool right)
{
    if (!right)
        abort();
}

static void check_list(const struct tt_bytes *reply)
{
    struct tx_agent_keys keys = {0};
    struct tt_error *err = NULL;
    int rc = tx_agent_read_list(reply, &keys, &err);
    const uint8_t *at = (const uint8_t *)reply->data, *end = at + reply->length;
    bool right = reply->length >= 1 && *at == 12;
    uint32_t count = right && reply->length >= 5 ? number(at + 1) : 0;
    at = reply->length >= 5 ? at + 5 : end;
    for (uint32_t i = 0; right && i < count; i++) {
        size_t blob_length = 0, comment_length = 0;
        const uint8_t *blob = string(&at, end, &blob_length);
        const uint8_t *comment = blob ? string(&at, end, &comment_length) : NULL;
        right = comment;
        if (!right)
            break;
        must(i < keys.count && keys.items[i].blob.length == blob_length);
        must(!blob_length || memcmp(keys.items[i].blob.data, blob, blob_length) == 0);
        must(strncmp(keys.items[i].comment, (const char *)comment, comment_length) == 0);
    }
    must((rc == 0) == right && (err == NULL) == right);
    must(!right || keys.count == count);
    must(right || err->kind == TT_AUTH);
    tt_error_free(err);
    tx_agent_keys_clear(&keys);
}

static void check_signature(const struct tt_bytes *reply)
{
    struct tt_buf signature = {0};
    struct tt_error *err = NULL;
    int rc = tx_agent_read_signature(reply, &signature, &err);
    const uint8_t *at = (const uint8_t *)reply->data, *end = at + reply->length;
    const uint8_t *inner = NULL, *bytes = NULL;
    size_t inner_length = 0, length = 0;
    if (reply->length >= 1 && *at++ == 14)
        inner = string(&at, end, &inner_length);
    if (inner) {
        end = inner + inner_length;
        if (string(&inner, end, &length))
            bytes = string(&inner, end, &length);
    }
    must((rc == 0) == (bytes != NULL) && (err == NULL) == (bytes != NULL));
    must(!bytes ||
         (signature.length == length && (!length || memcmp(signature.data, bytes, length) == 0)));
    tt_error_free(err);
    tt_buf_free(&signature);
}

/* --- over a socket --- */

struct rest {
    struct tt_timer timer;
    int fd;
    const uint8_t *bytes;
    size_t length;
};

static void say(int fd, const uint8_t *bytes, size_t length)
{
    must(!length || send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
}

static void on_rest(struct tt_timer *timer)
{
    struct rest *rest = (struct rest *)(void *)timer;
    say(rest->fd, rest->bytes, rest->length);
    shutdown(rest->fd, SHUT_WR);
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

static void check_socket(const uint8_t *bytes, size_t length, size_t split)
{
    static struct sockaddr_un address = {.sun_family = AF_UNIX};
    static int listening = -1;
    if (listening < 0) {
        snprintf(address.sun_path, sizeof address.sun_path, "/tmp/fuzz_ssh_agent.%ld",
                 (long)getpid());
        listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(bind(listening, (struct sockaddr *)&address, sizeof address) == 0 &&
             listen(listening, 4) == 0);
    }
    struct tt_loop *loop;
    bool done = false;
    must(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL) == 0);
    struct tt_scope *scope = tt_scope_new(loop, NULL);
    struct tt_op *op = tx_agent_list(scope, address.sun_path);
    struct rest rest = {.fd = accept(listening, NULL, NULL)};
    must(rest.fd >= 0);
    tt_op_await(op, on_done, &done);
    if (split && split < length) {
        rest.bytes = bytes + split;
        rest.length = length - split;
        say(rest.fd, bytes, split);
        tt_timer_start(loop, &rest.timer, tt_loop_now(loop) + 1, on_rest);
    } else {
        say(rest.fd, bytes, length);
        shutdown(rest.fd, SHUT_WR);
    }
    must(tt_loop_run(loop, &done));
    bool whole = length >= 4 && number(bytes) <= max_reply && number(bytes) <= length - 4;
    must(whole == !op->error);
    if (whole) {
        const struct tt_bytes *got = tt_bytes_of(op);
        must(got->length == number(bytes));
        must(!got->length || memcmp(got->data, bytes + 4, got->length) == 0);
    } else {
        must(op->error->kind == TT_AUTH);
    }
    tt_timer_stop(loop, &rest.timer);
    tt_op_release(op);
    close(rest.fd);
    tt_scope_release(scope);
    tt_loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    /* the message behind its length is read for both questions, and as a whole for the socket */
    uint8_t *copy = malloc(size);
    struct tt_bytes reply = {(char *)copy, size > 5 ? size - 5 : 0};
    if (size > 5)
        memcpy(copy, data + 5, size - 5);
    check_list(&reply);
    check_signature(&reply);
    free(copy);
    /* to wait for the second piece costs a millisecond: one input in eight */
    check_socket(data + 1, size - 1, data[0] >= 0x80 && data[0] < 0xa0 ? data[0] & 31 : 0);
    return 0;
}
