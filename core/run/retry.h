/* When a failed attempt is tried again, and after how long. Pure: the generator is the caller's. */
#ifndef TT_RETRY_H
#define TT_RETRY_H

#include "core/base/error.h"
#include "core/base/random.h"

#include <stdbool.h>
#include <stdint.h>

struct tt_retry {
    uint32_t retries; /* tries after the first */
    bool idempotent;  /* `lost` may be tried again: running it twice does no harm */
    int64_t first;    /* ms before the first retry */
    double factor;    /* each wait is the last one's this many times; 0 counts as 1 */
    int64_t max;      /* ms, no wait is longer; 0: no bound */
    double jitter;    /* 0 … 1: up to this part of each wait is taken off at random */
};

/* -TT_INVALID when a number is out of its range. */
int tt_retry_check(const struct tt_retry *retry, struct tt_error **err);

/* Whether an attempt that failed with this kind may be followed by another. invalid, unsupported,
 * auth, host_key and cancelled never are: the next try would end the same, or nobody wants it. lost
 * is only when idempotent: the operation may have been done. `attempt` counts from 1. */
bool tt_retry_allows(const struct tt_retry *retry, enum tt_kind kind, uint32_t attempt);
/* Kinds that no retry can cure, whatever the policy. */
bool tt_retry_never(enum tt_kind kind);

/* How long to wait after that attempt failed, in ms. Draws one number when there is jitter. */
int64_t tt_retry_delay(const struct tt_retry *retry, uint32_t attempt, struct tt_random *random);

#endif
