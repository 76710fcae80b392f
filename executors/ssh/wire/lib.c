#include "executors/ssh/wire/lib.h"

#include "core/base/digest.h"
#include "core/base/fault.h"
#include "core/base/library.h"
#include "executors/ssh/wire/cipher.h"

#include <stdbool.h>

struct tx_ssh2 tx_ssh2;
struct tx_crypto tx_crypto;

static const char *const ssh2_names[] = {
#define X(name) "libssh2_" #name,
    TX_SSH2_FUNCTIONS(X)
#undef X
        NULL};
static const char *const crypto_names[] = {
#define X(name) #name,
    TX_CRYPTO_FUNCTIONS(X)
#undef X
        NULL};

static struct tt_library ssh2 = {.file = "libssh2.so.1",
                                 .needed = "SSH needs libssh2 (Debian package libssh2-1)",
                                 .names = ssh2_names,
                                 .table = &tx_ssh2,
                                 .fault = "ssh_lib.ssh2"};
static struct tt_library crypto = {.file = "libcrypto.so.3",
                                   .needed = "SSH needs libcrypto (Debian package libssl3)",
                                   .names = crypto_names,
                                   .table = &tx_crypto,
                                   .fault = "ssh_lib.crypto"};

int tx_ssh_load(struct tt_error **err)
{
    static bool loaded;
    if (loaded)
        return 0;
    int rc = tt_library_load(&crypto, err);
    if (rc == 0)
        rc = tt_library_load(&ssh2, err);
    if (rc == 0) {
        tt_digest_load(); /* what other threads use is found before its setting changes */
        tx_cipher_install();
    }
    if (rc == 0 && (TT_FAULT("ssh_lib.init") || tx_ssh2.init(0) != 0))
        rc = tt_fail(err, TT_IO, "libssh2 could not be initialised");
    loaded = rc == 0;
    return rc;
}
