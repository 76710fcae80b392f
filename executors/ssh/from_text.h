/* SSH environments from their text: "ssh://user@host:port", with or without "ssh://". Loop thread.
 */
#ifndef TX_SSH_FROM_TEXT_H
#define TX_SSH_FROM_TEXT_H

#include "core/env/exec.h"

/* As tt_env_scheme.from_text. The configuration file is $TUTTI_SSH_CONFIG where that is set. */
int tx_ssh_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);

#endif
