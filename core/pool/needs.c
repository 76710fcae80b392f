#include "core/pool/needs.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/names.h"

#include <stdlib.h>

void tt_needs_init(struct tt_needs *needs, enum tt_two_limits two_limits)
{
    *needs = (struct tt_needs){
        .two_limits = two_limits, .keys = tt_names_new(), .texts = tt_names_new()};
}

void tt_needs_clear(struct tt_needs *needs)
{
    for (uint32_t i = 0; i < tt_needs_set_count(needs); i++)
        free(needs->sets[i].parts);
    free(needs->sets);
    free(needs->pools);
    tt_names_free(needs->keys);
    tt_names_free(needs->texts);
}

uint32_t tt_needs_pool_count(const struct tt_needs *needs)
{
    return tt_names_count(needs->keys);
}

uint32_t tt_needs_set_count(const struct tt_needs *needs)
{
    return tt_names_count(needs->texts);
}

const char *tt_needs_key(const struct tt_needs *needs, uint32_t pool)
{
    return tt_names_text(needs->keys, pool);
}

static uint32_t pool_of(struct tt_needs *needs, const char *key)
{
    uint32_t known = tt_needs_pool_count(needs), pool = tt_names_add(needs->keys, key);
    if (pool >= needs->pool_capacity) {
        needs->pool_capacity = needs->pool_capacity ? needs->pool_capacity * 2 : 8;
        needs->pools = tt_reallocarray(needs->pools, needs->pool_capacity, sizeof *needs->pools);
    }
    if (tt_needs_pool_count(needs) > known)
        needs->pools[pool] = (struct tt_needed_pool){0};
    return pool;
}

/* One of the pools that are asked for. */
struct ask {
    uint32_t pool, limit;
    uint64_t amount; /* wide enough for a sum */
};

static int by_pool(const void *a, const void *b)
{
    uint32_t x = ((const struct ask *)a)->pool, y = ((const struct ask *)b)->pool;
    return x < y ? -1 : x > y;
}

/* Which limit holds, of the one known and the one stated now (0: none). */
static uint32_t decide_limit(const struct tt_needs *needs, uint32_t known, uint32_t stated)
{
    if (!known || !stated)
        return known ? known : stated;
    return needs->two_limits == TT_LIMITS_SMALLEST && stated < known ? stated : known;
}

static bool contradicts(const struct tt_needs *needs, uint32_t a, uint32_t b)
{
    return needs->two_limits == TT_LIMITS_REFUSED && a && b && a != b;
}

/* Sorts by pool and adds up those of one pool; *count becomes how many are left. */
static int merge(const struct tt_needs *needs, struct ask *asks, uint32_t *count,
                 struct tt_error **err)
{
    uint32_t out = 0;
    qsort(asks, *count, sizeof *asks, by_pool);
    for (uint32_t i = 0; i < *count; i++) {
        if (!out || asks[out - 1].pool != asks[i].pool) {
            asks[out++] = asks[i];
            continue;
        }
        struct ask *same = &asks[out - 1];
        same->amount += asks[i].amount;
        if (contradicts(needs, same->limit, asks[i].limit))
            return tt_fail(err, TT_INVALID, "%s has two limits, %u and %u",
                           tt_needs_key(needs, same->pool), same->limit, asks[i].limit);
        same->limit = decide_limit(needs, same->limit, asks[i].limit);
    }
    *count = out;
    return 0;
}

static int check(const struct tt_needs *needs, const struct ask *ask, struct tt_error **err)
{
    const struct tt_needed_pool *pool = &needs->pools[ask->pool];
    const char *key = tt_needs_key(needs, ask->pool);
    if (contradicts(needs, ask->limit, pool->limit))
        return tt_fail(err, TT_INVALID, "%s has a limit of %u here and of %u elsewhere", key,
                       ask->limit, pool->limit);
    uint32_t limit = decide_limit(needs, pool->limit, ask->limit);
    uint64_t amount = ask->amount > pool->most ? ask->amount : pool->most;
    if (amount > (limit ? limit : UINT32_MAX))
        return tt_fail(err, TT_INVALID, "%llu of %s are needed at once, where there are %u",
                       (unsigned long long)amount, key, limit ? limit : UINT32_MAX);
    return 0;
}

static uint32_t number_of(struct tt_needs *needs, const struct ask *asks, uint32_t count)
{
    struct tt_buf text = {0};
    for (uint32_t i = 0; i < count; i++)
        tt_buf_format(&text, "%x:%x ", asks[i].pool, (uint32_t)asks[i].amount);
    uint32_t known = tt_needs_set_count(needs);
    uint32_t set = tt_names_add(needs->texts, count ? text.data : "");
    tt_buf_free(&text);
    if (set < known)
        return set;
    if (set >= needs->set_capacity) {
        needs->set_capacity = needs->set_capacity ? needs->set_capacity * 2 : 8;
        needs->sets = tt_reallocarray(needs->sets, needs->set_capacity, sizeof *needs->sets);
    }
    struct tt_needed_set *made = &needs->sets[set];
    made->count = count;
    made->parts = tt_reallocarray(NULL, count, sizeof *made->parts);
    for (uint32_t i = 0; i < count; i++)
        made->parts[i] = (struct tt_needed_part){asks[i].pool, (uint32_t)asks[i].amount};
    return set;
}

int tt_needs_set(struct tt_needs *needs, const struct tt_pool_need *list, size_t list_count,
                 uint32_t *set, struct tt_error **err)
{
    uint32_t known = tt_needs_pool_count(needs), count = (uint32_t)list_count;
    struct ask *asks = tt_reallocarray(NULL, list_count, sizeof *asks);
    for (uint32_t i = 0; i < count; i++)
        asks[i] = (struct ask){.pool = pool_of(needs, list[i].key),
                               .limit = list[i].limit,
                               .amount = list[i].amount ? list[i].amount : 1};
    int rc = merge(needs, asks, &count, err);
    for (uint32_t i = 0; i < count && !rc; i++)
        rc = check(needs, &asks[i], err);
    if (rc) {
        tt_names_truncate(needs->keys, known);
    } else {
        for (uint32_t i = 0; i < count; i++) {
            struct tt_needed_pool *pool = &needs->pools[asks[i].pool];
            pool->limit = decide_limit(needs, pool->limit, asks[i].limit);
            if (asks[i].amount > pool->most)
                pool->most = (uint32_t)asks[i].amount;
        }
        *set = number_of(needs, asks, count);
    }
    free(asks);
    return rc;
}
