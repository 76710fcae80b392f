/* A copy of an ssh environment's options, and what makes two of them the same connection. */
#ifndef TX_SSH_OWN_OPTIONS_H
#define TX_SSH_OWN_OPTIONS_H

#include "core/base/buf.h"
#include "executors/ssh/ssh.h"

struct tx_own_options {
    struct tx_ssh_options is; /* what it points to is owned */
    struct tx_texts keys, known_hosts;
};

void tx_own_options_copy(struct tx_own_options *own, const struct tx_ssh_options *options);
void tx_own_options_clear(struct tx_own_options *own); /* wipes the secrets */

/* Everything that decides where a connection goes, as whom, and what it believes, as bytes to
 * compare; secrets are among them. depth: of jumps that led there. */
void tx_options_key(struct tt_buf *key, const struct tx_ssh_options *options, unsigned depth);

#endif
