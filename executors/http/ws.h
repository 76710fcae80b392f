/* The client's side of a WebSocket (RFC 6455), with the channels that Kubernetes carries in it: the
 * first byte of a message is its channel. By libwslay, which is loaded on first use.
 *
 * Pure: received bytes go in and pieces of messages come out; messages go in and bytes to send come
 * out. The owner moves the bytes. */
#ifndef TX_WS_H
#define TX_WS_H

#include "core/base/buf.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct tx_ws;

/* A piece, never empty, of what was sent on that channel. */
typedef void tx_ws_piece(void *arg, unsigned char channel, const char *bytes, size_t length);

int tx_ws_new(struct tx_ws **ws, tx_ws_piece *piece, void *arg, struct tt_error **err);
void tx_ws_free(struct tx_ws *ws);
/* Takes received bytes, cut anywhere, and calls `piece` for their data. Answers to pings go to
 * tx_ws_out. Negative when the far side broke the protocol. */
int tx_ws_feed(struct tx_ws *ws, const char *bytes, size_t length, struct tt_error **err);
/* Whether a close frame was received. */
bool tx_ws_closed(const struct tx_ws *ws);
/* Appends a binary message on that channel to tx_ws_out. */
int tx_ws_send(struct tx_ws *ws, unsigned char channel, const void *bytes, size_t length,
               struct tt_error **err);
/* Appends a close frame to tx_ws_out. */
int tx_ws_close(struct tx_ws *ws, struct tt_error **err);
/* The bytes to send. The owner sends them and empties the buffer. */
struct tt_buf *tx_ws_out(struct tx_ws *ws);

#endif
