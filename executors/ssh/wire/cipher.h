/* AES-128-CTR for libssh2, which encrypts 16 bytes a call: OpenSSL computes the key stream a KiB
 * ahead here, so that such a call is one XOR. It is a provider (provider(7ossl)) beside OpenSSL's
 * own, which goes on doing all cryptography; the mode is that of NIST SP 800-38A 6.5, as RFC 4344 4
 * uses it. */
#ifndef TX_SSH_CIPHER_H
#define TX_SSH_CIPHER_H

/* From then on, whoever asks OpenSSL for AES-128-CTR without naming a provider gets this one. Where
 * that is not possible, or FIPS is required, nothing changes. Again it does nothing. Loop thread;
 * no other thread may be looking for an algorithm. */
void tx_cipher_install(void);

#endif
