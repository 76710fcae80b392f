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
#include "core/base/heap.h"
#include "core/base/names.h"

#include <stdlib.h>

#define NOWHERE UINT32_MAX

struct pool {
    uint32_t used;
    struct tt_heap parked; /* lines, by the rank of their heads */
    bool freed;            /* there is more room than when the parked lines were last looked at */
};

struct line {
    uint32_t parked; /* the pool where it is parked; NOWHERE: it is open, or empty */
    struct tt_heap waiters;
};

struct waiter {
    uint32_t line : 31;
    uint32_t holds : 1;
};

struct tt_grants {
    struct tt_needs needs;
    struct pool *pools; /* one for each that `needs` knows */
    uint32_t pool_count, pool_capacity;
    struct line *lines; /* one for each set */
    uint32_t line_count, line_capacity;
    uint32_t *line_places; /* in the heap where it stands, open or parked */
    struct tt_heap open;
    struct waiter *waiters;
    uint32_t *waiter_places;
    uint32_t waiter_capacity;
    uint32_t *freed; /* the pools so marked */
    uint32_t freed_count;
};

struct tt_grants *tt_grants_new(void)
{
    struct tt_grants *grants = tt_zalloc(sizeof *grants);
    tt_needs_init(&grants->needs, TT_LIMITS_SMALLEST);
    return grants;
}

