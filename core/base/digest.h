/* SHA-256, by libcrypto. The library is loaded at the first digest and not at start: linking it
 * would cost every start 0.6 ms and 1.6 MB. Usable from any thread; one digest by one at a time. */
#ifndef TT_DIGEST_H
#define TT_DIGEST_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { tt_digest_hex_size = 65 }; /* 64 hex digits and a NUL */

struct tt_digest;

/* What the first digest does: for who changes OpenSSL's settings while other threads compute
 * digests. */
void tt_digest_load(void);
/* Kind `unsupported` when libcrypto cannot be loaded. */
int tt_digest_new(struct tt_digest **digest, struct tt_error **err);
void tt_digest_add(struct tt_digest *digest, const void *bytes, size_t length);
/* Lower-case hex of all that was added; the digest then starts anew. Kind `io` when libcrypto
 * reported a failure anywhere since the start. */
int tt_digest_hex(struct tt_digest *digest, char hex[tt_digest_hex_size], struct tt_error **err);
void tt_digest_free(struct tt_digest *digest);

/* Of bytes in memory. */
int tt_digest_bytes(const void *bytes, size_t length, char hex[tt_digest_hex_size],
                    struct tt_error **err);
/* True for exactly 64 lower-case hex digits. */
bool tt_digest_valid(const char *hex);

#endif
