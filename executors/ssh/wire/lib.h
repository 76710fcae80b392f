/* libssh2 and libcrypto, loaded on first use: linking them would cost every start of the program
 * milliseconds and megabytes that most runs never need. The tables' types are the libraries' own.
 * Loop thread for loading; the functions follow their library's rules. */
#ifndef TX_SSH_LIB_H
#define TX_SSH_LIB_H

#include "core/base/error.h"

#define LIBSSH2_DISABLE_DEPRECATION /* 1.11 deprecates names that 1.10 needs */
#include <libssh2.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/provider.h>

#define TX_SSH2_FUNCTIONS(X)                                                                       \
    X(init)                                                                                        \
    X(version)                                                                                     \
    X(session_init_ex)                                                                             \
    X(session_free)                                                                                \
    X(session_abstract)                                                                            \
    X(session_callback_set)                                                                        \
    X(session_set_blocking)                                                                        \
    X(session_handshake)                                                                           \
    X(session_disconnect_ex)                                                                       \
    X(session_hostkey)                                                                             \
    X(session_banner_get)                                                                          \
    X(session_last_error)                                                                          \
    X(session_last_errno)                                                                          \
    X(session_method_pref)                                                                         \
    X(session_supported_algs)                                                                      \
    X(free)                                                                                        \
    X(keepalive_config)                                                                            \
    X(keepalive_send)                                                                              \
    X(userauth_list)                                                                               \
    X(userauth_authenticated)                                                                      \
    X(userauth_password_ex)                                                                        \
    X(userauth_publickey)                                                                          \
    X(userauth_keyboard_interactive_ex)                                                            \
    X(channel_open_ex)                                                                             \
    X(channel_direct_tcpip_ex)                                                                     \
    X(channel_forward_listen_ex)                                                                   \
    X(channel_forward_accept)                                                                      \
    X(channel_forward_cancel)                                                                      \
    X(channel_request_pty_ex)                                                                      \
    X(channel_process_startup)                                                                     \
    X(channel_read_ex)                                                                             \
    X(channel_write_ex)                                                                            \
    X(channel_window_write_ex)                                                                     \
    X(channel_send_eof)                                                                            \
    X(channel_eof)                                                                                 \
    X(channel_get_exit_status)                                                                     \
    X(channel_get_exit_signal)                                                                     \
    X(channel_wait_closed)                                                                         \
    X(channel_free)

#define TX_CRYPTO_FUNCTIONS(X)                                                                     \
    X(BIO_new_mem_buf)                                                                             \
    X(BIO_free)                                                                                    \
    X(BN_new)                                                                                      \
    X(BN_free)                                                                                     \
    X(BN_clear_free)                                                                               \
    X(BN_bin2bn)                                                                                   \
    X(BN_bn2bin)                                                                                   \
    X(BN_num_bits)                                                                                 \
    X(BN_sub_word)                                                                                 \
    X(BN_div)                                                                                      \
    X(BN_CTX_new)                                                                                  \
    X(BN_CTX_free)                                                                                 \
    X(ECDSA_SIG_free)                                                                              \
    X(ECDSA_SIG_get0)                                                                              \
    X(d2i_ECDSA_SIG)                                                                               \
    X(EVP_CIPHER_CTX_new)                                                                          \
    X(EVP_CIPHER_CTX_free)                                                                         \
    X(EVP_CIPHER_CTX_set_padding)                                                                  \
    X(EVP_CIPHER_fetch)                                                                            \
    X(EVP_set_default_properties)                                                                  \
    X(EVP_default_properties_is_fips_enabled)                                                      \
    X(EVP_EncryptInit_ex)                                                                          \
    X(EVP_EncryptUpdate)                                                                           \
    X(EVP_DecryptInit_ex)                                                                          \
    X(EVP_DecryptUpdate)                                                                           \
    X(EVP_aes_256_ctr)                                                                             \
    X(EVP_aes_256_cbc)                                                                             \
    X(EVP_MD_CTX_new)                                                                              \
    X(EVP_MD_CTX_free)                                                                             \
    X(EVP_Digest)                                                                                  \
    X(EVP_DigestSignInit)                                                                          \
    X(EVP_DigestSign)                                                                              \
    X(EVP_sha1)                                                                                    \
    X(EVP_sha256)                                                                                  \
    X(EVP_sha384)                                                                                  \
    X(EVP_sha512)                                                                                  \
    X(EVP_PKEY_CTX_new_from_name)                                                                  \
    X(EVP_PKEY_CTX_free)                                                                           \
    X(EVP_PKEY_fromdata_init)                                                                      \
    X(EVP_PKEY_fromdata)                                                                           \
    X(EVP_PKEY_free)                                                                               \
    X(EVP_PKEY_get_base_id)                                                                        \
    X(EVP_PKEY_get_bn_param)                                                                       \
    X(EVP_PKEY_get_octet_string_param)                                                             \
    X(EVP_PKEY_get_utf8_string_param)                                                              \
    X(EVP_PKEY_get_raw_public_key)                                                                 \
    X(EVP_PKEY_new_raw_private_key)                                                                \
    X(OSSL_PARAM_BLD_new)                                                                          \
    X(OSSL_PARAM_BLD_free)                                                                         \
    X(OSSL_PARAM_BLD_push_BN)                                                                      \
    X(OSSL_PARAM_BLD_push_utf8_string)                                                             \
    X(OSSL_PARAM_BLD_push_octet_string)                                                            \
    X(OSSL_PARAM_BLD_to_param)                                                                     \
    X(OSSL_PARAM_free)                                                                             \
    X(OSSL_PARAM_set_size_t)                                                                       \
    X(OSSL_PROVIDER_add_builtin)                                                                   \
    X(OSSL_PROVIDER_try_load)                                                                      \
    X(OPENSSL_cleanse)                                                                             \
    X(PEM_read_bio_PrivateKey)                                                                     \
    X(HMAC)                                                                                        \
    X(RAND_bytes)

#include <openssl/rand.h>

struct tx_ssh2 {
#define X(name) __typeof__(&libssh2_##name) name;
    TX_SSH2_FUNCTIONS(X)
#undef X
};
struct tx_crypto {
#define X(name) __typeof__(&name) name;
    TX_CRYPTO_FUNCTIONS(X)
#undef X
};

/* Valid once tx_ssh_load has returned 0. */
extern struct tx_ssh2 tx_ssh2;
extern struct tx_crypto tx_crypto;

/* Loads both and initialises them, once for the process. `unsupported` when a library is missing or
 * lacks a function. */
int tx_ssh_load(struct tt_error **err);

#endif
