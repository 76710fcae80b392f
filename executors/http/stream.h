/* A connection that was upgraded from HTTP to a stream of bytes both ways: Docker's hijacked exec
 * and attach, and WebSockets.
 *
 * libcurl makes the connection (sockets, TLS, proxies); the request and the reply's head are ours.
 * Reads are pulled: nothing is received while nobody reads. */
#ifndef TX_HTTP_STREAM_H
#define TX_HTTP_STREAM_H

#include "executors/http/http.h"

struct tx_stream;

/* Connects, sends the request (whose headers ask for the upgrade) and reads the reply's head.
 * Finishes with the stream whatever the status is, see tx_stream_status; unless that is 101 or 200
 * the reply's body was read too, and nothing else can be done with the stream. */
struct tt_op *tx_stream_open(struct tx_http *http, struct tt_scope *scope,
                             const struct tx_http_request *request);
struct tx_stream *tx_stream_of(struct tt_op *op); /* takes it; NULL on error */

int tx_stream_status(const struct tx_stream *stream);
char *tx_stream_header(const struct tx_stream *stream, const char *name); /* a copy, or NULL */
const struct tt_buf *tx_stream_body(const struct tx_stream *stream);      /* of a refusal */

/* 1..max bytes, or none once the far side closed its direction: tt_bytes_of. One at a time. A
 * cancelled read loses nothing. A broken connection is `lost`. */
struct tt_op *tx_stream_read(struct tx_stream *stream, struct tt_scope *scope, size_t max);
/* Writes all of it (copied). One at a time. Cancelled, the rest is still sent before what is
 * written next. */
struct tt_op *tx_stream_write(struct tx_stream *stream, struct tt_scope *scope, const void *data,
                              size_t length);
/* Closes our direction; reading goes on. */
int tx_stream_shutdown(struct tx_stream *stream, struct tt_error **err);
/* Nobody on the far side reads any more: a write under way and later ones fail with EPIPE. */
void tx_stream_refuse(struct tx_stream *stream);
void tx_stream_free(struct tx_stream *stream);

#endif
