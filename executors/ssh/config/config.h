/* What OpenSSH's configuration says about a host, with the options on top.
 *
 * `ssh -G` resolves it (aliases, Include, Match …), run as a command of this machine. It is not run
 * when no configuration file says anything that concerns us, because a process for each host costs
 * more than the connection. Without OpenSSH's client there are only options and defaults. */
#ifndef TX_SSH_CONFIG_H
#define TX_SSH_CONFIG_H

#include "executors/ssh/config/options.h"

/* Finishes with settings, see tx_ssh_settings_take. `options` outlive the operation. */
struct tt_op *tx_ssh_resolve(struct tt_scope *scope, const struct tx_ssh_options *options);
/* Takes the settings out of a finished, successful operation; the caller clears them. */
void tx_ssh_settings_take(struct tt_op *op, struct tx_ssh_settings *settings);

/* The pure part: the output of `ssh -G` ("" for none) under the options. `home` is the user's home
 * directory, `login` the user's name, `auth_sock` $SSH_AUTH_SOCK or NULL. */
void tx_ssh_settings_make(struct tx_ssh_settings *settings, const struct tx_ssh_options *options,
                          const char *output, const char *home, const char *login,
                          const char *auth_sock);
/* Whether a configuration file has more than what every Debian has and does not concern us. Sets
 * *hash when it asks for hashed known_hosts. */
bool tx_ssh_config_matters(const char *text, size_t length, bool *hash);

#endif
