/* Who we are: every way to log in, in the order that ssh takes. Loop thread. */
#ifndef TX_SSH_AUTH_H
#define TX_SSH_AUTH_H

#include "executors/ssh/config/settings.h"
#include "executors/ssh/wire/session.h"

/* Logs in on a session whose handshake is done and whose host key was accepted. Keys given by
 * option, then the agent's, then the files of the configuration, then keyboard-interactive and
 * password. Kind `auth` names what was tried and what the server would accept. The settings outlive
 * the operation. */
struct tt_op *tx_auth(struct tx_session *session, struct tt_scope *scope,
                      const struct tx_ssh_settings *settings);

#endif
