/* The loop: the order of jobs and timers, its end, and what the virtual clock waits for. */
#include "async_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

struct letter_job {
    struct tt_job job;
    char letter;
    struct letter_job *posts; /* another that it posts */
};

static void run_letter(struct tt_job *job)
{
    struct letter_job *mine = (struct letter_job *)(void *)job;
    note(mine->letter);
    if (mine->posts)
        tt_loop_post(loop, &mine->posts->job);
}

/* Fails when the queue is a stack, when a posted job runs inside the one that posts it, when
 * posting twice runs it twice, or when taking one out loses those behind. */
static void jobs_run_in_the_order_of_posting(void **state)
{
    (void)state;
    struct letter_job jobs[5];
    for (int i = 0; i < 5; i++)
        jobs[i] = (struct letter_job){.job.run = run_letter, .letter = (char)('a' + i)};
    jobs[0].posts = &jobs[4];
    for (int i = 0; i < 4; i++)
        tt_loop_post(loop, &jobs[i].job);
    tt_loop_post(loop, &jobs[1].job);
    tt_loop_unpost(loop, &jobs[2].job);
    run_all();
    assert_string_equal(story, "abde");
    tt_loop_post(loop, &jobs[2].job);
    tt_loop_unpost(loop, &jobs[2].job); /* the last one: the queue's end has to move back */
    tt_loop_post(loop, &jobs[3].job);
    run_all();
    assert_string_equal(story, "abded");
}

static bool stop;

static void run_stop(struct tt_job *job)
{
    (void)job;
    stop = true;
}

/* Fails when the loop drains on after what it runs for has come. */
static void it_stops_at_once_when_finished(void **state)
{
    (void)state;
    struct tt_job first = {.run = run_stop};
    struct letter_job second = {.job.run = run_letter, .letter = 'x'};
    stop = false;
    tt_loop_post(loop, &first);
    tt_loop_post(loop, &second.job);
    assert_true(tt_loop_run(loop, &stop));
    assert_string_equal(story, "");
    run_all();
    assert_string_equal(story, "x");
}

struct letter_timer {
    struct tt_timer timer;
    char letter;
};

static void fire_letter(struct tt_timer *timer)
{
    note(((struct letter_timer *)(void *)timer)->letter);
}

/* Fails when equal times fire in the heap's order, when the numbers of stopped timers are mixed up,
 * or when starting a running timer starts it twice. */
static void equal_times_fire_in_the_order_of_starting(void **state)
{
    (void)state;
    struct letter_timer t[26] = {0};
    int64_t at = tt_loop_now(loop) + 1000;
    for (int i = 0; i < 26; i++) {
        t[i].letter = (char)('a' + i);
        tt_timer_start(loop, &t[i].timer, at, fire_letter);
    }
    for (int i = 0; i < 26; i += 2)
        tt_timer_stop(loop, &t[i].timer);
    tt_timer_start(loop, &t[0].timer, at, fire_letter);
    tt_timer_start(loop, &t[2].timer, at - 1, fire_letter);
    tt_timer_start(loop, &t[1].timer, at + 1, fire_letter); /* it ran: it moves */
    run_all();
    assert_string_equal(story, "cdfhjlnprtvxzab");
    assert_int_equal(tt_loop_now(loop), at + 1);
}

/* Fails when a time before the clock's beginning sorts behind the others. */
static void a_time_that_has_passed_fires_first(void **state)
{
    (void)state;
    struct letter_timer late = {.letter = 'l'}, early = {.letter = 'e'};
    int64_t now = tt_loop_now(loop);
    tt_timer_start(loop, &late.timer, now, fire_letter);
    tt_timer_start(loop, &early.timer, -5, fire_letter);
    run_all();
    assert_string_equal(story, "el");
    assert_int_equal(tt_loop_now(loop), now);
}

/* Against a slow, obvious model: fails when the heap or the numbers go wrong under stops. */
static struct {
    struct tt_timer timer;
    int64_t at;
    unsigned order;
    bool runs;
} many[200];
static unsigned fired;
static int64_t last_at;
static unsigned last_order;