void tt_grants_free(struct tt_grants *grants)
{
    if (!grants)
        return;
    for (uint32_t i = 0; i < grants->pool_count; i++)
        tt_heap_free(&grants->pools[i].parked);
    for (uint32_t i = 0; i < grants->line_count; i++)
        tt_heap_free(&grants->lines[i].waiters);
    tt_heap_free(&grants->open);
    tt_needs_clear(&grants->needs);
    free(grants->pools);
    free(grants->lines);
    free(grants->line_places);
    free(grants->waiters);
    free(grants->waiter_places);
    free(grants->freed);
    free(grants);
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* Makes a pool and a line for each that `needs` has come to know. */
static void follow(struct tt_grants *grants)
{
    uint32_t pools = tt_needs_pool_count(&grants->needs);
    uint32_t lines = tt_needs_set_count(&grants->needs);
    if (pools > grants->pool_capacity) {
        grants->pool_capacity = grants->needs.pool_capacity;
        grants->pools =
            tt_reallocarray(grants->pools, grants->pool_capacity, sizeof *grants->pools);
        grants->freed =
            tt_reallocarray(grants->freed, grants->pool_capacity, sizeof *grants->freed);
    }
    if (lines > grants->line_capacity) {
        grants->line_capacity = grants->needs.set_capacity;
        grants->lines =
            tt_reallocarray(grants->lines, grants->line_capacity, sizeof *grants->lines);
        grants->line_places =
            tt_reallocarray(grants->line_places, grants->line_capacity, sizeof(uint32_t));
    }
    for (; grants->pool_count < pools; grants->pool_count++)
        grants->pools[grants->pool_count] = (struct pool){0};
    for (; grants->line_count < lines; grants->line_count++) {
        grants->lines[grants->line_count] = (struct line){.parked = NOWHERE};
        grants->line_places[grants->line_count] = 0;
    }
}

int tt_grants_set(struct tt_grants *grants, const struct tt_pool_need *list, size_t count,
                  uint32_t *set, struct tt_error **err)
{
    int rc = tt_needs_set(&grants->needs, list, count, set, err);
    follow(grants);
    return rc;
}

static uint32_t room(const struct tt_grants *grants, uint32_t at)
{
    uint32_t limit = grants->needs.pools[at].limit, used = grants->pools[at].used;
    if (!limit)
        limit = UINT32_MAX;
    return used < limit ? limit - used : 0;
}

static void mark_freed(struct tt_grants *grants, uint32_t at)
{
    if (grants->pools[at].freed || !grants->pools[at].parked.count)
        return;
    grants->pools[at].freed = true;
    grants->freed[grants->freed_count++] = at;
}

/* The line as an item of a heap of lines: its head's rank. */
static struct tt_heap_item ranked(const struct tt_grants *grants, uint32_t line)
{
    struct tt_heap_item item = grants->lines[line].waiters.items[0];
    item.id = line;
    return item;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void open_line(struct tt_grants *grants, uint32_t line)
{
    grants->lines[line].parked = NOWHERE;
    tt_heap_push(&grants->open, grants->line_places, ranked(grants, line));
}

static void park_line(struct tt_grants *grants, uint32_t line, uint32_t at)
{
    grants->lines[line].parked = at;
    tt_heap_push(&grants->pools[at].parked, grants->line_places, ranked(grants, line));
}

/* Takes a line from where it stands, if it stands anywhere. */
static void lift_line(struct tt_grants *grants, uint32_t at)
{
    uint32_t place = grants->line_places[at], parked = grants->lines[at].parked;
    if (!place)
        return;
    if (parked == NOWHERE) {
        tt_heap_remove(&grants->open, grants->line_places, at);
        return;
    }
    tt_heap_remove(&grants->pools[parked].parked, grants->line_places, at);
    grants->lines[at].parked = NOWHERE;
    if (place == 1) /* the next one need not be short */
        mark_freed(grants, parked);
}

static void enter(struct tt_grants *grants, uint32_t waiter)
{
    if (waiter < grants->waiter_capacity)
        return;
    uint32_t old = grants->waiter_capacity;
    uint32_t capacity = waiter < 16 ? 16 : waiter + waiter / 2;
    grants->waiters = tt_reallocarray(grants->waiters, capacity, sizeof *grants->waiters);
    grants->waiter_places =
        tt_reallocarray(grants->waiter_places, capacity, sizeof *grants->waiter_places);
    for (uint32_t i = old; i < capacity; i++) {
        grants->waiters[i] = (struct waiter){0};
        grants->waiter_places[i] = 0;
    }
    grants->waiter_capacity = capacity;
}

void tt_grants_wait(struct tt_grants *grants, uint32_t waiter, uint32_t set, uint64_t priority,
                    uint32_t order)
{
    enter(grants, waiter);
    grants->waiters[waiter] = (struct waiter){.line = set & 0x7fffffffu};
    tt_heap_push(&grants->lines[set].waiters, grants->waiter_places,
                 (struct tt_heap_item){.key = ~priority, .order = order, .id = waiter});
    if (grants->lines[set].waiters.items[0].id != waiter)
        return;
    lift_line(grants, set);
    open_line(grants, set);
}

void tt_grants_leave(struct tt_grants *grants, uint32_t waiter)
{
    if (!tt_grants_waiting(grants, waiter))
        return;
    uint32_t at = grants->waiters[waiter].line;
    struct line *line = &grants->lines[at];
    bool first = line->waiters.items[0].id == waiter;
    if (first)
        lift_line(grants, at);
    tt_heap_remove(&line->waiters, grants->waiter_places, waiter);
    if (first && line->waiters.count)
        open_line(grants, at);
}

/* The best line that may be able to go; NOWHERE: none. */
static uint32_t candidate(struct tt_grants *grants)
{
    const struct tt_heap_item *best = grants->open.count ? &grants->open.items[0] : NULL;
    for (uint32_t i = 0; i < grants->freed_count;) {
        struct pool *pool = &grants->pools[grants->freed[i]];
        if (!pool->parked.count) {
            pool->freed = false;
            grants->freed[i] = grants->freed[--grants->freed_count];
            continue;
        }
        if (!best || tt_heap_before(&pool->parked.items[0], best))
            best = &pool->parked.items[0];
        i++;
    }
    return best ? best->id : NOWHERE;
}

/* The first of the line's pools that is short for its head; NOWHERE: it can go. */
static uint32_t shortage(const struct tt_grants *grants, uint32_t at)
{
    const struct tt_needed_set *set = &grants->needs.sets[at];
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t at_pool = set->parts[i].pool;
        const struct tt_heap *parked = &grants->pools[at_pool].parked;
        if (room(grants, at_pool) < set->parts[i].amount)
            return at_pool;
        if (parked->count && parked->items[0].id != at &&
            tt_heap_before(&parked->items[0], &grants->lines[at].waiters.items[0]))
            return at_pool;
    }
    return NOWHERE;
}

static void clear_freed(struct tt_grants *grants, uint32_t pool)
{
    uint32_t i = 0;
    while (grants->freed[i] != pool)
        i++;
    grants->freed[i] = grants->freed[--grants->freed_count];
    grants->pools[pool].freed = false;
}

static void take(struct tt_grants *grants, uint32_t at)
{
    const struct tt_needed_set *set = &grants->needs.sets[at];
    for (uint32_t i = 0; i < set->count; i++)
        grants->pools[set->parts[i].pool].used += set->parts[i].amount;
}

static void give_back(struct tt_grants *grants, uint32_t at)
{
    const struct tt_needed_set *set = &grants->needs.sets[at];
    for (uint32_t i = 0; i < set->count; i++) {
        grants->pools[set->parts[i].pool].used -= set->parts[i].amount;
        mark_freed(grants, set->parts[i].pool);
    }
}

bool tt_grants_next(struct tt_grants *grants, uint32_t *waiter)
{
    for (uint32_t at; (at = candidate(grants)) != NOWHERE;) {
        struct line *line = &grants->lines[at];
        uint32_t lack = shortage(grants, at);
        if (lack != NOWHERE && lack == line->parked) {
            clear_freed(grants, lack);
            continue;
        }
        lift_line(grants, at);
        if (lack != NOWHERE) {
            park_line(grants, at, lack);
            continue;
        }
        *waiter = line->waiters.items[0].id;
        tt_heap_remove(&line->waiters, grants->waiter_places, *waiter);
        grants->waiters[*waiter].holds = true;
        take(grants, at);
        if (line->waiters.count)
            open_line(grants, at);
        return true;
    }
    return false;
}

void tt_grants_release(struct tt_grants *grants, uint32_t waiter)
{
    give_back(grants, grants->waiters[waiter].line);
    grants->waiters[waiter] = (struct waiter){0};
}

void tt_grants_keep(struct tt_grants *grants, uint32_t waiter, uint32_t set)
{
    give_back(grants, grants->waiters[waiter].line);
    take(grants, set);
    grants->waiters[waiter].line = set & 0x7fffffffu;
}

bool tt_grants_waiting(const struct tt_grants *grants, uint32_t waiter)
{
    return waiter < grants->waiter_capacity && grants->waiter_places[waiter] != 0;
}

bool tt_grants_holds(const struct tt_grants *grants, uint32_t waiter)
{
    return waiter < grants->waiter_capacity && grants->waiters[waiter].holds;
}

bool tt_grants_use(const struct tt_grants *grants, const char *key, uint32_t *used, uint32_t *limit)
{
    uint32_t at = tt_names_find(grants->needs.keys, key);
    if (at == TT_NO_NAME)
        return false;
    if (used)
        *used = grants->pools[at].used;
    if (limit)
        *limit = grants->needs.pools[at].limit;
    return true;
}

void tt_grants_limit(struct tt_grants *grants, uint32_t set, uint32_t limit)
{
    uint32_t at = grants->needs.sets[set].parts[0].pool;
    grants->needs.pools[at].limit = limit;
    mark_freed(grants, at);
}
