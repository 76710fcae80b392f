#include "executors/k8s/forward.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/http/ws.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { piece = 64 << 10, data_channel = 0, error_channel = 1 };

struct link;

struct tx_forward {
    struct tt_loop *loop;
    struct tx_kube *kube; /* held */
    struct tt_scope *scope;
    char *path;
    uv_tcp_t *listener; /* freed when libuv closed it */
    int port;
    struct link *links;
    struct tt_error *trouble;
};

/* One connection: the client's socket, and the stream to the pod. */
struct link {
    struct tx_forward *forward;
    uv_tcp_t client;
    struct tt_op *opening, *reading, *writing;
    struct tx_stream *stream;
    struct tx_ws *ws;
    size_t skip[2];                                 /* the port number that begins each channel */
    char *bytes;                                    /* being read from the client */
    size_t to_client;                               /* bytes on the way to the client */
    bool client_paused, pod_ended, broken, closing; /* broken: to be closed soon */
    struct link *next;
};

struct delivery {
    uv_write_t request;
    struct link *link;
    size_t length;
};

static void pull(struct link *link);
static void flush(struct link *link);

static void client_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    free(link->bytes);
    free(link);
}

static void close_link(struct link *link)
{
    if (link->closing)
        return;
    link->closing = true;
    struct link **at = &link->forward->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    tt_op_drop_because(&link->opening, "the connection was closed");
    tt_op_drop_because(&link->reading, "the connection was closed");
    tt_op_drop_because(&link->writing, "the connection was closed");
    tx_ws_free(link->ws);
    tx_stream_free(link->stream);
    uv_close((uv_handle_t *)&link->client, client_closed);
}

static void trouble(struct link *link, const struct tt_error *err)
{
    struct tx_forward *forward = link->forward;
    tt_error_free(forward->trouble);
    forward->trouble = tt_error_copy(err);
    close_link(link);
}

/* --- to the client --- */

static void on_delivered(uv_write_t *request, int status)
{
    struct delivery *delivery = (struct delivery *)(void *)request;
    struct link *link = delivery->link;
    link->to_client -= delivery->length;
    free(delivery);
    if (link->closing)
        return;
    if (status < 0 || (link->pod_ended && !link->to_client))
        close_link(link);
    else
        pull(link);
}

static void deliver(struct link *link, const char *bytes, size_t length)
{
    struct delivery *delivery = tt_alloc(sizeof *delivery + length);
    delivery->link = link;
    delivery->length = length;
    memcpy(delivery + 1, bytes, length);
    uv_buf_t buf = uv_buf_init((char *)(delivery + 1), (unsigned)length);
    link->to_client += length;
    if (TT_FAULT("k8s_forward.write") ||
        uv_write(&delivery->request, (uv_stream_t *)&link->client, &buf, 1, on_delivered) < 0) {
        link->to_client -= length;
        free(delivery);
        link->broken = true;
    }
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    struct link *link = arg;
    if (channel > error_channel || link->broken)
        return;
    size_t skip = length < link->skip[channel] ? length : link->skip[channel];
    link->skip[channel] -= skip;
    bytes += skip;
    length -= skip;
    if (!length)
        return;
    if (channel == data_channel) {
        deliver(link, bytes, length);
    } else {
        tt_error_free(link->forward->trouble);
        link->forward->trouble = tt_error_new(TT_CONNECT, "%.*s", (int)length, bytes);
        link->broken = true;
    }
}

static void on_bytes(struct tt_op *op, void *arg)
{
    struct link *link = arg;
    const struct tt_bytes *bytes = tt_bytes_of(op);
    struct tt_error *err = tt_error_copy(op->error);
    link->reading = NULL;
    bool end = err || !bytes->length;
    if (!end && tx_ws_feed(link->ws, bytes->data, bytes->length, &err) < 0)
        end = true;
    tt_op_release(op);
    flush(link);
    if (err) {
        trouble(link, err);
        tt_error_free(err);
    } else if (link->broken) {
        close_link(link);
    } else if (end || tx_ws_closed(link->ws)) {
        link->pod_ended = true;
        if (!link->to_client)
            close_link(link);
    } else {
        pull(link);
    }
}

/* Receives from the pod while the client keeps up. */
static void pull(struct link *link)
{
    if (link->reading || !link->stream || link->pod_ended || link->to_client > 4 * piece)
        return;
    link->reading = tx_stream_read(link->stream, link->forward->scope, piece);
    tt_op_await(link->reading, on_bytes, link);
}

/* --- to the pod --- */

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct link *link = handle->data;
    (void)wanted;
    *buf = uv_buf_init(link->bytes, piece);
}

