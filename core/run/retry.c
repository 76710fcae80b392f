#include "core/run/retry.h"

int tt_retry_check(const struct tt_retry *retry, struct tt_error **err)
{
    if (retry->first < 0)
        return tt_fail(err, TT_INVALID, "backoff.first is negative");
    if (retry->max < 0)
        return tt_fail(err, TT_INVALID, "backoff.max is negative");
    if (!(retry->factor == 0 || (retry->factor >= 1 && retry->factor <= 1e9)))
        return tt_fail(err, TT_INVALID, "backoff.factor is %g, not 1 or more", retry->factor);
    if (!(retry->jitter >= 0 && retry->jitter <= 1))
        return tt_fail(err, TT_INVALID, "backoff.jitter is %g, not 0 to 1", retry->jitter);
    return 0;
}

bool tt_retry_never(enum tt_kind kind)
{
    switch (kind) {
    case TT_INVALID:
    case TT_UNSUPPORTED:
    case TT_AUTH:
    case TT_HOST_KEY:
    case TT_CANCELLED:
        return true;
    default:
        return false;
    }
}

bool tt_retry_allows(const struct tt_retry *retry, enum tt_kind kind, uint32_t attempt)
{
    return attempt <= retry->retries && !tt_retry_never(kind) &&
           (kind != TT_LOST || retry->idempotent);
}

int64_t tt_retry_delay(const struct tt_retry *retry, uint32_t attempt, struct tt_random *random)
{
    const double longest = 0x1p62; /* about 146 million years, and well inside int64_t */
    double most = retry->max > 0 && (double)retry->max < longest ? (double)retry->max : longest;
    double delay = (double)retry->first;
    double factor = retry->factor > 1 ? retry->factor : 1;
    if (factor > 1)
        for (uint32_t i = 1; i < attempt && delay < most && delay > 0; i++)
            delay *= factor;
    if (delay > most)
        delay = most;
    if (retry->jitter > 0)
        delay *= 1 - retry->jitter * tt_random_unit(random);
    return (int64_t)delay;
}
