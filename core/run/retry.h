/* Whether a failed attempt is followed by another, and after how long. Pure: the random generator
 * is the caller's. */
#ifndef TT_RETRY_H
#define TT_RETRY_H

#include "core/base/error.h"
#include "core/base/random.h"

#include <stdbool.h>
#include <stdint.h>

struct tt_retry {
    uint32_t retries; /* tries after the first */
    bool idempotent;  /* running it twice does no harm: `lost` may be tried again, too */
    int64_t first;    /* ms before the first retry */
    double factor;    /* each wait is this many times the last one; 0 counts as 1 */
    int64_t max;      /* ms, no wait is longer; 0: no bound */
    double jitter;    /* 0 … 1: up to this part of each wait is taken off at random */
};

/* -TT_INVALID when a number is out of its range. */
int tt_retry_check(const struct tt_retry *retry, struct tt_error **err);

/* Whether an attempt that failed with this kind may be followed by another. After `invalid`,
 * `unsupported`, `auth`, `host_key` and `cancelled` none may: it would end the same, or nobody
 * wants it. After `lost` one may only when idempotent: the operation may have been done. `attempt`
 * is the failed one's number, from 1. */
bool tt_retry_allows(const struct tt_retry *retry, enum tt_kind kind, uint32_t attempt);
/* True for the kinds that no policy tries again. */
bool tt_retry_never(enum tt_kind kind);

/* How long to wait, in ms, after attempt number `attempt` failed. Draws one random number when
 * there is jitter. */
int64_t tt_retry_delay(const struct tt_retry *retry, uint32_t attempt, struct tt_random *random);

#endif