static void on_client(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (got == 0)
        return;
    if (got < 0) { /* the protocol cannot close one direction */
        close_link(link);
        return;
    }
    struct tt_error *err = NULL;
    if (tx_ws_send(link->ws, data_channel, buf->base, (size_t)got, &err) < 0) {
        trouble(link, err);
        tt_error_free(err);
        return;
    }
    flush(link);
}

static void on_flushed(struct tt_op *op, void *arg)
{
    struct link *link = arg;
    struct tt_error *err = tt_error_copy(op->error);
    link->writing = NULL;
    tt_op_release(op);
    if (err) {
        trouble(link, err);
        tt_error_free(err);
        return;
    }
    flush(link);
    if (!link->writing && link->client_paused) {
        link->client_paused = false;
        uv_read_start((uv_stream_t *)&link->client, give_room, on_client);
    }
}

/* While something is on its way to the pod, the client waits. */
static void flush(struct link *link)
{
    struct tt_buf *out = tx_ws_out(link->ws);
    if (link->writing || !out->length)
        return;
    link->writing = tx_stream_write(link->stream, link->forward->scope, out->data, out->length);
    out->length = 0;
    tt_op_await(link->writing, on_flushed, link);
    if (!link->client_paused) {
        link->client_paused = true;
        uv_read_stop((uv_stream_t *)&link->client);
    }
}

static void on_open(struct tt_op *op, void *arg)
{
    struct link *link = arg;
    struct tt_error *err = tt_error_copy(op->error);
    link->opening = NULL;
    link->stream = tx_kube_socket_of(op);
    tt_op_release(op);
    if (!err)
        tx_ws_new(&link->ws, on_piece, link, &err);
    if (err) {
        trouble(link, err);
        tt_error_free(err);
        return;
    }
    link->bytes = tt_alloc(piece);
    uv_read_start((uv_stream_t *)&link->client, give_room, on_client);
    pull(link);
}

/* --- listening --- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct tx_forward *forward = listener->data;
    if (status < 0)
        return;
    struct link *link = tt_zalloc(sizeof *link);
    link->forward = forward;
    link->skip[0] = link->skip[1] = 2;
    link->client.data = link;
    uv_tcp_init(tt_loop_uv(forward->loop), &link->client);
    link->next = forward->links;
    forward->links = link;
    if (TT_FAULT("k8s_forward.accept") || uv_accept(listener, (uv_stream_t *)&link->client) < 0) {
        close_link(link);
        return;
    }
    link->opening =
        tx_kube_open_socket(forward->kube, forward->scope, forward->path, "v4.channel.k8s.io");
    tt_op_await(link->opening, on_open, link);
}

static void listener_closed(uv_handle_t *handle)
{
    free(handle);
}

int tx_forward_new(struct tx_forward **out, struct tx_kube *kube, const char *name_space,
                   const char *pod, int pod_port, int local_port, struct tt_error **err)
{
    struct tx_forward *forward = tt_zalloc(sizeof *forward);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)local_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    forward->loop = tx_kube_loop(kube);
    forward->kube = kube;
    tx_kube_retain(kube);
    forward->scope = tt_scope_new(forward->loop, NULL);
    forward->path =
        tt_format("/api/v1/namespaces/%s/pods/%s/portforward?ports=%d", name_space, pod, pod_port);
    forward->listener = tt_zalloc(sizeof *forward->listener);
    forward->listener->data = forward;
    uv_tcp_init(tt_loop_uv(forward->loop), forward->listener);
    int rc = TT_FAULT("k8s_forward.bind")
                 ? UV_EADDRINUSE
                 : uv_tcp_bind(forward->listener, (struct sockaddr *)&address, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)forward->listener, 64, on_connection);
    int length = sizeof address;
    if (rc == 0)
        rc = uv_tcp_getsockname(forward->listener, (struct sockaddr *)&address, &length);
    if (rc < 0) {
        tx_forward_free(forward);
        return tt_fail(err, TT_IO, "port %d of this machine: %s", local_port, uv_strerror(rc));
    }
    forward->port = ntohs(address.sin_port);
    *out = forward;
    return 0;
}

int tx_forward_port(const struct tx_forward *forward)
{
    return forward->port;
}

const struct tt_error *tx_forward_trouble(const struct tx_forward *forward)
{
    return forward->trouble;
}

void tx_forward_free(struct tx_forward *forward)
{
    if (!forward)
        return;
    while (forward->links)
        close_link(forward->links);
    uv_close((uv_handle_t *)forward->listener, listener_closed);
    tt_scope_release(forward->scope);
    tx_kube_release(forward->kube);
    tt_error_free(forward->trouble);
    free(forward->path);
    free(forward);
}
