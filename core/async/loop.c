#include "core/async/loop.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"

#include <stdlib.h>

struct slot {
    struct slot *next;
    const struct tt_slot *what;
    max_align_t bytes[];
};

struct tt_loop {
    uv_loop_t uv;
    uv_timer_t alarm; /* armed for the earliest timer, real clock only */
    int64_t alarm_at;
    enum tt_clock clock;
    int64_t virtual_now;
    int64_t wall_offset; /* wall = now + offset */
    uint64_t random;
    struct tt_job *first, **last;
    struct tt_timer **heap;
    size_t timers, room;
    uint64_t order;
    size_t live_ops;
    struct tt_job *quiet; /* posted when the last operation goes */
    struct slot *slots;   /* the newest first */
};

static void on_alarm(uv_timer_t *alarm)
{
    struct tt_loop *loop = alarm->data;
    loop->alarm_at = TT_NEVER;
}

int tt_loop_new(struct tt_loop **out, enum tt_clock clock, uint64_t seed, struct tt_error **err)
{
    struct tt_loop *loop = tt_zalloc(sizeof *loop);
    int rc = TT_FAULT("loop.init") ? UV_EIO : uv_loop_init(&loop->uv);
    if (rc < 0) {
        free(loop);
        return tt_fail(err, TT_IO, "no event loop: %s", uv_strerror(rc));
    }
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->alarm.data = loop;
    loop->alarm_at = TT_NEVER;
    loop->clock = clock;
    loop->last = &loop->first;
    loop->random = seed;
    uv_timeval64_t wall;
    uv_gettimeofday(&wall);
    loop->virtual_now = (int64_t)uv_now(&loop->uv);
    loop->wall_offset = wall.tv_sec * 1000 + wall.tv_usec / 1000 - tt_loop_now(loop);
    *out = loop;
    return 0;
}

void tt_loop_free(struct tt_loop *loop)
{
    if (!loop)
        return;
    while (loop->slots) {
        struct slot *slot = loop->slots;
        loop->slots = slot->next;
        if (slot->what->clear)
            slot->what->clear(slot->bytes);
        free(slot);
    }
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    while (uv_run(&loop->uv, UV_RUN_NOWAIT))
        continue;
    uv_loop_close(&loop->uv);
    free(loop->heap);
    free(loop);
}

uv_loop_t *tt_loop_uv(struct tt_loop *loop)
{
    return &loop->uv;
}

int64_t tt_loop_now(const struct tt_loop *loop)
{
    /* Not uv_now: that stands still while a job computes. */
    return loop->clock == TT_CLOCK_VIRTUAL ? loop->virtual_now : (int64_t)(uv_hrtime() / 1000000);
}

int64_t tt_loop_wall(const struct tt_loop *loop)
{
    return tt_loop_now(loop) + loop->wall_offset;
}

