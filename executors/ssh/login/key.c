#include "executors/ssh/login/key.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "executors/ssh/wire/lib.h"
#include "executors/ssh/wire/pack.h"

#include <stdlib.h>
#include <string.h>

struct tx_key {
    EVP_PKEY *pkey;
    struct tt_buf blob;
    char *type;
};

#define C tx_crypto

/* The NIST curves: SSH's name, libcrypto's, the digest that signs. */
static const struct curve {
    const char *type, *name, *group;
    int size; /* bytes of a coordinate */
} curves[] = {
    {"ecdsa-sha2-nistp256", "nistp256", "prime256v1", 32},
    {"ecdsa-sha2-nistp384", "nistp384", "secp384r1", 48},
    {"ecdsa-sha2-nistp521", "nistp521", "secp521r1", 66},
};

static const struct curve *curve_of_type(struct tx_span type)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (tx_span_is(type, curves[i].type))
            return &curves[i];
    return NULL;
}

static void put_bignum(struct tt_buf *out, const BIGNUM *number)
{
    unsigned char bytes[2048 + 1];
    int size = (C.BN_num_bits(number) + 7) / 8;
    if (size > 2048)
        size = 0;
    bytes[0] = 0;
    if (size > 0)
        C.BN_bn2bin(number, bytes + 1);
    bool pad = size > 0 && (bytes[1] & 0x80);
    tx_put_string(out, pad ? bytes : bytes + 1, (size_t)size + pad);
}

/* --- public blobs from libcrypto's keys --- */

static bool put_rsa(struct tx_key *key)
{
    BIGNUM *n = NULL, *e = NULL;
    bool ok = C.EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
              C.EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
    if (ok) {
        tx_put_text(&key->blob, "ssh-rsa");
        put_bignum(&key->blob, e);
        put_bignum(&key->blob, n);
    }
    C.BN_free(n);
    C.BN_free(e);
    return ok;
}

static bool put_ecdsa(struct tx_key *key)
{
    char group[64];
    const struct curve *curve = NULL;
    BIGNUM *x = NULL, *y = NULL;
    if (C.EVP_PKEY_get_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                         NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(curves[i].group, group) == 0)
            curve = &curves[i];
    bool ok = curve && C.EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
              C.EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1;
    if (ok) {
        /* an uncompressed point: 4, x, y */
        unsigned char point[1 + 2 * 66] = {4};
        int size = curve->size;
        C.BN_bn2bin(x, point + 1 + size - (C.BN_num_bits(x) + 7) / 8);
        C.BN_bn2bin(y, point + 1 + 2 * size - (C.BN_num_bits(y) + 7) / 8);
        tx_put_text(&key->blob, curve->type);
        tx_put_text(&key->blob, curve->name);
        tx_put_string(&key->blob, point, 1 + 2 * (size_t)size);
    }
    C.BN_free(x);
    C.BN_free(y);
    return ok;
}

static bool put_ed25519(struct tx_key *key)
{
    unsigned char public[32];
    size_t length = sizeof public;
    if (C.EVP_PKEY_get_raw_public_key(key->pkey, public, &length) != 1 || length != 32)
        return false;
    tx_put_text(&key->blob, "ssh-ed25519");
    tx_put_string(&key->blob, public, length);
    return true;
}

static int finish(struct tx_key *key, struct tt_error **err)
{
    bool ok;
    switch (C.EVP_PKEY_get_base_id(key->pkey)) {
    case EVP_PKEY_RSA:
        ok = put_rsa(key);
        break;
    case EVP_PKEY_EC:
        ok = put_ecdsa(key);
        break;
    case EVP_PKEY_ED25519:
        ok = put_ed25519(key);
        break;
    default:
        ok = false;
    }
    if (!ok)
        return tt_fail(err, TT_AUTH, "a kind of key that is not supported");
    struct tx_cursor cursor = tx_cursor(key->blob.data, key->blob.length);
    struct tx_span type = tx_get_string(&cursor);
    key->type = tt_strndup((const char *)type.bytes, type.length);
    return 0;
}

/* --- keys from numbers --- */

