/* SSH hosts as environments: "ssh://user@host:port".
 *
 * Connections are pooled by host, port, user, credentials and host-key policy: environments with
 * equal options share them, others never do. What OpenSSH's configuration says about a host counts,
 * as resolved by `ssh -G`; options given here win over it.
 *
 * Commands run through the shim (executors/remote/shim.h) in the process group that sshd gives
 * them. A guardian on each connection kills the groups that still run when the connection ends; it
 * uses one of the channels that the server allows (where only one is allowed, there is none). Loop
 * thread.
 */
#ifndef TX_SSH_H
#define TX_SSH_H

#include "core/env/exec.h"
#include "executors/ssh/config/options.h"

struct tx_host;

/* NULL and *err (`invalid`) for options that contradict themselves. Connects nothing. */
struct tt_env *tx_ssh_new(struct tt_loop *loop, const struct tx_ssh_options *options,
                          struct tt_error **err);

/* The host of an ssh environment; NULL for an environment of another kind. Borrowed. */
struct tx_host *tx_ssh_host(struct tt_env *env);

#endif
