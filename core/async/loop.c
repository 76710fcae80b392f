#include "core/async/loop.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/heap.h"
#include "core/base/owner.h"
#include "core/base/random.h"

#include <stdlib.h>

struct slot {
    struct slot *next;
    const struct tt_slot *what;
    max_align_t bytes[];
};

/* The running timers. Each has a number while it runs, which the heap sorts by time. */
struct timers {
    struct tt_heap heap;
    struct tt_timer **by_number;
    uint32_t *places; /* of the heap */
    uint32_t *spare;  /* numbers below `made` that nobody has */
    uint32_t made, spares, room;
    uint32_t order; /* begins anew whenever no timer runs */
};

struct tt_loop {
    uv_loop_t uv;
    uv_timer_t alarm; /* armed for the earliest timer */
    int64_t alarm_at;
    enum tt_clock clock;
    int64_t virtual_now;
    uint64_t passed;     /* ns that passed outside and are not in virtual_now yet */
    int64_t wall_offset; /* wall = now + offset */
    struct tt_random random;
    struct tt_job *first, **last;
    struct timers timers;
    size_t busy; /* pieces of work with worker threads */
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
    loop->random.state = seed;
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
    tt_heap_free(&loop->timers.heap);
    free(loop->timers.by_number);
    free(loop->timers.places);
    free(loop->timers.spare);
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

uint64_t tt_loop_random(struct tt_loop *loop)
{
    return tt_random_next(&loop->random);
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

/* --- timers --- */

static struct tt_timer *earliest(const struct timers *timers)
{
    return timers->heap.count ? timers->by_number[timers->heap.items[0].id] : NULL;
}

static uint32_t number(struct timers *timers)
{
    if (timers->spares)
        return timers->spare[--timers->spares];
    if (timers->made == timers->room) {
        uint32_t room = timers->room = timers->room ? timers->room * 2 : 64;
        timers->by_number = tt_reallocarray(timers->by_number, room, sizeof *timers->by_number);
        timers->places = tt_reallocarray(timers->places, room, sizeof *timers->places);
        timers->spare = tt_reallocarray(timers->spare, room, sizeof *timers->spare);
    }
    return timers->made++;
}

void tt_timer_start(struct tt_loop *loop, struct tt_timer *timer, int64_t at,
                    void (*fire)(struct tt_timer *))
{
    struct timers *timers = &loop->timers;
    tt_timer_stop(loop, timer);
    if (!timers->heap.count)
        timers->order = 0;
    uint32_t id = number(timers);
    timer->fire = fire;
    timer->at = at;
    timer->slot = id + 1;
    timers->by_number[id] = timer;
    /* times may be negative: the heap's keys are not */
    tt_heap_push(&timers->heap, timers->places,
                 (struct tt_heap_item){
                     .key = (uint64_t)at ^ (uint64_t)1 << 63, .order = timers->order++, .id = id});
}

void tt_timer_stop(struct tt_loop *loop, struct tt_timer *timer)
{
    struct timers *timers = &loop->timers;
    if (!timer->slot)
        return;
    tt_heap_remove(&timers->heap, timers->places, timer->slot - 1);
    timers->spare[timers->spares++] = timer->slot - 1;
    timer->slot = 0;
}

/* Fires what is due; jobs that a timer posts run before the next timer. */
static bool fire_due(struct tt_loop *loop, const bool *finished)
{
    bool any = false;
    for (struct tt_timer *timer;
         (timer = earliest(&loop->timers)) && timer->at <= tt_loop_now(loop) && !*finished;) {
        tt_timer_stop(loop, timer);
        timer->fire(timer);
        drain(loop, finished);
        any = true;
    }
    return any;
}

/* --- waiting --- */

static void arm(struct tt_loop *loop, int64_t at)
{
    if (at == loop->alarm_at)
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

/* Time passes as it does outside, up to the next timer. */
static void flow(struct tt_loop *loop, const struct tt_timer *next)
{
    uint64_t before = uv_hrtime();
    loop->alarm_at = TT_NEVER; /* it was armed before the clock last moved */
    arm(loop, next->at);
    uv_run(&loop->uv, UV_RUN_ONCE);
    loop->passed += uv_hrtime() - before;
    int64_t now = tt_deadline_after(loop->virtual_now, (int64_t)(loop->passed / 1000000));
    loop->passed %= 1000000;
    if (now > next->at || loop->alarm_at == TT_NEVER) /* it rang */
        now = next->at;
    loop->virtual_now = now;
    uv_timer_stop(&loop->alarm);
    loop->alarm_at = TT_NEVER;
}

/* The virtual clock's turn: nothing can be done at once, and a timer runs. */
static void await_virtual(struct tt_loop *loop, const struct tt_timer *next)
{
    if (loop->busy) {
        uv_run(&loop->uv, UV_RUN_ONCE);
        return;
    }
    bool alive = uv_loop_alive(&loop->uv) && uv_run(&loop->uv, UV_RUN_NOWAIT);
    if (loop->first || earliest(&loop->timers) != next || loop->busy)
        return;
    if (alive) {
        flow(loop, next);
    } else {
        loop->virtual_now = next->at;
        loop->passed = 0;
    }
}

bool tt_loop_run(struct tt_loop *loop, const bool *finished)
{
    while (!*finished) {
        bool any = drain(loop, finished);
        any |= fire_due(loop, finished);
        if (any || *finished)
            continue;
        const struct tt_timer *next = earliest(&loop->timers);
        if (loop->clock == TT_CLOCK_VIRTUAL && next) {
            await_virtual(loop, next);
            continue;
        }
        if (loop->clock == TT_CLOCK_REAL)
            arm(loop, next ? next->at : TT_NEVER);
        int alive = uv_run(&loop->uv, UV_RUN_ONCE);
        if (!alive && !loop->first && !loop->timers.heap.count)
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

void tt_loop_busy(struct tt_loop *loop, int change)
{
    loop->busy += (size_t)change;
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