static void fire_one(struct tt_timer *timer)
{
    for (int i = 0; i < 200; i++)
        if (&many[i].timer == timer) {
            assert_true(many[i].runs);
            assert_true(many[i].at > last_at ||
                        (many[i].at == last_at && many[i].order > last_order));
            last_at = many[i].at;
            last_order = many[i].order;
            many[i].runs = false;
            fired++;
        }
}

static void many_timers_fire_in_order(void **state)
{
    (void)state;
    unsigned running = 0;
    for (unsigned step = 0; step < 2000; step++) {
        unsigned which = (unsigned)(tt_loop_random(loop) % 200);
        if (tt_loop_random(loop) % 3 == 0) {
            tt_timer_stop(loop, &many[which].timer);
            many[which].runs = false;
        } else {
            many[which].at = tt_loop_now(loop) + 1 + (int64_t)(tt_loop_random(loop) % 20);
            many[which].order = step + 1;
            many[which].runs = true;
            tt_timer_start(loop, &many[which].timer, many[which].at, fire_one);
        }
    }
    for (int i = 0; i < 200; i++)
        running += many[i].runs;
    run_all();
    assert_true(running > 50);
    assert_int_equal(fired, running);
}

/* Fails when the loop waits for ever, or says that what it ran for has come. */
static void it_returns_false_when_nothing_can_happen(void **state)
{
    (void)state;
    assert_false(tt_loop_run(loop, &never));
    struct tt_loop *real;
    assert_int_equal(tt_loop_new(&real, TT_CLOCK_REAL, 1, NULL), 0);
    assert_false(tt_loop_run(real, &never));
    tt_loop_free(real);
}

/* Fails when a sleep of a week takes a week, or ends too early or late. */
static void the_virtual_clock_jumps(void **state)
{
    (void)state;
    int64_t began = tt_loop_now(loop), wall = tt_loop_wall(loop), week = 7 * 86400 * 1000;
    tt_op_release(await(tt_sleep(root, week)));
    assert_int_equal(tt_loop_now(loop) - began, week);
    assert_int_equal(tt_loop_wall(loop) - wall, week);
}

/* --- what the virtual clock waits for --- */

static sem_t gate;

static int pass_gate(void *arg, struct tt_error **err)
{
    (void)arg, (void)err;
    sem_wait(&gate);
    return 0;
}

static void *open_gate(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) /* the loop had every chance to jump */
        sched_yield();
    sem_post(&gate);
    return NULL;
}

static void note_w(struct tt_op *op, void *arg)
{
    (void)op, (void)arg;
    note('w');
}

static void note_s(struct tt_op *op, void *arg)
{
    (void)op, (void)arg;
    note('s');
}

/* Fails when the clock jumps to the sleep's end while the thread is still at work: the thread is
 * held until the loop has begun to wait. */
static uv_prepare_t waiting;

static void on_waiting(uv_prepare_t *handle)
{
    pthread_t opener;
    uv_prepare_stop(handle);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    pthread_detach(opener);
}

