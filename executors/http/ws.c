#include "executors/http/ws.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/library.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#define FUNCTIONS(X)                                                                               \
    X(event_context_client_init)                                                                   \
    X(event_context_free)                                                                          \
    X(event_config_set_no_buffering)                                                               \
    X(event_config_set_max_recv_msg_length)                                                        \
    X(event_recv)                                                                                  \
    X(event_send)                                                                                  \
    X(event_queue_msg)                                                                             \
    X(event_queue_close)                                                                           \
    X(event_want_write)                                                                            \
    X(event_set_error)                                                                             \
    X(event_get_close_received)                                                                    \
    X(event_get_read_enabled)

static struct {
#define X(name) __typeof__(wslay_##name) *name;
    FUNCTIONS(X)
#undef X
} wslay;
static const char *const names[] = {
#define X(name) "wslay_" #name,
    FUNCTIONS(X)
#undef X
        NULL};

static struct tt_library library = {.file = "libwslay.so.1",
                                    .needed =
                                        "Kubernetes needs libwslay (Debian package libwslay1)",
                                    .names = names,
                                    .table = &wslay,
                                    .fault = "ws.dlopen"};

struct tx_ws {
    wslay_event_context_ptr context;
    tx_ws_piece *piece;
    void *arg;
    const char *in; /* being fed */
    size_t left;
    struct tt_buf out;
    unsigned char channel; /* of the message being received */
    bool data, named;      /* in a frame with data; the message's channel is known */
    bool closed;
};

static ssize_t give(wslay_event_context_ptr context, uint8_t *to, size_t room, int flags, void *arg)
{
    (void)flags;
    struct tx_ws *ws = arg;
    if (!ws->left) {
        wslay.event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t length = ws->left < room ? ws->left : room;
    memcpy(to, ws->in, length);
    ws->in += length;
    ws->left -= length;
    return (ssize_t)length;
}

static ssize_t take(wslay_event_context_ptr context, const uint8_t *bytes, size_t length, int flags,
                    void *arg)
{
    (void)flags;
    struct tx_ws *ws = arg;
    char *to = length < SIZE_MAX / 4 ? tt_buf_reserve(&ws->out, length) : NULL;
    if (!to) {
        wslay.event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    memcpy(to, bytes, length);
    ws->out.length += length;
    return (ssize_t)length;
}

static int mask(wslay_event_context_ptr context, uint8_t *to, size_t length, void *arg)
{
    (void)arg;
    /* the system's numbers, for nobody may guess them: RFC 6455 wants that of masks */
    if (TT_FAULT("ws.random") || getrandom(to, length, 0) != (ssize_t)length) {
        wslay.event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return 0;
}

static void frame_start(wslay_event_context_ptr context,
                        const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    (void)context;
    struct tx_ws *ws = arg;
    ws->data = !wslay_is_ctrl_frame(frame->opcode);
    if (ws->data && frame->opcode != WSLAY_CONTINUATION_FRAME)
        ws->named = false;
}

static void frame_chunk(wslay_event_context_ptr context,
                        const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
    (void)context;
    struct tx_ws *ws = arg;
    const char *bytes = (const char *)chunk->data;
    size_t length = chunk->data_length;
    if (!ws->data || !length)
        return;
    if (!ws->named) {
        ws->named = true;
        ws->channel = (unsigned char)*bytes++;
        length--;
    }
    if (length)
        ws->piece(ws->arg, ws->channel, bytes, length);
}

int tx_ws_new(struct tx_ws **out, tx_ws_piece *piece, void *arg, struct tt_error **err)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give,
        .send_callback = take,
        .genmask_callback = mask,
        .on_frame_recv_start_callback = frame_start,
        .on_frame_recv_chunk_callback = frame_chunk,
    };
    int rc = tt_library_load(&library, err);
    if (rc < 0)
        return rc;
    struct tx_ws *ws = tt_zalloc(sizeof *ws);
    ws->piece = piece;
    ws->arg = arg;
    if (TT_FAULT("ws.init") || wslay.event_context_client_init(&ws->context, &callbacks, ws) != 0) {
        free(ws);
        return tt_fail(err, TT_IO, "libwslay has no memory");
    }
    wslay.event_config_set_no_buffering(ws->context, 1);
    wslay.event_config_set_max_recv_msg_length(ws->context, (uint64_t)1 << 62);
    *out = ws;
    return 0;
}

void tx_ws_free(struct tx_ws *ws)
{
    if (!ws)
        return;
    wslay.event_context_free(ws->context);
    tt_buf_free(&ws->out);
    free(ws);
}

static int flush(struct tx_ws *ws, struct tt_error **err)
{
    if (wslay.event_want_write(ws->context) && wslay.event_send(ws->context) != 0)
        return tt_fail(err, TT_IO, "a WebSocket message could not be made");
    return 0;
}

int tx_ws_feed(struct tx_ws *ws, const char *bytes, size_t length, struct tt_error **err)
{
    ws->in = bytes;
    ws->left = length;
    while (ws->left && !ws->closed) {
        int rc = wslay.event_recv(ws->context);
        ws->closed = wslay.event_get_close_received(ws->context);
        /* what wslay answers with a close of its own, it reads nothing after */
        if (rc != 0 || (!ws->closed && !wslay.event_get_read_enabled(ws->context)))
            return tt_fail(err, TT_IO, "the far side broke the WebSocket protocol");
    }
    return flush(ws, err);
}

bool tx_ws_closed(const struct tx_ws *ws)
{
    return ws->closed;
}

int tx_ws_send(struct tx_ws *ws, unsigned char channel, const void *bytes, size_t length,
               struct tt_error **err)
{
    char *message = tt_alloc(length + 1);
    message[0] = (char)channel;
    if (length)
        memcpy(message + 1, bytes, length);
    struct wslay_event_msg given = {WSLAY_BINARY_FRAME, (const uint8_t *)message, length + 1};
    int rc = TT_FAULT("ws.queue") ? WSLAY_ERR_NOMEM : wslay.event_queue_msg(ws->context, &given);
    free(message);
    return rc == 0 ? flush(ws, err) : tt_fail(err, TT_IO, "the WebSocket was closed");
}

int tx_ws_close(struct tx_ws *ws, struct tt_error **err)
{
    wslay.event_queue_close(ws->context, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
    return flush(ws, err);
}

struct tt_buf *tx_ws_out(struct tx_ws *ws)
{
    return &ws->out;
}