static EVP_PKEY *from_params(const char *algorithm, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = C.OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = C.EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    if (!params || !context || C.EVP_PKEY_fromdata_init(context) != 1 ||
        C.EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
        pkey = NULL;
    C.EVP_PKEY_CTX_free(context);
    C.OSSL_PARAM_free(params);
    return pkey;
}

static BIGNUM *get_bignum(struct tx_cursor *cursor)
{
    struct tx_span bytes = tx_get_string(cursor);
    return C.BN_bin2bn(bytes.bytes, (int)bytes.length, NULL);
}

/* d mod (prime - 1) */
static BIGNUM *crt_exponent(const BIGNUM *d, const BIGNUM *prime, BN_CTX *context)
{
    unsigned char bytes[2048];
    BIGNUM *result = C.BN_new();
    int length = C.BN_bn2bin(prime, bytes);
    BIGNUM *less = C.BN_bin2bn(bytes, length, NULL);
    if (!result || !less || C.BN_sub_word(less, 1) != 1 ||
        C.BN_div(NULL, result, d, less, context) != 1) {
        C.BN_clear_free(result);
        result = NULL;
    }
    C.BN_clear_free(less);
    return result;
}

/* n e d iqmp p q, as OpenSSH's format has them. */
static EVP_PKEY *read_rsa(struct tx_cursor *cursor)
{
    BIGNUM *numbers[8] = {0}; /* n e d iqmp p q dp dq */
    static const char *const names[8] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
        OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2};
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = C.OSSL_PARAM_BLD_new();
    BN_CTX *context = C.BN_CTX_new();
    bool ok = builder && context;
    for (int i = 0; i < 6 && ok; i++) {
        numbers[i] = get_bignum(cursor);
        ok = numbers[i] && !cursor->bad && C.BN_num_bits(numbers[i]) <= 16384 &&
             C.BN_num_bits(numbers[i]) > 0;
    }
    for (int i = 6; i < 8 && ok; i++)
        ok = (numbers[i] = crt_exponent(numbers[2], numbers[i - 2], context));
    for (int i = 0; i < 8 && ok; i++)
        ok = C.OSSL_PARAM_BLD_push_BN(builder, names[i], numbers[i]) == 1;
    if (ok)
        pkey = from_params("RSA", builder);
    C.OSSL_PARAM_BLD_free(builder);
    C.BN_CTX_free(context);
    for (int i = 0; i < 8; i++)
        C.BN_clear_free(numbers[i]);
    return pkey;
}

static EVP_PKEY *read_ecdsa(struct tx_cursor *cursor, const struct curve *curve)
{
    struct tx_span name = tx_get_string(cursor), point = tx_get_string(cursor);
    BIGNUM *d = get_bignum(cursor);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = C.OSSL_PARAM_BLD_new();
    if (builder && d && !cursor->bad && tx_span_is(name, curve->name) &&
        C.OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ==
            1 &&
        C.OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.bytes,
                                           point.length) == 1 &&
        C.OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1)
        pkey = from_params("EC", builder);
    C.OSSL_PARAM_BLD_free(builder);
    C.BN_clear_free(d);
    return pkey;
}

static EVP_PKEY *read_ed25519(struct tx_cursor *cursor)
{
    tx_get_string(cursor);
    struct tx_span both = tx_get_string(cursor); /* seed and public key */
    if (cursor->bad || both.length != 64)
        return NULL;
    return C.EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, both.bytes, 32);
}

/* --- OpenSSH's format --- */

static const char openssh_begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char openssh_end[] = "-----END OPENSSH PRIVATE KEY-----";

static bool decrypt(struct tt_buf *data, struct tx_span cipher, struct tx_span kdf_options,
                    const char *passphrase)
{
    struct tx_cursor options = tx_cursor(kdf_options.bytes, kdf_options.length);
    struct tx_span salt = tx_get_string(&options);
    uint32_t rounds = tx_get_u32(&options);
    bool ctr = tx_span_is(cipher, "aes256-ctr");
    unsigned char secret[48]; /* key and initial vector */
    if (options.bad || rounds == 0 || (!ctr && !tx_span_is(cipher, "aes256-cbc")) ||
        data->length % 16 != 0 ||
        !tx_bcrypt_pbkdf(passphrase, strlen(passphrase), salt.bytes, salt.length, rounds, secret,
                         sizeof secret))
        return false;
    EVP_CIPHER_CTX *context = C.EVP_CIPHER_CTX_new();
    int length = 0;
    bool ok = context &&
              C.EVP_DecryptInit_ex(context, ctr ? C.EVP_aes_256_ctr() : C.EVP_aes_256_cbc(), NULL,
                                   secret, secret + 32) == 1 &&
              C.EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
              C.EVP_DecryptUpdate(context, (unsigned char *)data->data, &length,
                                  (unsigned char *)data->data, (int)data->length) == 1;
    C.EVP_CIPHER_CTX_free(context);
    explicit_bzero(secret, sizeof secret);
    return ok;
}

