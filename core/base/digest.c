#include "core/base/digest.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/library.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static struct {
    __typeof__(EVP_MD_CTX_new) *ctx_new;
    __typeof__(EVP_MD_CTX_free) *ctx_free;
    __typeof__(EVP_DigestInit_ex) *init;
    __typeof__(EVP_DigestUpdate) *update;
    __typeof__(EVP_DigestFinal_ex) *final;
    __typeof__(EVP_MD_fetch) *fetch;
} crypto;
static const char *const names[] = {"EVP_MD_CTX_new",
                                    "EVP_MD_CTX_free",
                                    "EVP_DigestInit_ex",
                                    "EVP_DigestUpdate",
                                    "EVP_DigestFinal_ex",
                                    "EVP_MD_fetch",
                                    NULL};
static EVP_MD *sha256; /* fetched once: no digest looks for its algorithm */

static void fetch_algorithm(void)
{
    sha256 = crypto.fetch(NULL, "SHA256", NULL);
}

static struct tt_library library = {.file = "libcrypto.so.3",
                                    .needed = "SHA-256 needs libcrypto (Debian package libssl3)",
                                    .names = names,
                                    .table = &crypto,
                                    .fault = "digest.load",
                                    .loaded = fetch_algorithm};

struct tt_digest {
    EVP_MD_CTX *ctx;
    bool failed;
};

void tt_digest_load(void)
{
    tt_library_load(&library, NULL);
}

int tt_digest_new(struct tt_digest **out, struct tt_error **err)
{
    int rc = tt_library_load(&library, err);
    if (rc < 0)
        return rc;
    EVP_MD_CTX *ctx = TT_FAULT("digest.new") ? NULL : crypto.ctx_new();
    if (!ctx || !sha256 || crypto.init(ctx, sha256, NULL) != 1) {
        crypto.ctx_free(ctx);
        return tt_fail(err, TT_IO, "libcrypto refuses to compute SHA-256");
    }
    *out = tt_zalloc(sizeof **out);
    (*out)->ctx = ctx;
    return 0;
}

void tt_digest_add(struct tt_digest *digest, const void *bytes, size_t length)
{
    if (TT_FAULT("digest.add") || crypto.update(digest->ctx, bytes, length) != 1)
        digest->failed = true;
}

int tt_digest_hex(struct tt_digest *digest, char hex[tt_digest_hex_size], struct tt_error **err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    if (TT_FAULT("digest.final") || crypto.final(digest->ctx, raw, NULL) != 1)
        digest->failed = true;
    bool failed = digest->failed;
    digest->failed = crypto.init(digest->ctx, sha256, NULL) != 1;
    if (failed)
        return tt_fail(err, TT_IO, "libcrypto failed to compute SHA-256");
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    hex[64] = 0;
    return 0;
}

void tt_digest_free(struct tt_digest *digest)
{
    if (!digest)
        return;
    crypto.ctx_free(digest->ctx);
    free(digest);
}

int tt_digest_bytes(const void *bytes, size_t length, char hex[tt_digest_hex_size],
                    struct tt_error **err)
{
    struct tt_digest *digest = NULL;
    int rc = tt_digest_new(&digest, err);
    if (!digest)
        return rc;
    tt_digest_add(digest, bytes, length);
    rc = tt_digest_hex(digest, hex, err);
    tt_digest_free(digest);
    return rc;
}

bool tt_digest_valid(const char *hex)
{
    return strspn(hex, "0123456789abcdef") == 64 && hex[64] == 0;
}
