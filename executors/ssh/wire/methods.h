/* Which of the methods that libssh2 knows are offered first in the handshake: types of host keys,
 * ciphers. Before the handshake; loop thread. */
#ifndef TX_SSH_METHODS_H
#define TX_SSH_METHODS_H

#include "executors/ssh/wire/session.h"

struct tx_methods {
    struct tx_session *session;
    int kind; /* LIBSSH2_METHOD_HOSTKEY … */
    const char **supported;
    int count;
    struct tt_buf list;
};

void tx_methods_begin(struct tx_methods *methods, struct tx_session *session, int kind);
/* The next best; nothing when libssh2 does not know it or it stands there already. */
void tx_methods_prefer(struct tx_methods *methods, const char *name);
/* Offers those, and behind them all others in libssh2's own order. */
int tx_methods_offer(struct tx_methods *methods, struct tt_error **err);

/* Ciphers: AES-CTR, that with the fewest rounds first, as OpenSSH has it. (The GCM of libssh2 1.11
 * leaks with each connection.) */
int tx_ciphers_prefer(struct tx_session *session, struct tt_error **err);

#endif
