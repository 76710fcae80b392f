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

/* Something that the loop will do soon. Lives inside its owner. Posting a job that is posted
 * already does nothing. */
struct tt_job {
    void (*run)(struct tt_job *job);
    struct tt_job *next;
    bool posted;
};

/* A one-shot timer. Lives inside its owner; all zero is a stopped timer. */
struct tt_timer {
    void (*fire)(struct tt_timer *timer); /* runs as a job */
    int64_t at;                           /* monotonic ms */
    uint32_t slot;                        /* 1 + its number among the running timers; 0: stopped */
};

/* The virtual clock, for tests and simulation, stands still while a job is queued, and jumps to the
 * next timer when none is. It never jumps past news from outside. While a worker thread
 * is busy, or its work waits to be delivered (tt_loop_busy), the clock stands still, however long
 * that takes. While a handle or request of libuv is alive (a child's end, bytes on a descriptor, a
 * name that is being looked up), time passes as it does outside: what never comes can still time
 * out. */
enum tt_clock { TT_CLOCK_REAL, TT_CLOCK_VIRTUAL };

int tt_loop_new(struct tt_loop **loop, enum tt_clock clock, uint64_t seed, struct tt_error **err);
/* No timer and no open libuv handle may be left. Handles that are being closed are waited for. */
void tt_loop_free(struct tt_loop *loop);
uv_loop_t *tt_loop_uv(struct tt_loop *loop);

int64_t tt_loop_now(const struct tt_loop *loop);    /* monotonic ms, read afresh at each call */
int64_t tt_loop_wall(const struct tt_loop *loop);   /* ms since 1970 UTC, consistent with now */
uint64_t tt_loop_random(struct tt_loop *loop);      /* any 64 bits; not for secrets */
int64_t tt_deadline_after(int64_t now, int64_t ms); /* now + ms, saturating at TT_NEVER */

void tt_loop_post(struct tt_loop *loop, struct tt_job *job);
/* Takes the job out of the queue; one that is not posted is fine. */
void tt_loop_unpost(struct tt_loop *loop, struct tt_job *job);
/* `at` is in monotonic ms. Timers of equal times fire in the order in which they were started.
 * Starting a running timer moves it. */
void tt_timer_start(struct tt_loop *loop, struct tt_timer *timer, int64_t at,
                    void (*fire)(struct tt_timer *));
void tt_timer_stop(struct tt_loop *loop, struct tt_timer *timer);

/* Runs until *finished is true: returns true. False when nothing is left that could make it so: no
 * job, no timer, no live handle. */
bool tt_loop_run(struct tt_loop *loop, const bool *finished);

/* Runs until no operation is left, but no longer than `at_most` ms: for the end of a program, when
 * nobody waits for what was cancelled. */
void tt_loop_settle(struct tt_loop *loop, int64_t at_most);

/* What each loop has one of, where another program would keep a static variable: the known SSH
 * hosts, the known daemons, a shared queue. The memory (`size` bytes, all zero) is made when
 * tt_loop_slot is first asked for `what`, whose address is the key, and lives as long as the loop.
 * tt_loop_free calls `clear` (may be NULL) with each slot, the newest first. */
struct tt_slot {
    size_t size;
    void (*clear)(void *slot);
};
void *tt_loop_slot(struct tt_loop *loop, const struct tt_slot *what);

/* Counts (change 1 or -1) work that a worker thread does, or has done and not yet delivered. While
 * there is any, the virtual clock stands still. */
void tt_loop_busy(struct tt_loop *loop, int change);

/* Counters for tests and for the leak check at exit. */
size_t tt_loop_live_ops(const struct tt_loop *loop);
void tt_loop_count_op(struct tt_loop *loop, int change);

#endif