static void the_clock_stands_still_while_a_thread_works(void **state)
{
    (void)state;
    int64_t began = tt_loop_now(loop);
    uv_prepare_init(tt_loop_uv(loop), &waiting);
    uv_prepare_start(&waiting, on_waiting);
    uv_unref((uv_handle_t *)&waiting);
    sem_init(&gate, 0, 0);
    struct tt_op *work = tt_work(root, "test", pass_gate, NULL, NULL);
    struct tt_op *sleep = tt_sleep(root, 1);
    tt_op_await(work, note_w, NULL);
    tt_op_await(sleep, note_s, NULL);
    run_all();
    assert_string_equal(story, "ws");
    assert_int_equal(tt_loop_now(loop) - began, 1);
    tt_op_release(work);
    tt_op_release(sleep);
    uv_close((uv_handle_t *)&waiting, NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    note('r');
    uv_close((uv_handle_t *)poll, NULL);
}

/* Fails when the clock jumps past bytes that a descriptor is going to bring: a child writes them.
 */
static void the_clock_does_not_jump_past_news_from_a_descriptor(void **state)
{
    (void)state;
    int ends[2], status;
    uv_poll_t poll;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    uv_poll_init(tt_loop_uv(loop), &poll, ends[0]);
    uv_poll_start(&poll, UV_READABLE, on_readable);
    struct tt_op *sleep = tt_sleep(root, 3600 * 1000);
    tt_op_await(sleep, note_s, NULL);
    run_all();
    assert_string_equal(story, "rs");
    tt_op_release(sleep);
    waitpid(pid, &status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void close_poll(struct tt_op *op, void *arg)
{
    (void)op;
    note('s');
    uv_close(arg, NULL);
}

/* Fails when a descriptor that never says anything stops the clock for ever. */
static void news_that_never_come_can_time_out(void **state)
{
    (void)state;
    int ends[2];
    uv_poll_t poll;
    int64_t began = tt_loop_now(loop);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    uv_poll_init(tt_loop_uv(loop), &poll, ends[0]);
    uv_poll_start(&poll, UV_READABLE, on_readable);
    struct tt_op *sleep = tt_sleep(root, 3);
    tt_op_await(sleep, close_poll, &poll);
    run_all();
    assert_string_equal(story, "s");
    assert_int_equal(tt_loop_now(loop) - began, 3);
    tt_op_release(sleep);
    close(ends[0]);
    close(ends[1]);
}

/* --- the rest --- */

/* Fails when settling ends before the last operation, or waits on after it. */
static void settling_waits_for_the_last_operation(void **state)
{
    (void)state;
    int64_t began = tt_loop_now(loop);
    struct tt_op *sleep = tt_sleep(root, 50);
    tt_op_release(sleep);
    tt_loop_settle(loop, 1000);
    assert_int_equal(tt_loop_live_ops(loop), 0);
    assert_int_equal(tt_loop_now(loop) - began, 50);
    struct tt_op *held = held_new(root, 'h');
    tt_loop_settle(loop, 1000);
    assert_int_equal(tt_loop_now(loop) - began, 1050);
    tt_op_finish(held, NULL);
    tt_op_release(held);
}

/* Fails when a seed gives other numbers than it did: stored runs are replayed by them. */
static void a_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct tt_loop *other;
    assert_int_equal(tt_loop_new(&other, TT_CLOCK_VIRTUAL, 1234567, NULL), 0);
    assert_true(tt_loop_random(other) == 6457827717110365317u);
    assert_true(tt_loop_random(other) == 3203168211198807973u);
    tt_loop_free(other);
}

static void clear_slot(void *slot)
{
    note(*(char *)slot);
}

/* Fails when two kinds share a slot, or when an older one is cleared before a newer one. */
static void slots_are_cleared_the_newest_first(void **state)
{
    (void)state;
    static const struct tt_slot a = {1, clear_slot}, b = {1, clear_slot};
    struct tt_loop *other;
    assert_int_equal(tt_loop_new(&other, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    *(char *)tt_loop_slot(other, &a) = 'a';
    *(char *)tt_loop_slot(other, &b) = 'b';
    assert_int_equal(*(char *)tt_loop_slot(other, &a), 'a');
    tt_loop_free(other);
    assert_string_equal(story, "ba");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(jobs_run_in_the_order_of_posting),
        T(it_stops_at_once_when_finished),
        T(equal_times_fire_in_the_order_of_starting),
        T(a_time_that_has_passed_fires_first),
        T(many_timers_fire_in_order),
        T(it_returns_false_when_nothing_can_happen),
        T(the_virtual_clock_jumps),
        T(the_clock_stands_still_while_a_thread_works),
        T(the_clock_does_not_jump_past_news_from_a_descriptor),
        T(news_that_never_come_can_time_out),
        T(settling_waits_for_the_last_operation),
        T(a_seed_gives_the_same_numbers),
        T(slots_are_cleared_the_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
