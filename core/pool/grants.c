/* Waiters for the same set stand in one line (a heap by rank); only a line's head matters. A line
 * whose head cannot go is parked at the pool that is short; one that may be able to go is `open`.
 *
 * The invariant behind the speed: the best line parked at a pool really is short there, unless the
 * pool is marked `freed`. So the next waiter to go is the best of the open lines and of those
 * parked at freed pools; a look either lets a waiter go, or parks a line, or clears a mark. Lines
 * of lower rank behind the best one parked at a pool count as short there too: they may not
 * overtake it. */
#include "core/pool/grants.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/heap.h"
#include "core/base/names.h"

#include <stdlib.h>

#define NOWHERE UINT32_MAX

struct pool {
    uint32_t limit; /* 0: none stated */
    uint32_t most;  /* the largest amount that a set takes */
    uint32_t used;
    struct tt_heap parked; /* lines, by the rank of their heads */
    bool freed;            /* there is more room than when the parked lines were last looked at */
};

struct part {
    uint32_t pool, amount;
};

struct line {
    struct part *parts; /* ascending by pool */
    uint32_t count;
    uint32_t parked; /* the pool where it is parked; NOWHERE: it is open, or empty */
    struct tt_heap waiters;
};

struct waiter {
    uint32_t line : 31;
    uint32_t holds : 1;
};

struct tt_pools {
    struct tt_names *keys; /* of pools */
    struct pool *pools;
    uint32_t pool_capacity;
    struct tt_names *sets; /* each line's parts as text */
    struct line *lines;
    uint32_t *line_places; /* in the heap where it stands, open or parked */
    uint32_t line_capacity;
    struct tt_heap open;
    struct waiter *waiters;
    uint32_t *waiter_places;
    uint32_t waiter_capacity;
    uint32_t *freed; /* the pools so marked */
    uint32_t freed_count;
};

struct tt_pools *tt_pools_new(void)
{
    struct tt_pools *pools = tt_zalloc(sizeof *pools);
    pools->keys = tt_names_new();
    pools->sets = tt_names_new();
    return pools;
}

