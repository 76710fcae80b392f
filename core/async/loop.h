/* The loop: one thread that alternates waiting for readiness and draining a run queue.
 *
 * Everything of core, executors and lua runs on the loop thread unless a header says otherwise.
 * libuv callbacks only note what happened and post jobs; user-visible work (delivering results,
 * resuming Lua) happens in jobs, so it never runs inside a callback or inside the call that
 * started an operation.
 *
 * All time and randomness come from here, so that tests and simulation can replace them. What has
 * to be the system's (a nonce, a processor's time) says why where it is taken. */
#ifndef TT_LOOP_H
#define TT_LOOP_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define TT_NEVER INT64_MAX /* a deadline that does not come */

struct tt_loop;

/* Something to do soon. Lives inside its owner; posting a posted job does nothing. */
struct tt_job {
    void (*run)(struct tt_job *job);
    struct tt_job *next;
    bool posted;
};

/* A one-shot timer. Lives inside its owner; all zero is a stopped timer. */
struct tt_timer {
    void (*fire)(struct tt_timer *timer); /* runs as a job */
    int64_t at;
    uint32_t slot; /* its number among the running ones + 1; 0: stopped */
};

/* The virtual clock stands still while anything can be done, and jumps to the next timer when
 * nothing can. It never jumps past news from outside: while a worker thread is busy, or has work to
 * deliver, it stands still (tt_loop_busy), however long that takes; while a handle or request of
 * libuv is alive (a child's end, bytes on a descriptor, a name that is being looked up), time
 * passes as it does outside, so that what never comes can still time out. */
enum tt_clock { TT_CLOCK_REAL, TT_CLOCK_VIRTUAL };

int tt_loop_new(struct tt_loop **loop, enum tt_clock clock, uint64_t seed, struct tt_error **err);
/* Nothing may be left alive: no timer, no open libuv handle. Closes handles that are closing. */
void tt_loop_free(struct tt_loop *loop);
uv_loop_t *tt_loop_uv(struct tt_loop *loop);

int64_t tt_loop_now(const struct tt_loop *loop);  /* monotonic ms, read afresh at each call */
int64_t tt_loop_wall(const struct tt_loop *loop); /* ms since 1970 UTC, consistent with now */
uint64_t tt_loop_random(struct tt_loop *loop);
int64_t tt_deadline_after(int64_t now, int64_t ms); /* now + ms, saturating at TT_NEVER */

void tt_loop_post(struct tt_loop *loop, struct tt_job *job);
void tt_loop_unpost(struct tt_loop *loop, struct tt_job *job);
/* Equal times fire in the order of starting. Starting a running timer moves it. */
void tt_timer_start(struct tt_loop *loop, struct tt_timer *timer, int64_t at,
                    void (*fire)(struct tt_timer *));
void tt_timer_stop(struct tt_loop *loop, struct tt_timer *timer);

/* Runs until *finished is true, or nothing is left that could ever happen (returns false then). */
bool tt_loop_run(struct tt_loop *loop, const bool *finished);

/* Runs until no operation is left, for so many ms at most: for the end, when nobody waits for what
 * was cancelled. */
void tt_loop_settle(struct tt_loop *loop, int64_t at_most);

/* What there is one of in each loop, where another program would keep a static: the hosts, daemons
 * and clusters that are known, queues that all of them share. The slot for `what` (its address is
 * the key; `size` bytes, all zero at first) is made when it is first asked for, and lives as long
 * as the loop; `clear` (may be NULL) is called with it from tt_loop_free, the newest slot first. */
struct tt_slot {
    size_t size;
    void (*clear)(void *slot);
};
void *tt_loop_slot(struct tt_loop *loop, const struct tt_slot *what);

/* So many more (or fewer) pieces of work are with worker threads, or wait to be delivered from
 * there: the virtual clock stands still meanwhile. */
void tt_loop_busy(struct tt_loop *loop, int change);

/* Counters for tests and for the leak check at exit. */
size_t tt_loop_live_ops(const struct tt_loop *loop);
void tt_loop_count_op(struct tt_loop *loop, int change);

#endif
