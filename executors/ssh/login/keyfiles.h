/* Reads a list of private key files, with their .pub and -cert.pub beside them, and of
 * certificates, on a worker thread. */
#ifndef TX_SSH_KEYFILES_H
#define TX_SSH_KEYFILES_H

#include "core/async/op.h"
#include "executors/ssh/config/settings.h"
#include "executors/ssh/login/key.h"

struct tx_keyfile {
    char *path;
    struct tx_key *key;   /* NULL: see why */
    struct tt_error *why; /* NULL for a file that is not there */
    struct tt_buf public; /* the blob, from the key or from the .pub; empty: unknown */
    struct tt_buf cert;   /* the certificate's blob; empty: none */
    bool missing;
};

struct tx_keyfiles {
    struct tx_keyfile *items;
    size_t count;
};

/* Finishes with tx_keyfiles_of; never fails but by cancellation. A certificate goes to the key that
 * it is for, before the one beside the key; one for none of them is left out. */
struct tt_op *tx_keyfiles_read(struct tt_scope *scope, const struct tx_texts *paths,
                               const struct tx_texts *certificates, const char *passphrase);
struct tx_keyfiles *tx_keyfiles_of(struct tt_op *op); /* borrowed from the operation */

#endif
