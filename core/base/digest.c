#include "core/base/digest.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct {
    __typeof__(EVP_MD_CTX_new) *ctx_new;
    __typeof__(EVP_MD_CTX_free) *ctx_free;
    __typeof__(EVP_DigestInit_ex) *init;
    __typeof__(EVP_DigestUpdate) *update;
    __typeof__(EVP_DigestFinal_ex) *final;
    EVP_MD *sha256; /* fetched once: no digest looks for its algorithm */
    char *missing;  /* why it cannot be used; NULL once loaded */
} crypto;
static pthread_once_t loading = PTHREAD_ONCE_INIT;

struct tt_digest {
    EVP_MD_CTX *ctx;
    bool failed;
};

static void *symbol(void *library, const char *name)
{
    void *found = library ? dlsym(library, name) : NULL;
    if (!found && !crypto.missing) {
        const char *why = dlerror();
        crypto.missing = tt_strdup(why ? why : name);
    }
    return found;
}

static void load(void)
{
    void *library =
        TT_FAULT("digest.load") ? NULL : dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_LOCAL);
    crypto.ctx_new = symbol(library, "EVP_MD_CTX_new");
    crypto.ctx_free = symbol(library, "EVP_MD_CTX_free");
    crypto.init = symbol(library, "EVP_DigestInit_ex");
    crypto.update = symbol(library, "EVP_DigestUpdate");
    crypto.final = symbol(library, "EVP_DigestFinal_ex");
    __typeof__(EVP_MD_fetch) *fetch = symbol(library, "EVP_MD_fetch");
    if (!crypto.missing)
        crypto.sha256 = fetch(NULL, "SHA256", NULL);
}

void tt_digest_load(void)
{
    pthread_once(&loading, load);
}

int tt_digest_new(struct tt_digest **out, struct tt_error **err)
{
    tt_digest_load();
    if (crypto.missing)
        return tt_fail(err, TT_UNSUPPORTED, "no SHA-256 here: %s", crypto.missing);
    EVP_MD_CTX *ctx = TT_FAULT("digest.new") ? NULL : crypto.ctx_new();
    if (!ctx || !crypto.sha256 || crypto.init(ctx, crypto.sha256, NULL) != 1) {
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
    digest->failed = crypto.init(digest->ctx, crypto.sha256, NULL) != 1;
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
