/* Private key files: a key is read whole or refused with a reason; what was read names itself,
 * signs, and is the same however the file's lines end. A passphrase is never given, because a file
 * may ask for hours of key derivation. */
#include "core/base/alloc.h"
#include "executors/ssh/login/key.h"
#include "executors/ssh/wire/lib.h"
#include "executors/ssh/wire/pack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool right)
{
    if (!right)
        abort();
}

static struct tx_key *read_key(const char *text, size_t length)
{
    struct tx_key *key = NULL;
    struct tt_error *err = NULL;
    enum tx_key_trouble trouble;
    int rc = tx_key_read(&key, text, length, NULL, &trouble, &err);
    must(rc == 0 ? key && !err : !key && err && err->kind == TT_AUTH);
    must(rc == 0 || trouble != TX_KEY_WRONG_PASSPHRASE);
    tt_error_free(err);
    return key;
}

/* A number as SSH writes it: not negative, without a needless byte before it. */
static bool is_number(struct tx_span span)
{
    if (!span.length || span.bytes[0] & 0x80)
        return false;
    return span.bytes[0] || (span.length > 1 && span.bytes[1] & 0x80);
}

/* The blob has the type's name and the fields of that type, and nothing else. */
static size_t check_blob(const struct tx_key *key)
{
    const struct tt_buf *blob = tx_key_blob(key);
    struct tx_cursor cursor = tx_cursor(blob->data, blob->length);
    must(tx_span_is(tx_get_string(&cursor), tx_key_type(key)));
    struct tx_span first = tx_get_string(&cursor), second = {NULL, 0};
    if (strcmp(tx_key_type(key), "ssh-ed25519") == 0)
        must(first.length == 32);
    else
        second = tx_get_string(&cursor);
    if (strcmp(tx_key_type(key), "ssh-rsa") == 0)
        must(is_number(first) && is_number(second));
    else if (second.bytes)
        must(second.length % 2 == 1 && second.bytes[0] == 4);
    must(!cursor.bad && !cursor.left);
    return second.length;
}

static void check_signature(const struct tx_key *key, size_t second_length)
{
    static const char text[] = "something to sign";
    struct tt_buf signature = {0};
    struct tt_error *err = NULL;
    int rc = tx_key_sign(key, text, sizeof text, &signature, &err);
    must((rc == 0) == !err);
    if (rc == 0 && strcmp(tx_key_type(key), "ssh-ed25519") == 0) {
        /* it fits the public key that is offered */
        const struct tt_buf *blob = tx_key_blob(key);
        EVP_PKEY *public = EVP_PKEY_new_raw_public_key(
            EVP_PKEY_ED25519, NULL, (const unsigned char *)blob->data + blob->length - 32, 32);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        must(EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
             EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.length,
                              (const unsigned char *)text, sizeof text) == 1);
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(public);
    } else if (rc == 0 && strcmp(tx_key_type(key), "ssh-rsa") == 0) {
        must(signature.length == second_length || signature.length + 1 == second_length);
    } else if (rc == 0) {
        struct tx_cursor cursor = tx_cursor(signature.data, signature.length);
        must(is_number(tx_get_string(&cursor)) && is_number(tx_get_string(&cursor)));
        must(!cursor.bad && !cursor.left);
    }
    tt_error_free(err);
    tt_buf_free(&signature);
}

/* The same file with other ends of lines. */
static struct tx_key *read_with_returns(const uint8_t *data, size_t size)
{
    struct tt_buf text = {0};
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n')
            tt_buf_add(&text, "\r", 1);
        tt_buf_add(&text, data + i, 1);
    }
    struct tx_key *key = read_key(text.data ? text.data : "", text.length);
    tt_buf_free(&text);
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must(tx_ssh_load(NULL) == 0);
    struct tx_key *key = read_key((const char *)data, size);
    if (key)
        check_signature(key, check_blob(key));
    /* libcrypto has its own mind about what PEM is */
    if (memmem(data, size, "OPENSSH", 7)) {
        struct tx_key *other = read_with_returns(data, size);
        must(!key == !other);
        if (key) {
            const struct tt_buf *a = tx_key_blob(key), *b = tx_key_blob(other);
            must(a->length == b->length && memcmp(a->data, b->data, a->length) == 0);
        }
        tx_key_free(other);
    }
    tx_key_free(key);
    return 0;
}
