/* Who the server is: reads known_hosts files before connecting, asks for the kind of key that they
 * have, judges the key that the server shows, and remembers a new one when that is allowed. */
#ifndef TX_SSH_HOSTKEY_H
#define TX_SSH_HOSTKEY_H

#include "core/async/op.h"
#include "executors/ssh/config/settings.h"
#include "executors/ssh/login/known_hosts.h"
#include "executors/ssh/wire/session.h"

/* Reads the settings' files on a worker thread; finishes with tx_known_of. Files that are not there
 * have no keys; one that cannot be read is an error of kind `host_key`. */
struct tt_op *tx_known_load(struct tt_scope *scope, const struct tx_ssh_settings *settings);
const struct tx_known_keys *tx_known_of(struct tt_op *op); /* borrowed from the operation */

/* Before the handshake: the types of key that are known go first. */
int tx_hostkey_prefer(struct tx_session *session, const struct tx_known_keys *known,
                      struct tt_error **err);

/* After the handshake. 0: accepted. 1: new, and to be remembered. Kind `host_key`: unknown, changed
 * or revoked, with fingerprints and where that is written. */
int tx_hostkey_check(struct tx_session *session, const struct tx_known_keys *known,
                     const struct tx_ssh_settings *settings, struct tt_error **err);

/* Appends the session's key to the first file, in one write under a lock, unless it stands there by
 * now; on a worker thread. Kind `host_key` when another key stands there by now, or when the file
 * cannot be written. */
struct tt_op *tx_hostkey_remember(struct tt_scope *scope, struct tx_session *session,
                                  const struct tx_ssh_settings *settings);

#endif
