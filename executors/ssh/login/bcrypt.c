/* bcrypt_pbkdf, the key derivation of OpenSSH's private key format: PBKDF2's shape around a bcrypt
 * with SHA-512 (Provos and Mazières, "A Future-Adaptable Password Scheme", USENIX 1999; the bytes
 * are spread over the output as OpenBSD's bcrypt_pbkdf(3) does).
 *
 * libcrypto does not give out Blowfish's initial state, so it is computed here: the fraction of pi,
 * by Machin's formula, once for the process. */
#include "executors/ssh/login/key.h"
#include "executors/ssh/wire/lib.h"

#include <pthread.h>
#include <string.h>

struct blowfish {
    uint32_t p[18];
    uint32_t s[4][256];
};

/* --- pi --- */

enum { pi_words = 18 + 4 * 256, fixed_words = 1 + pi_words + 3 /* integer part, digits, guard */ };

static void divide(uint32_t *number, size_t from, uint32_t by)
{
    uint64_t rest = 0;
    for (size_t i = from; i < fixed_words; i++) {
        rest = rest << 32 | number[i];
        number[i] = (uint32_t)(rest / by);
        rest %= by;
    }
}

static void add(uint32_t *to, const uint32_t *what, bool subtract)
{
    int64_t carry = 0;
    for (size_t i = fixed_words; i-- > 0;) {
        int64_t sum = (int64_t)to[i] + (subtract ? -(int64_t)what[i] : (int64_t)what[i]) + carry;
        to[i] = (uint32_t)sum;
        carry = sum >> 32;
    }
}

/* sum += sign * times * arctan(1 / x) */
static void add_arctan(uint32_t *sum, uint32_t times, uint32_t x, bool negative)
{
    uint32_t power[fixed_words] = {times}, term[fixed_words];
    size_t first = 0; /* leading words that are not zero any more */
    divide(power, 0, x);
    for (uint32_t k = 0;; k++) {
        while (first < fixed_words && !power[first])
            first++;
        if (first == fixed_words)
            return;
        memcpy(term, power, sizeof term);
        divide(term, first, 2 * k + 1);
        add(sum, term, (k % 2 == 1) != negative);
        divide(power, first, x * x);
    }
}

static struct blowfish initial;

static void compute_initial(void)
{
    uint32_t pi[fixed_words] = {0};
    add_arctan(pi, 16, 5, false);
    add_arctan(pi, 4, 239, true);
    memcpy(initial.p, pi + 1, sizeof initial.p);
    memcpy(initial.s, pi + 1 + 18, sizeof initial.s);
}

/* --- Blowfish --- */

static void encipher(const struct blowfish *b, uint32_t *left, uint32_t *right)
{
    uint32_t l = *left, r = *right;
    for (int i = 0; i < 16; i++) {
        l ^= b->p[i];
        r ^= ((b->s[0][l >> 24] + b->s[1][l >> 16 & 255]) ^ b->s[2][l >> 8 & 255]) +
             b->s[3][l & 255];
        uint32_t swap = l;
        l = r;
        r = swap;
    }
    *left = r ^ b->p[17];
    *right = l ^ b->p[16];
}

/* The next four bytes of a 64-byte text that repeats itself. */
static uint32_t next_word(const unsigned char text[64], size_t *at)
{
    uint32_t word = 0;
    for (int i = 0; i < 4; i++, *at = (*at + 1) % 64)
        word = word << 8 | text[*at];
    return word;
}

static void expand(struct blowfish *b, const unsigned char key[64], const unsigned char *salt)
{
    size_t at = 0, salt_at = 0;
    uint32_t left = 0, right = 0;
    for (int i = 0; i < 18; i++)
        b->p[i] ^= next_word(key, &at);
    for (int i = 0; i < 18 + 4 * 256; i += 2) {
        if (salt) {
            left ^= next_word(salt, &salt_at);
            right ^= next_word(salt, &salt_at);
        }
        encipher(b, &left, &right);
        uint32_t *to = i < 18 ? &b->p[i] : &b->s[(i - 18) / 256][(i - 18) % 256];
        to[0] = left;
        to[1] = right;
    }
}

enum { block_size = 32 };

static void hash(const unsigned char password[64], const unsigned char salt[64],
                 unsigned char out[block_size])
{
    static const char text[] = "OxychromaticBlowfishSwatDynamite";
    struct blowfish b = initial;
    expand(&b, password, salt);
    for (int i = 0; i < 64; i++) {
        expand(&b, salt, NULL);
        expand(&b, password, NULL);
    }
    for (int i = 0; i < block_size; i += 8) {
        uint32_t words[2];
        for (int j = 0; j < 2; j++)
            words[j] = (uint32_t)text[i + 4 * j] << 24 | (uint32_t)text[i + 4 * j + 1] << 16 |
                       (uint32_t)text[i + 4 * j + 2] << 8 | (uint32_t)text[i + 4 * j + 3];
        for (int j = 0; j < 64; j++)
            encipher(&b, &words[0], &words[1]);
        for (int j = 0; j < 8; j++)
            out[i + j] = (unsigned char)(words[j / 4] >> (8 * (j % 4)));
    }
    explicit_bzero(&b, sizeof b);
}

static bool sha512(const void *bytes, size_t length, unsigned char out[64])
{
    return tx_crypto.EVP_Digest(bytes, length, out, NULL, tx_crypto.EVP_sha512(), NULL) == 1;
}

bool tx_bcrypt_pbkdf(const char *passphrase, size_t passphrase_length, const unsigned char *salt,
                     size_t salt_length, unsigned rounds, unsigned char *out, size_t out_length)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compute_initial);
    unsigned char password[64], salted[64];
    struct tt_buf counted = {0};
    tt_buf_add(&counted, salt, salt_length);
    tt_buf_add(&counted, "\0\0\0", 4);
    bool ok = sha512(passphrase, passphrase_length, password);
    size_t stride = (out_length + block_size - 1) / block_size;
    for (size_t block = 0; ok && block < stride; block++) {
        for (int i = 0; i < 4; i++)
            counted.data[salt_length + (size_t)i] = (char)((block + 1) >> (24 - 8 * i));
        unsigned char one[block_size], all[block_size];
        ok = sha512(counted.data, counted.length, salted);
        hash(password, salted, one);
        memcpy(all, one, sizeof all);
        for (unsigned round = 1; ok && round < rounds; round++) {
            ok = sha512(one, sizeof one, salted);
            hash(password, salted, one);
            for (size_t i = 0; i < sizeof all; i++)
                all[i] ^= one[i];
        }
        for (size_t i = 0; i < sizeof all && i * stride + block < out_length; i++)
            out[i * stride + block] = all[i];
        explicit_bzero(all, sizeof all);
        explicit_bzero(one, sizeof one);
    }
    explicit_bzero(password, sizeof password);
    tt_buf_free(&counted);
    return ok;
}
