/* SHA-256, by libcrypto. libcrypto is loaded at the first digest and not at start: linking
 * it would cost every start 0.6 ms and 1.6 MB. Any thread; a struct tt_digest by one thread at a
 * time. */
#ifndef TT_DIGEST_H
#define TT_DIGEST_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { tt_digest_hex_size = 65 }; /* 64 hex digits and a NUL */

struct tt_digest;

/* Loads libcrypto now, as the first digest would: for a caller that changes OpenSSL's settings
 * while other threads compute digests. A failure shows at the next digest. */
void tt_digest_load(void);
/* Kind `unsupported` when libcrypto cannot be loaded. */
int tt_digest_new(struct tt_digest **digest, struct tt_error **err);
void tt_digest_add(struct tt_digest *digest, const void *bytes, size_t length);
/* The SHA-256 of all that was added, in lower-case hex; the digest is empty again afterwards. Kind
 * `io` when libcrypto reported a failure since the digest was last empty. */
int tt_digest_hex(struct tt_digest *digest, char hex[tt_digest_hex_size], struct tt_error **err);
void tt_digest_free(struct tt_digest *digest);

/* The SHA-256 of these bytes, in lower-case hex. Errors as of tt_digest_new and tt_digest_hex. */
int tt_digest_bytes(const void *bytes, size_t length, char hex[tt_digest_hex_size],
                    struct tt_error **err);
/* True for exactly 64 lower-case hex digits. */
bool tt_digest_valid(const char *hex);

#endif