/* The part that may be encrypted: two equal numbers, then the key. */
static EVP_PKEY *read_private(struct tx_cursor *cursor, bool *readable)
{
    uint32_t first = tx_get_u32(cursor), second = tx_get_u32(cursor);
    *readable = !cursor->bad && first == second;
    if (!*readable)
        return NULL;
    struct tx_span type = tx_get_string(cursor);
    const struct curve *curve = curve_of_type(type);
    if (tx_span_is(type, "ssh-ed25519"))
        return read_ed25519(cursor);
    if (tx_span_is(type, "ssh-rsa"))
        return read_rsa(cursor);
    return curve ? read_ecdsa(cursor, curve) : NULL;
}

static int read_openssh(struct tx_key *key, struct tt_buf *binary, const char *passphrase,
                        enum tx_key_trouble *trouble, struct tt_error **err)
{
    struct tx_cursor cursor = tx_cursor(binary->data, binary->length);
    struct tx_span magic = tx_get_bytes(&cursor, 15);
    struct tx_span cipher = tx_get_string(&cursor), kdf = tx_get_string(&cursor);
    struct tx_span kdf_options = tx_get_string(&cursor);
    uint32_t keys = tx_get_u32(&cursor);
    tx_get_string(&cursor);
    struct tx_span private = tx_get_string(&cursor);
    if (cursor.bad || keys != 1 || memcmp(magic.bytes, "openssh-key-v1", 15) != 0)
        return tt_fail(err, TT_AUTH, "the file is damaged");
    bool encrypted = !tx_span_is(cipher, "none");
    if (encrypted && !tx_span_is(kdf, "bcrypt"))
        return tt_fail(err, TT_AUTH, "encrypted in a way that is not supported");
    if (encrypted && !passphrase) {
        *trouble = TX_KEY_NO_PASSPHRASE;
        return tt_fail(err, TT_AUTH, "encrypted, and no passphrase was given");
    }
    struct tt_buf plain = {0};
    tt_buf_add(&plain, private.bytes, private.length);
    bool readable = !encrypted || decrypt(&plain, cipher, kdf_options, passphrase);
    if (readable) {
        struct tx_cursor inner = tx_cursor(plain.data, plain.length);
        key->pkey = read_private(&inner, &readable);
    }
    if (plain.data)
        explicit_bzero(plain.data, plain.length);
    tt_buf_free(&plain);
    if (key->pkey)
        return 0;
    if (encrypted && !readable) {
        *trouble = TX_KEY_WRONG_PASSPHRASE;
        return tt_fail(err, TT_AUTH, "the passphrase does not fit");
    }
    return tt_fail(err, TT_AUTH, "a kind of key that is not supported, or damaged");
}

/* --- PEM and PKCS#8, by libcrypto --- */

struct asked {
    const char *passphrase;
    bool asked;
};

static int give_passphrase(char *to, int size, int writing, void *arg)
{
    (void)writing;
    struct asked *asked = arg;
    asked->asked = true;
    size_t length = asked->passphrase ? strlen(asked->passphrase) : 0;
    if (!asked->passphrase || length > (size_t)size)
        return -1;
    memcpy(to, asked->passphrase, length);
    return (int)length;
}

static int read_pem(struct tx_key *key, const char *text, size_t length, const char *passphrase,
                    enum tx_key_trouble *trouble, struct tt_error **err)
{
    struct asked asked = {passphrase, false};
    BIO *bio = C.BIO_new_mem_buf(text, (int)length);
    if (bio)
        key->pkey = C.PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &asked);
    C.BIO_free(bio);
    if (key->pkey)
        return 0;
    if (asked.asked) {
        *trouble = passphrase ? TX_KEY_WRONG_PASSPHRASE : TX_KEY_NO_PASSPHRASE;
        return tt_fail(err, TT_AUTH, "%s",
                       passphrase ? "the passphrase does not fit"
                                  : "encrypted, and no passphrase was given");
    }
    return tt_fail(err, TT_AUTH, "this is no private key");
}

