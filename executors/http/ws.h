/* WebSocket frames (RFC 6455), by libwslay, loaded on first use, and the channels that Kubernetes
 * carries in them: the first byte of a message names its channel. Pure: bytes in, pieces of
 * messages out; messages in, bytes out. Whoever owns it moves the bytes. Client side. */
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
/* What the far side sent, cut anywhere. Calls `piece` for its data. Pings are answered (see
 * tx_ws_out). Negative: the far side broke the protocol. */
int tx_ws_feed(struct tx_ws *ws, const char *bytes, size_t length, struct tt_error **err);
/* Whether the far side said that it closes. */
bool tx_ws_closed(const struct tx_ws *ws);
/* Appends a binary message, whose first byte is `channel`, to the bytes to be sent. */
int tx_ws_send(struct tx_ws *ws, unsigned char channel, const void *bytes, size_t length,
               struct tt_error **err);
/* Says that we close. */
int tx_ws_close(struct tx_ws *ws, struct tt_error **err);
/* The bytes to be sent; whoever sends them empties it. */
struct tt_buf *tx_ws_out(struct tx_ws *ws);

#endif
