#include "executors/ssh/wire/lib.h"

#include "core/base/digest.h"
#include "core/base/fault.h"
#include "executors/ssh/wire/cipher.h"

#include <dlfcn.h>
#include <stdbool.h>

struct tx_ssh2 tx_ssh2;
struct tx_crypto tx_crypto;

static int find_ssh2(void *library, struct tt_error **err)
{
#define X(name)                                                                                    \
    tx_ssh2.name = (__typeof__(tx_ssh2.name))dlsym(library, "libssh2_" #name);                     \
    if (!tx_ssh2.name)                                                                             \
        return tt_fail(err, TT_UNSUPPORTED, "libssh2 has no libssh2_" #name);
    TX_SSH2_FUNCTIONS(X)
#undef X
    return 0;
}

static int find_crypto(void *library, struct tt_error **err)
{
#define X(name)                                                                                    \
    tx_crypto.name = (__typeof__(tx_crypto.name))dlsym(library, #name);                            \
    if (!tx_crypto.name)                                                                           \
        return tt_fail(err, TT_UNSUPPORTED, "libcrypto has no " #name);
    TX_CRYPTO_FUNCTIONS(X)
#undef X
    return 0;
}

static void *open_library(const char *file, const char *package, struct tt_error **err)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        tt_fail(err, TT_UNSUPPORTED, "SSH needs %s (Debian package %s), which could not be loaded",
                file, package);
    return library;
}

int tx_ssh_load(struct tt_error **err)
{
    static bool loaded;
    if (loaded)
        return 0;
    void *crypto =
        TT_FAULT("ssh_lib.crypto") ? NULL : open_library("libcrypto.so.3", "libssl3", err);
    void *ssh2 = TT_FAULT("ssh_lib.ssh2") ? NULL : open_library("libssh2.so.1", "libssh2-1", err);
    if (!crypto || !ssh2) {
        if (err && !*err)
            return tt_fail(err, TT_UNSUPPORTED, "the SSH library could not be loaded");
        return -TT_UNSUPPORTED;
    }
    int rc = find_crypto(crypto, err);
    if (rc == 0)
        rc = find_ssh2(ssh2, err);
    if (rc == 0) {
        tt_digest_load(); /* what other threads use is found before its setting changes */
        tx_cipher_install();
    }
    if (rc == 0 && (TT_FAULT("ssh_lib.init") || tx_ssh2.init(0) != 0))
        rc = tt_fail(err, TT_IO, "libssh2 could not be initialised");
    loaded = rc == 0;
    return rc;
}
