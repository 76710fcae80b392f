/* From a wire to a session that may be used: handshake, host key, authentication. */
#ifndef TX_SSH_LOGIN_H
#define TX_SSH_LOGIN_H

#include "executors/ssh/config/settings.h"
#include "executors/ssh/wire/session.h"

/* Opens the wire that the settings ask for. The operation finishes with tx_wire_of. */
typedef struct tt_op *tx_dial(void *arg, struct tt_scope *scope);

/* Finishes with tx_login_session. Nothing is sent before the known keys were read, and no name or
 * secret before the host key was accepted. A server that ends the connection before its banner has
 * no room for another handshake (MaxStartups): dialled again, with back-off, until
 * settings->connect_timeout is over; the scope is the operation's own, and gets that deadline.
 * Kinds: connect, host_key, auth. The settings outlive the operation. */
struct tt_op *tx_login(struct tt_scope *scope, const struct tx_ssh_settings *settings,
                       tx_dial *dial, void *arg);
struct tx_session *tx_login_session(struct tt_op *op); /* takes it; NULL on error */

#endif
