#include "executors/ssh/wire/cipher.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/ssh/wire/lib.h"

#include <openssl/core_dispatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { key_size = 16, iv_size = 16, stream_size = 1024 };

struct cipher {
    EVP_CIPHER_CTX *inner; /* OpenSSL's own */
    bool begun;            /* some of the stream was computed */
    size_t used;           /* of stream */
    unsigned char stream[stream_size];
};

/* For the rest of the process. */
static EVP_CIPHER *own; /* OpenSSL's own AES-128-CTR */
static OSSL_PROVIDER *loaded;

static void *cipher_new(void *provider)
{
    struct cipher *cipher = tt_zalloc(sizeof *cipher);
    (void)provider;
    cipher->used = stream_size;
    cipher->inner = tx_crypto.EVP_CIPHER_CTX_new();
    if (cipher->inner && tx_crypto.EVP_EncryptInit_ex(cipher->inner, own, NULL, NULL, NULL) == 1)
        return cipher;
    tx_crypto.EVP_CIPHER_CTX_free(cipher->inner);
    free(cipher);
    return NULL;
}

static void cipher_free(void *arg)
{
    struct cipher *cipher = arg;
    tx_crypto.EVP_CIPHER_CTX_free(cipher->inner);
    tx_crypto.OPENSSL_cleanse(cipher->stream, sizeof cipher->stream);
    free(cipher);
}

/* In this mode both directions are the same. NULL keeps what is set. A new key alone would go on
 * with a counter that has run ahead: it needs an IV with it. */
static int cipher_init(void *arg, const unsigned char *key, size_t key_length,
                       const unsigned char *iv, size_t iv_length, const OSSL_PARAM params[])
{
    struct cipher *cipher = arg;
    (void)params;
    if ((key && key_length != key_size) || (iv && iv_length != iv_size) ||
        (key && !iv && cipher->begun))
        return 0;
    if (iv) {
        cipher->begun = false;
        cipher->used = stream_size;
    }
    return tx_crypto.EVP_EncryptInit_ex(cipher->inner, NULL, NULL, key, iv);
}

/* When it fails, all of the old stream stays used: nothing is ever sent without one. */
static int stream_on(struct cipher *cipher)
{
    static const unsigned char zeros[stream_size];
    int made = 0;
    if (tx_crypto.EVP_EncryptUpdate(cipher->inner, cipher->stream, &made, zeros, stream_size) !=
            1 ||
        made != stream_size)
        return 0;
    cipher->used = 0;
    cipher->begun = true;
    return 1;
}

/* out may be in. */
__attribute__((noinline)) static int update(struct cipher *cipher, unsigned char *out,
                                            const unsigned char *in, size_t length)
{
    while (length) {
        if (cipher->used == stream_size && !stream_on(cipher))
            return 0;
        size_t piece = stream_size - cipher->used;
        if (piece > length)
            piece = length;
        for (size_t i = 0; i < piece; i++)
            out[i] = in[i] ^ cipher->stream[cipher->used + i];
        cipher->used += piece;
        out += piece;
        in += piece;
        length -= piece;
    }
    return 1;
}

typedef unsigned char block __attribute__((vector_size(16), aligned(1), may_alias));

/* What libssh2 asks for, a block, has the short way. */
static int cipher_update(void *arg, unsigned char *out, size_t *made, size_t room,
                         const unsigned char *in, size_t length)
{
    struct cipher *cipher = arg;
    if (room < length)
        return 0;
    *made = length;
    if (length != sizeof(block) || cipher->used > stream_size - sizeof(block))
        return update(cipher, out, in, length);
    *(block *)out = *(const block *)in ^ *(const block *)(cipher->stream + cipher->used);
    cipher->used += sizeof(block);
    return 1;
}

static int cipher_final(void *arg, unsigned char *out, size_t *made, size_t room)
{
    (void)arg;
    (void)out;
    (void)room;
    *made = 0;
    return 1;
}

static int set_params(OSSL_PARAM params[])
{
    static const struct {
        const char *name;
        size_t value;
    } known[] = {
        {OSSL_CIPHER_PARAM_MODE, EVP_CIPH_CTR_MODE},
        {OSSL_CIPHER_PARAM_KEYLEN, key_size},
        {OSSL_CIPHER_PARAM_IVLEN, iv_size},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
    };
    for (OSSL_PARAM *param = params; param && param->key; param++)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(param->key, known[i].name) == 0 &&
                !tx_crypto.OSSL_PARAM_set_size_t(param, known[i].value))
                return 0;
    return 1;
}

static int set_ctx_params(void *arg, OSSL_PARAM params[])
{
    (void)arg;
    return set_params(params);
}

typedef void function(void);

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_CIPHER_NEWCTX, (function *)cipher_new},
        {OSSL_FUNC_CIPHER_FREECTX, (function *)cipher_free},
        {OSSL_FUNC_CIPHER_ENCRYPT_INIT, (function *)cipher_init},
        {OSSL_FUNC_CIPHER_DECRYPT_INIT, (function *)cipher_init},
        {OSSL_FUNC_CIPHER_UPDATE, (function *)cipher_update},
        {OSSL_FUNC_CIPHER_FINAL, (function *)cipher_final},
        {OSSL_FUNC_CIPHER_CIPHER, (function *)cipher_update},
        {OSSL_FUNC_CIPHER_GET_PARAMS, (function *)set_params},
        {OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (function *)set_ctx_params},
        {0, NULL},
    };
    static const OSSL_ALGORITHM ciphers[] = {
        {"AES-128-CTR", "provider=tutti", functions, "computes its key stream ahead"},
        {NULL, NULL, NULL, NULL},
    };
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (function *)provider_query},
        {0, NULL},
    };
    static char context;
    (void)handle;
    (void)in;
    *out = functions;
    *provider = &context;
    return 1;
}

void tx_cipher_install(void)
{
    if (own || TT_FAULT("ssh_cipher.install") ||
        tx_crypto.EVP_default_properties_is_fips_enabled(NULL))
        return;
    own = tx_crypto.EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    if (own && tx_crypto.OSSL_PROVIDER_add_builtin(NULL, "tutti", provider_init) == 1)
        loaded = tx_crypto.OSSL_PROVIDER_try_load(NULL, "tutti", 1);
    if (loaded)
        tx_crypto.EVP_set_default_properties(NULL, "?provider=tutti");
}
