/* AES-128-CTR computed ahead gives what OpenSSL's own gives, however it is asked. */
#include "core/base/random.h"

#include "executors/ssh/wire/cipher.h"
#include "executors/ssh/wire/lib.h"
#include <stdbool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { size = 10000 };

static EVP_CIPHER *own, *ahead;
static unsigned char text[size];

static int load(void **state)
{
    (void)state;
    assert_int_equal(tx_ssh_load(NULL), 0);
    own = tx_crypto.EVP_CIPHER_fetch(NULL, "AES-128-CTR", "provider=default");
    ahead = tx_crypto.EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    for (size_t i = 0; i < size; i++)
        text[i] = (unsigned char)(i * 7 + i / 251);
    return !own || !ahead;
}

static int unload(void **state)
{
    (void)state;
    EVP_CIPHER_free(own);
    EVP_CIPHER_free(ahead);
    return 0;
}

static EVP_CIPHER_CTX *begin(const EVP_CIPHER *cipher, const unsigned char *iv)
{
    static const unsigned char key[16] = "sixteen letters";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, 1), 1);
    return ctx;
}

static void expect(const unsigned char *iv, unsigned char out[size])
{
    EVP_CIPHER_CTX *ctx = begin(own, iv);
    int made = 0;
    assert_int_equal(EVP_CipherUpdate(ctx, out, &made, text, size), 1);
    assert_int_equal(made, size);
    EVP_CIPHER_CTX_free(ctx);
}

static void is_what_others_get(void **state)
{
    (void)state;
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(ahead)), "tutti");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(own)), "default");
    assert_int_equal(EVP_CIPHER_get_block_size(ahead), 1);
    assert_int_equal(EVP_CIPHER_get_key_length(ahead), 16);
    assert_int_equal(EVP_CIPHER_get_iv_length(ahead), 16);
    assert_int_equal(EVP_CIPHER_get_mode(ahead), EVP_CIPH_CTR_MODE);
    /* every other algorithm is OpenSSL's */
    EVP_CIPHER *other = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(other)), "default");
    EVP_CIPHER_free(other);
}

/* SP 800-38A, F.5.1 */
static void knows_the_standards_example(void **state)
{
    static const unsigned char key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                          0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c},
                               iv[16] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
                                         0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff},
                               plain[16] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
                                            0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a},
                               coded[16] = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20, 0xe3, 0x26,
                                            0x1b, 0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce};
    unsigned char out[16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    (void)state;
    assert_int_equal(EVP_CipherInit(ctx, EVP_aes_128_ctr(), key, iv, 1), 1);
    assert_int_not_equal(EVP_Cipher(ctx, out, plain, sizeof out), -1);
    assert_memory_equal(out, coded, sizeof out);
    assert_int_equal(EVP_CipherInit(ctx, EVP_aes_128_ctr(), key, iv, 0), 1);
    assert_int_not_equal(EVP_Cipher(ctx, out, out, sizeof out), -1);
    assert_memory_equal(out, plain, sizeof out);
    EVP_CIPHER_CTX_free(ctx);
}

static void takes_pieces_of_any_length(void **state)
{
    /* the counter carries through all of its bytes */
    static const unsigned char first[16] = {1, 2, 3}, last[16] = "\xff\xff\xff\xff\xff\xff\xff\xff"
                                                                 "\xff\xff\xff\xff\xff\xff\xff\xf0";
    unsigned char wanted[size], out[size];
    (void)state;
    struct tt_random random = {20};
    for (int round = 0; round < 200; round++) {
        const unsigned char *iv = round % 2 ? first : last;
        size_t most = (size_t[]){1, 15, 16, 17, 64, 1023, 1024, 1025, size}[round % 9];
        bool in_place = round % 3 == 0;
        EVP_CIPHER_CTX *ctx = begin(ahead, iv);
        expect(iv, wanted);
        if (in_place)
            memcpy(out, text, size);
        else
            memset(out, 0, size);
        for (size_t at = 0; at < size;) {
            size_t length = most == 16 ? 16 : 1 + (size_t)(tt_random_next(&random) % most);
            int made = 0;
            if (length > size - at)
                length = size - at;
            assert_int_equal(
                EVP_CipherUpdate(ctx, out + at, &made, (in_place ? out : text) + at, (int)length),
                1);
            assert_int_equal(made, length);
            at += length;
        }
        assert_memory_equal(out, wanted, size);
        EVP_CIPHER_CTX_free(ctx);
    }
}

static void starts_anew_with_another_iv(void **state)
{
    static const unsigned char one[16] = {1}, two[16] = {2};
    unsigned char wanted[size], out[size];
    int made = 0;
    (void)state;
    EVP_CIPHER_CTX *ctx = begin(ahead, one);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &made, text, 100), 1);
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, NULL, two, -1), 1);
    assert_int_equal(EVP_CipherUpdate(ctx, out, &made, text, size), 1);
    expect(two, wanted);
    assert_memory_equal(out, wanted, size);
    /* a new key alone would use a counter that ran ahead */
    assert_int_equal(EVP_CipherInit_ex(ctx, NULL, NULL, one, NULL, -1), 0);
    EVP_CIPHER_CTX_free(ctx);
}

static void encrypts_nothing_without_a_key(void **state)
{
    unsigned char out[16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    (void)state;
    assert_int_equal(EVP_CipherInit_ex(ctx, ahead, NULL, NULL, NULL, 1), 1);
    for (int again = 0; again < 3; again++)
        assert_int_not_equal(EVP_Cipher(ctx, out, text, sizeof out), sizeof out);
    EVP_CIPHER_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_others_get),
        cmocka_unit_test(knows_the_standards_example),
        cmocka_unit_test(takes_pieces_of_any_length),
        cmocka_unit_test(starts_anew_with_another_iv),
        cmocka_unit_test(encrypts_nothing_without_a_key),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
