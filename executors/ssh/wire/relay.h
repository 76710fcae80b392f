/* Bytes both ways between a socket and a channel, with back-pressure and half-closes, until both
 * sides have ended. What a tunnel is made of. Loop thread. */
#ifndef TX_SSH_RELAY_H
#define TX_SSH_RELAY_H

#include "executors/ssh/wire/channel.h"
#include "executors/ssh/wire/wire.h"

struct tx_relay;

/* Takes the wire (a socket's). `ended` is called once, from a job, unless it is freed before; the
 * relay is to be freed then. The channel stays the caller's. */
struct tx_relay *tx_relay_new(struct tt_loop *loop, struct tx_wire *wire,
                              struct tx_channel *channel, void (*ended)(void *arg), void *arg);
void tx_relay_free(struct tx_relay *relay);

#endif
