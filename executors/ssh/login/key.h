/* Private keys of users: read from files of every format that OpenSSH knows, and used to sign.
 *
 * OpenSSH's own format (plain, or encrypted with bcrypt and aes256-ctr or -cbc), PEM and PKCS#8
 * (through libcrypto); types ed25519, ecdsa with the NIST curves, and RSA, which signs with
 * SHA-256: servers since OpenSSH 8.8 refuse SHA-1, which is all that libssh2 1.10 itself can do. */
#ifndef TX_SSH_KEY_H
#define TX_SSH_KEY_H

#include "core/base/buf.h"
#include "core/base/error.h"

#include <stdbool.h>

struct tx_key;

/* Why a key could not be read, beside the error: to ask for a passphrase is useful only once. */
enum tx_key_trouble { TX_KEY_BAD, TX_KEY_NO_PASSPHRASE, TX_KEY_WRONG_PASSPHRASE };

/* From a file's text. passphrase may be NULL. Deriving a key from a passphrase takes a tenth of a
 * second: call it on a worker thread. Needs tx_ssh_load. Error kind `auth`. */
int tx_key_read(struct tx_key **key, const char *text, size_t length, const char *passphrase,
                enum tx_key_trouble *trouble, struct tt_error **err);
void tx_key_free(struct tx_key *key);

/* The public key as SSH encodes it, with its ordinary type name ("ssh-rsa" for RSA). Borrowed. */
const struct tt_buf *tx_key_blob(const struct tx_key *key);
/* "ssh-ed25519", "ssh-rsa" …; borrowed. */
const char *tx_key_type(const struct tx_key *key);
/* Appends the signature's inner bytes (without the algorithm's name). RSA: SHA-256. */
int tx_key_sign(const struct tx_key *key, const void *data, size_t length, struct tt_buf *signature,
                struct tt_error **err);

/* What is offered to the server for a public key blob: the blob, with "rsa-sha2-256" as an RSA
 * key's name, which is how libssh2 is made to ask for that signature. */
void tx_key_offer(const struct tt_buf *blob, struct tt_buf *offer);
/* "SHA256:…" as ssh-keygen prints it; allocated. */
char *tx_key_fingerprint(const void *blob, size_t length);

/* The key derivation of OpenSSH's format. Slow by design. False when libcrypto failed. */
bool tx_bcrypt_pbkdf(const char *passphrase, size_t passphrase_length, const unsigned char *salt,
                     size_t salt_length, unsigned rounds, unsigned char *out, size_t out_length);

#endif
