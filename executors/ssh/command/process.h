/* A remote command as the contract's process: its operations, its guardian, its signals. */
#ifndef TX_SSH_PROCESS_H
#define TX_SSH_PROCESS_H

#include "executors/ssh/command/launch.h"

/* tt_env_class.start. */
struct tt_op *tx_ssh_start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command);

#endif
