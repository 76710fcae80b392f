/* What the files of the ssh environment know of it. */
#ifndef TX_SSH_INTERNAL_H
#define TX_SSH_INTERNAL_H

#include "executors/ssh/host/host.h"

struct tx_ssh_env {
    struct tt_env base;
    struct tx_host *host; /* held */
};

/* The host of an ssh environment; NULL for an environment of another kind. Borrowed. */
struct tx_host *tx_ssh_host(struct tt_env *env);

#endif