/* splitmix64, Steele, Lea and Flood, OOPSLA 2014. */
uint64_t tt_loop_random(struct tt_loop *loop)
{
    uint64_t z = loop->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t tt_deadline_after(int64_t now, int64_t ms)
{
    return ms >= TT_NEVER - now ? TT_NEVER : now + ms;
}

void tt_loop_post(struct tt_loop *loop, struct tt_job *job)
{
    if (job->posted)
        return;
    job->posted = true;
    job->next = NULL;
    *loop->last = job;
    loop->last = &job->next;
}

void tt_loop_unpost(struct tt_loop *loop, struct tt_job *job)
{
    if (!job->posted)
        return;
    struct tt_job **at = &loop->first;
    while (*at && *at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!*at)
        loop->last = at;
    job->posted = false;
}

static bool drain(struct tt_loop *loop, const bool *finished)
{
    bool any = false;
    while (loop->first && !*finished) {
        struct tt_job *job = loop->first;
        loop->first = job->next;
        if (!loop->first)
            loop->last = &loop->first;
        job->posted = false;
        any = true;
        job->run(job);
    }
    return any;
}

static bool earlier(const struct tt_timer *a, const struct tt_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(struct tt_loop *loop, struct tt_timer *timer, size_t slot)
{
    loop->heap[slot] = timer;
    timer->slot = slot + 1;
}

static void sift(struct tt_loop *loop, struct tt_timer *timer, size_t slot)
{
    while (slot > 0 && earlier(timer, loop->heap[(slot - 1) / 2])) {
        place(loop, loop->heap[(slot - 1) / 2], slot);
        slot = (slot - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= loop->timers)
            break;
        if (child + 1 < loop->timers && earlier(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!earlier(loop->heap[child], timer))
            break;
        place(loop, loop->heap[child], slot);
        slot = child;
    }
    place(loop, timer, slot);
}

void tt_timer_start(struct tt_loop *loop, struct tt_timer *timer, int64_t at,
                    void (*fire)(struct tt_timer *))
{
    tt_timer_stop(loop, timer);
    if (loop->timers == loop->room) {
        loop->room = loop->room ? loop->room * 2 : 64;
        loop->heap = tt_reallocarray(loop->heap, loop->room, sizeof *loop->heap);
    }
    timer->fire = fire;
    timer->at = at;
    timer->order = loop->order++;
    sift(loop, timer, loop->timers++);
}

void tt_timer_stop(struct tt_loop *loop, struct tt_timer *timer)
{
    if (!timer->slot)
        return;
    size_t slot = timer->slot - 1;
    struct tt_timer *last = loop->heap[--loop->timers];
    timer->slot = 0;
    if (last != timer)
        sift(loop, last, slot);
}

/* Fires what is due; jobs that a timer posts run before the next timer. */
static bool fire_due(struct tt_loop *loop, const bool *finished)
{
    bool any = false;
    while (loop->timers && loop->heap[0]->at <= tt_loop_now(loop) && !*finished) {
        struct tt_timer *timer = loop->heap[0];
        tt_timer_stop(loop, timer);
        timer->fire(timer);
        drain(loop, finished);
        any = true;
    }
    return any;
}

static void arm(struct tt_loop *loop)
{
    int64_t at = loop->timers ? loop->heap[0]->at : TT_NEVER;
    if (loop->clock == TT_CLOCK_VIRTUAL || at == loop->alarm_at)
        return;
    loop->alarm_at = at;
    if (at == TT_NEVER) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    uv_update_time(&loop->uv);
    int64_t wait = at - tt_loop_now(loop);
    uv_timer_start(&loop->alarm, on_alarm, wait > 0 ? (uint64_t)wait : 0, 0);
}

bool tt_loop_run(struct tt_loop *loop, const bool *finished)
{
    while (!*finished) {
        bool any = drain(loop, finished);
        any |= fire_due(loop, finished);
        if (any || *finished)
            continue;
        if (loop->clock == TT_CLOCK_VIRTUAL && loop->timers) {
            if (uv_loop_alive(&loop->uv) && uv_run(&loop->uv, UV_RUN_NOWAIT) && loop->first)
                continue;
            loop->virtual_now = loop->heap[0]->at;
            continue;
        }
        arm(loop);
        int alive = uv_run(&loop->uv, UV_RUN_ONCE);
        if (!alive && !loop->first && !loop->timers)
            return false;
    }
    return true;
}

void *tt_loop_slot(struct tt_loop *loop, const struct tt_slot *what)
{
    for (struct slot *slot = loop->slots; slot; slot = slot->next)
        if (slot->what == what)
            return slot->bytes;
    struct slot *slot = tt_zalloc(sizeof *slot + what->size);
    slot->what = what;
    slot->next = loop->slots;
    loop->slots = slot;
    return slot->bytes;
}

size_t tt_loop_live_ops(const struct tt_loop *loop)
{
    return loop->live_ops;
}

void tt_loop_count_op(struct tt_loop *loop, int change)
{
    loop->live_ops += (size_t)change;
    if (!loop->live_ops && loop->quiet)
        tt_loop_post(loop, loop->quiet);
}

struct settling {
    struct tt_timer timer;
    struct tt_job quiet; /* behind the jobs that the last operation left */
    struct tt_loop *loop;
    bool over;
};

static void on_patience_over(struct tt_timer *timer)
{
    ((struct settling *)(void *)timer)->over = true;
}

static void on_quiet(struct tt_job *job)
{
    struct settling *settling = tt_owner(job, struct settling, quiet);
    settling->over = !settling->loop->live_ops;
}

void tt_loop_settle(struct tt_loop *loop, int64_t at_most)
{
    struct settling settling = {.quiet.run = on_quiet, .loop = loop};
    loop->quiet = &settling.quiet;
    tt_loop_post(loop, &settling.quiet);
    tt_timer_start(loop, &settling.timer, tt_deadline_after(tt_loop_now(loop), at_most),
                   on_patience_over);
    tt_loop_run(loop, &settling.over);
    tt_timer_stop(loop, &settling.timer);
    tt_loop_unpost(loop, &settling.quiet);
    loop->quiet = NULL;
}