int tx_key_read(struct tx_key **out, const char *text, size_t length, const char *passphrase,
                enum tx_key_trouble *trouble, struct tt_error **err)
{
    struct tx_key *key = tt_zalloc(sizeof *key);
    *trouble = TX_KEY_BAD;
    const char *begin = memmem(text, length, openssh_begin, strlen(openssh_begin));
    const char *end =
        begin ? memmem(begin, length - (size_t)(begin - text), openssh_end, strlen(openssh_end))
              : NULL;
    int rc;
    if (TT_FAULT("ssh_key.read")) {
        rc = tt_fail(err, TT_AUTH, "the key could not be read");
    } else if (end) {
        struct tt_buf base64 = {0}, binary = {0};
        for (const char *c = begin + strlen(openssh_begin); c < end; c++)
            if (*c != '\n' && *c != '\r' && *c != ' ')
                tt_buf_add(&base64, c, 1);
        rc = tt_base64_read(&binary, base64.data ? base64.data : "", base64.length)
                 ? read_openssh(key, &binary, passphrase, trouble, err)
                 : tt_fail(err, TT_AUTH, "the file is damaged");
        if (binary.data)
            explicit_bzero(binary.data, binary.length);
        if (base64.data)
            explicit_bzero(base64.data, base64.length);
        tt_buf_free(&base64);
        tt_buf_free(&binary);
    } else {
        rc = read_pem(key, text, length, passphrase, trouble, err);
    }
    if (rc == 0)
        rc = finish(key, err);
    if (rc < 0)
        tx_key_free(key);
    else
        *out = key;
    return rc;
}

void tx_key_free(struct tx_key *key)
{
    if (!key)
        return;
    C.EVP_PKEY_free(key->pkey);
    tt_buf_free(&key->blob);
    free(key->type);
    free(key);
}

const struct tt_buf *tx_key_blob(const struct tx_key *key)
{
    return &key->blob;
}

const char *tx_key_type(const struct tx_key *key)
{
    return key->type;
}

/* --- signing --- */

/* libcrypto's ECDSA signature is DER; SSH wants the two numbers. */
static bool unpack_ecdsa(const unsigned char *der, size_t length, struct tt_buf *out)
{
    const unsigned char *at = der;
    ECDSA_SIG *pair = C.d2i_ECDSA_SIG(NULL, &at, (long)length);
    if (!pair)
        return false;
    const BIGNUM *r, *s;
    C.ECDSA_SIG_get0(pair, &r, &s);
    put_bignum(out, r);
    put_bignum(out, s);
    C.ECDSA_SIG_free(pair);
    return true;
}

int tx_key_sign(const struct tx_key *key, const void *data, size_t length, struct tt_buf *signature,
                struct tt_error **err)
{
    bool ecdsa = strncmp(key->type, "ecdsa", 5) == 0;
    const EVP_MD *digest = strcmp(key->type, "ssh-ed25519") == 0 ? NULL
                           : strstr(key->type, "p384")           ? C.EVP_sha384()
                           : strstr(key->type, "p521")           ? C.EVP_sha512()
                                                                 : C.EVP_sha256();
    unsigned char made[2048];
    size_t made_length = sizeof made;
    EVP_MD_CTX *context = C.EVP_MD_CTX_new();
    bool ok = !TT_FAULT("ssh_key.sign") && context &&
              C.EVP_DigestSignInit(context, NULL, digest, NULL, key->pkey) == 1 &&
              C.EVP_DigestSign(context, made, &made_length, data, length) == 1;
    C.EVP_MD_CTX_free(context);
    if (ok && ecdsa)
        ok = unpack_ecdsa(made, made_length, signature);
    else if (ok)
        tt_buf_add(signature, made, made_length);
    return ok ? 0 : tt_fail(err, TT_AUTH, "libcrypto could not sign with this key");
}

void tx_key_offer(const struct tt_buf *blob, struct tt_buf *offer)
{
    struct tx_cursor cursor = tx_cursor(blob->data, blob->length);
    struct tx_span type = tx_get_string(&cursor);
    if (tx_span_is(type, "ssh-rsa"))
        tx_put_text(offer, "rsa-sha2-256");
    else
        tx_put_string(offer, type.bytes, type.length);
    tt_buf_add(offer, cursor.at, cursor.left);
}

char *tx_key_fingerprint(const void *blob, size_t length)
{
    unsigned char digest[32];
    struct tt_buf text = {0};
    tt_buf_text(&text, "SHA256:");
    if (C.EVP_Digest(blob, length, digest, NULL, C.EVP_sha256(), NULL) == 1)
        tt_base64_add(&text, digest, sizeof digest, false);
    return tt_buf_take(&text);
}