void tt_pools_free(struct tt_pools *pools)
{
    if (!pools)
        return;
    for (uint32_t i = 0; i < tt_names_count(pools->keys); i++)
        tt_heap_free(&pools->pools[i].parked);
    for (uint32_t i = 0; i < tt_names_count(pools->sets); i++) {
        tt_heap_free(&pools->lines[i].waiters);
        free(pools->lines[i].parts);
    }
    tt_heap_free(&pools->open);
    tt_names_free(pools->keys);
    tt_names_free(pools->sets);
    free(pools->pools);
    free(pools->lines);
    free(pools->line_places);
    free(pools->waiters);
    free(pools->waiter_places);
    free(pools->freed);
    free(pools);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static uint32_t pool_of(struct tt_pools *pools, const char *key)
{
    uint32_t known = tt_names_count(pools->keys), pool = tt_names_add(pools->keys, key);
    if (pool >= pools->pool_capacity) {
        pools->pool_capacity = pools->pool_capacity ? pools->pool_capacity * 2 : 8;
        pools->pools = tt_reallocarray(pools->pools, pools->pool_capacity, sizeof *pools->pools);
        pools->freed = tt_reallocarray(pools->freed, pools->pool_capacity, sizeof *pools->freed);
    }
    if (tt_names_count(pools->keys) > known)
        pools->pools[pool] = (struct pool){0};
    return pool;
}

static uint32_t line_of(struct tt_pools *pools, const struct part *parts, uint32_t count)
{
    struct tt_buf text = {0};
    for (uint32_t i = 0; i < count; i++)
        tt_buf_format(&text, "%x:%x ", parts[i].pool, parts[i].amount);
    uint32_t known = tt_names_count(pools->sets);
    uint32_t set = tt_names_add(pools->sets, count ? text.data : "");
    tt_buf_free(&text);
    if (set < known)
        return set;
    if (set >= pools->line_capacity) {
        uint32_t old = pools->line_capacity;
        pools->line_capacity = old ? old * 2 : 8;
        pools->lines = tt_reallocarray(pools->lines, pools->line_capacity, sizeof *pools->lines);
        pools->line_places =
            tt_reallocarray(pools->line_places, pools->line_capacity, sizeof *pools->line_places);
    }
    pools->line_places[set] = 0;
    struct line *line = &pools->lines[set];
    *line = (struct line){.count = count, .parked = NOWHERE};
    line->parts = tt_reallocarray(NULL, count, sizeof *line->parts);
    for (uint32_t i = 0; i < count; i++)
        line->parts[i] = parts[i];
    return set;
}

/* One asked-for pool, for tt_pools_set. */
struct ask {
    struct part part;
    uint32_t limit;
    uint64_t amount; /* wide enough for a sum */
};

static int by_pool(const void *a, const void *b)
{
    uint32_t x = ((const struct ask *)a)->part.pool, y = ((const struct ask *)b)->part.pool;
    return x < y ? -1 : x > y;
}

/* Sorts by pool and adds up those of one pool; returns how many are left, or -kind. */
static int merge(struct tt_pools *pools, struct ask *asks, uint32_t *count, struct tt_error **err)
{
    uint32_t out = 0;
    qsort(asks, *count, sizeof *asks, by_pool);
    for (uint32_t i = 0; i < *count; i++) {
        if (!out || asks[out - 1].part.pool != asks[i].part.pool) {
            asks[out++] = asks[i];
            continue;
        }
        struct ask *same = &asks[out - 1];
        same->amount += asks[i].amount;
        if (same->limit && asks[i].limit && same->limit != asks[i].limit)
            return tt_fail(err, TT_INVALID, "%s has two limits, %u and %u",
                           tt_names_text(pools->keys, same->part.pool), same->limit, asks[i].limit);
        if (!same->limit)
            same->limit = asks[i].limit;
    }
    *count = out;
    return 0;
}

static int check(struct tt_pools *pools, const struct ask *ask, struct tt_error **err)
{
    const struct pool *pool = &pools->pools[ask->part.pool];
    const char *key = tt_names_text(pools->keys, ask->part.pool);
    if (ask->limit && pool->limit && ask->limit != pool->limit)
        return tt_fail(err, TT_INVALID, "%s has a limit of %u here and of %u elsewhere", key,
                       ask->limit, pool->limit);
    uint32_t limit = ask->limit ? ask->limit : pool->limit;
    uint64_t amount = ask->amount > pool->most ? ask->amount : pool->most;
    if (amount > (limit ? limit : UINT32_MAX))
        return tt_fail(err, TT_INVALID, "%llu of %s are needed at once, where there are %u",
                       (unsigned long long)amount, key, limit ? limit : UINT32_MAX);
    return 0;
}

int tt_pools_set(struct tt_pools *pools, const struct tt_pool_need *needs, size_t need_count,
                 uint32_t *set, struct tt_error **err)
{
    uint32_t known = tt_names_count(pools->keys), count = (uint32_t)need_count;
    struct ask *asks = tt_reallocarray(NULL, need_count, sizeof *asks);
    for (uint32_t i = 0; i < count; i++)
        asks[i] = (struct ask){.part.pool = pool_of(pools, needs[i].key),
                               .limit = needs[i].limit,
                               .amount = needs[i].amount ? needs[i].amount : 1};
    int rc = merge(pools, asks, &count, err);
    for (uint32_t i = 0; i < count && !rc; i++)
        rc = check(pools, &asks[i], err);
    if (rc) {
        tt_names_truncate(pools->keys, known);
    } else {
        struct part *parts = tt_reallocarray(NULL, count, sizeof *parts);
        for (uint32_t i = 0; i < count; i++) {
            struct pool *pool = &pools->pools[asks[i].part.pool];
            if (asks[i].limit)
                pool->limit = asks[i].limit;
            if (asks[i].amount > pool->most)
                pool->most = (uint32_t)asks[i].amount;
            parts[i] = asks[i].part;
            parts[i].amount = (uint32_t)asks[i].amount;
        }
        *set = line_of(pools, parts, count);
        free(parts);
    }
    free(asks);
    return rc;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static uint32_t room(const struct pool *pool)
{
    uint32_t limit = pool->limit ? pool->limit : UINT32_MAX;
    return pool->used < limit ? limit - pool->used : 0;
}

static void mark_freed(struct tt_pools *pools, uint32_t at)
{
    if (pools->pools[at].freed || !pools->pools[at].parked.count)
        return;
    pools->pools[at].freed = true;
    pools->freed[pools->freed_count++] = at;
}

/* The line as an item of a heap of lines: its head's rank. */
static struct tt_heap_item ranked(const struct tt_pools *pools, uint32_t line)
{
    struct tt_heap_item item = pools->lines[line].waiters.items[0];
    item.id = line;
    return item;
}

static void open_line(struct tt_pools *pools, uint32_t line)
{
    pools->lines[line].parked = NOWHERE;
    tt_heap_push(&pools->open, pools->line_places, ranked(pools, line));
}

static void park_line(struct tt_pools *pools, uint32_t line, uint32_t at)
{
    pools->lines[line].parked = at;
    tt_heap_push(&pools->pools[at].parked, pools->line_places, ranked(pools, line));
}

/* Takes a line from where it stands, if it stands anywhere. */
static void lift_line(struct tt_pools *pools, uint32_t at)
{
    uint32_t place = pools->line_places[at], parked = pools->lines[at].parked;
    if (!place)
        return;
    if (parked == NOWHERE) {
        tt_heap_remove(&pools->open, pools->line_places, at);
        return;
    }
    tt_heap_remove(&pools->pools[parked].parked, pools->line_places, at);
    pools->lines[at].parked = NOWHERE;
    if (place == 1) /* the next one need not be short */
        mark_freed(pools, parked);
}

static void enter(struct tt_pools *pools, uint32_t waiter)
{
    if (waiter < pools->waiter_capacity)
        return;
    uint32_t old = pools->waiter_capacity;
    uint32_t capacity = waiter < 16 ? 16 : waiter + waiter / 2;
    pools->waiters = tt_reallocarray(pools->waiters, capacity, sizeof *pools->waiters);
    pools->waiter_places =
        tt_reallocarray(pools->waiter_places, capacity, sizeof *pools->waiter_places);
    for (uint32_t i = old; i < capacity; i++) {
        pools->waiters[i] = (struct waiter){0};
        pools->waiter_places[i] = 0;
    }
    pools->waiter_capacity = capacity;
}

void tt_pools_wait(struct tt_pools *pools, uint32_t waiter, uint32_t set, uint64_t priority,
                   uint32_t order)
{
    enter(pools, waiter);
    pools->waiters[waiter] = (struct waiter){.line = set & 0x7fffffffu};
    tt_heap_push(&pools->lines[set].waiters, pools->waiter_places,
                 (struct tt_heap_item){.key = ~priority, .order = order, .id = waiter});
    if (pools->lines[set].waiters.items[0].id != waiter)
        return;
    lift_line(pools, set);
    open_line(pools, set);
}

void tt_pools_leave(struct tt_pools *pools, uint32_t waiter)
{
    if (!tt_pools_waiting(pools, waiter))
        return;
    uint32_t at = pools->waiters[waiter].line;
    struct line *line = &pools->lines[at];
    bool first = line->waiters.items[0].id == waiter;
    if (first)
        lift_line(pools, at);
    tt_heap_remove(&line->waiters, pools->waiter_places, waiter);
    if (first && line->waiters.count)
        open_line(pools, at);
}

/* The best line that may be able to go; NOWHERE: none. */
static uint32_t candidate(struct tt_pools *pools)
{
    const struct tt_heap_item *best = pools->open.count ? &pools->open.items[0] : NULL;
    for (uint32_t i = 0; i < pools->freed_count;) {
        struct pool *pool = &pools->pools[pools->freed[i]];
        if (!pool->parked.count) {
            pool->freed = false;
            pools->freed[i] = pools->freed[--pools->freed_count];
            continue;
        }
        if (!best || tt_heap_before(&pool->parked.items[0], best))
            best = &pool->parked.items[0];
        i++;
    }
    return best ? best->id : NOWHERE;
}

/* The first of the line's pools that is short for its head; NOWHERE: it can go. */
static uint32_t shortage(const struct tt_pools *pools, uint32_t at)
{
    const struct line *line = &pools->lines[at];
    for (uint32_t i = 0; i < line->count; i++) {
        const struct pool *pool = &pools->pools[line->parts[i].pool];
        if (room(pool) < line->parts[i].amount)
            return line->parts[i].pool;
        if (pool->parked.count && pool->parked.items[0].id != at &&
            tt_heap_before(&pool->parked.items[0], &line->waiters.items[0]))
            return line->parts[i].pool;
    }
    return NOWHERE;
}

static void clear_freed(struct tt_pools *pools, uint32_t pool)
{
    uint32_t i = 0;
    while (pools->freed[i] != pool)
        i++;
    pools->freed[i] = pools->freed[--pools->freed_count];
    pools->pools[pool].freed = false;
}

bool tt_pools_next(struct tt_pools *pools, uint32_t *waiter)
{
    for (uint32_t at; (at = candidate(pools)) != NOWHERE;) {
        struct line *line = &pools->lines[at];
        uint32_t lack = shortage(pools, at);
        if (lack != NOWHERE && lack == line->parked) {
            clear_freed(pools, lack);
            continue;
        }
        lift_line(pools, at);
        if (lack != NOWHERE) {
            park_line(pools, at, lack);
            continue;
        }
        *waiter = line->waiters.items[0].id;
        tt_heap_remove(&line->waiters, pools->waiter_places, *waiter);
        pools->waiters[*waiter].holds = true;
        for (uint32_t i = 0; i < line->count; i++)
            pools->pools[line->parts[i].pool].used += line->parts[i].amount;
        if (line->waiters.count)
            open_line(pools, at);
        return true;
    }
    return false;
}

void tt_pools_release(struct tt_pools *pools, uint32_t waiter)
{
    const struct line *line = &pools->lines[pools->waiters[waiter].line];
    pools->waiters[waiter] = (struct waiter){0};
    for (uint32_t i = 0; i < line->count; i++) {
        pools->pools[line->parts[i].pool].used -= line->parts[i].amount;
        mark_freed(pools, line->parts[i].pool);
    }
}

bool tt_pools_waiting(const struct tt_pools *pools, uint32_t waiter)
{
    return waiter < pools->waiter_capacity && pools->waiter_places[waiter] != 0;
}

bool tt_pools_holds(const struct tt_pools *pools, uint32_t waiter)
{
    return waiter < pools->waiter_capacity && pools->waiters[waiter].holds;
}

bool tt_pools_use(const struct tt_pools *pools, const char *key, uint32_t *used, uint32_t *limit)
{
    uint32_t at = tt_names_find(pools->keys, key);
    if (at == TT_NO_NAME)
        return false;
    if (used)
        *used = pools->pools[at].used;
    if (limit)
        *limit = pools->pools[at].limit;
    return true;
}
