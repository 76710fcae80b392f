/* The pump between two scripted files on the virtual clock: its bound, its overlap, its ends. */
#include "files_support.h"

#include "core/base/digest.h"
#include "core/base/owner.h"
#include "core/files/pump.h"

/* A file that has or takes so many bytes, each turn in so many ms. */
struct slow {
    struct tt_file file;
    size_t left, moved;
    int64_t takes;
    size_t fails_after; /* bytes; 0: never */
    size_t most;        /* that were asked for at once */
    unsigned busy, turns;
};

static struct slow source, target;
static size_t most_held; /* bytes that were read and not yet written */

struct turn {
    struct tt_bytes_op base;
    struct tt_timer timer;
    struct slow *slow;
    size_t length;
};

static void turn_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct turn *turn = (struct turn *)(void *)op;
    tt_timer_stop(op->loop, &turn->timer);
    turn->slow->busy--;
    tt_op_finish(op, tt_error_copy(why));
}

static void on_turn(struct tt_timer *timer)
{
    struct turn *turn = tt_owner(timer, struct turn, timer);
    struct slow *slow = turn->slow;
    struct tt_op *op = &turn->base.op;
    slow->busy--;
    slow->turns++;
    if (slow->fails_after && slow->moved >= slow->fails_after) {
        tt_op_finish(op, tt_error_new(TT_IO, slow == &source ? "cannot read" : "cannot write"));
        return;
    }
    if (slow == &source) {
        turn->base.bytes.data = tt_zalloc(turn->length + 1);
        turn->base.bytes.length = turn->length;
        memset(turn->base.bytes.data, 'x', turn->length);
        slow->left -= turn->length;
    }
    slow->moved += turn->length;
    if (source.moved - target.moved > most_held)
        most_held = source.moved - target.moved;
    tt_op_finish(op, NULL);
}

static struct tt_op *turn_new(struct slow *slow, struct tt_scope *s, size_t length)
{
    static const struct tt_op_class class_ = {"a turn", turn_cancel, tt_bytes_op_free};
    struct turn *turn = tt_zalloc(sizeof *turn);
    turn->slow = slow;
    turn->length = length;
    tt_op_init(&turn->base.op, &class_, s);
    if (tt_op_finished(&turn->base.op))
        return &turn->base.op;
    slow->busy++;
    assert_int_equal(slow->busy, 1); /* one operation at once */
    tt_timer_start(loop, &turn->timer, tt_loop_now(loop) + slow->takes, on_turn);
    return &turn->base.op;
}

static struct tt_op *slow_read(struct tt_file *file, struct tt_scope *s, size_t max)
{
    struct slow *slow = (struct slow *)(void *)file;
    if (max > slow->most)
        slow->most = max;
    return turn_new(slow, s, max < slow->left ? max : slow->left);
}

static struct tt_op *slow_write(struct tt_file *file, struct tt_scope *s, const void *data,
                                size_t length)
{
    assert_int_equal(((const char *)data)[length - 1], 'x');
    return turn_new((struct slow *)(void *)file, s, length);
}

static const struct tt_file_stream_class slow_class = {.read = slow_read, .write = slow_write};

static void begin(size_t size)
{
    source = (struct slow){.file.class_ = &slow_class, .left = size, .takes = 10};
    target = (struct slow){.file.class_ = &slow_class, .takes = 10};
    most_held = 0;
}

static struct tt_op *pump(uint64_t max, bool hashed)
{
    return tt_pump(&source.file, &target.file, max, hashed, scope);
}

/* Fails when bytes are lost or doubled, or the sum is of something else. */
static void all_of_it_arrives(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char wanted[tt_digest_hex_size];
        char *same = tt_zalloc(sizes[i] + 1);
        memset(same, 'x', sizes[i]);
        tt_digest_bytes(same, sizes[i], wanted, NULL);
        free(same);
        begin(sizes[i]);
        struct tt_op *op = await(pump(UINT64_MAX, true));
        assert_null(op->error);
        assert_int_equal(target.moved, sizes[i]);
        assert_int_equal(((struct tt_pump_op *)(void *)op)->size, sizes[i]);
        assert_string_equal(((struct tt_pump_op *)(void *)op)->sha256, wanted);
        tt_op_release(op);
    }
}

/* Fails when a slow writer lets the reader run ahead by more than one chunk. */
static void memory_is_bounded(void **state)
{
    (void)state;
    begin(64 << 20);
    target.takes = 1000;
    struct tt_op *op = await(pump(UINT64_MAX, false));
    assert_null(op->error);
    assert_true(source.most <= 1024 * 1024 + 1);
    assert_true(most_held <= 2 * source.most);
    assert_string_equal(((struct tt_pump_op *)(void *)op)->sha256, "");
    tt_op_release(op);
}

/* Fails when reading waits for writing: so many turns would take twice as long. */
static void reading_and_writing_overlap(void **state)
{
    (void)state;
    begin(20 * 1024 * 1024);
    int64_t began = tt_loop_now(loop);
    tt_op_release(await(pump(UINT64_MAX, false)));
    assert_int_equal(tt_loop_now(loop) - began,
                     10 * (source.turns > target.turns ? source.turns : target.turns + 1));
}

/* Fails when what a file has grown by since comes along. */
static void no_more_than_promised(void **state)
{
    (void)state;
    begin(500000);
    struct tt_op *op = await(pump(300000, true));
    assert_null(op->error);
    assert_int_equal(target.moved, 300000);
    assert_int_equal(((struct tt_pump_op *)(void *)op)->size, 300000);
    tt_op_release(op);
    begin(5);
    tt_op_release(await(pump(0, true)));
    assert_int_equal(source.turns + target.turns, 0);
}

/* Fails when one end's error is lost, or the pump ends while the other end is still at work. */
static void an_error_at_either_end_ends_it(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        begin(64 << 20);
        struct slow *bad = end ? &target : &source;
        bad->fails_after = 1 << 20;
        (end ? &source : &target)->takes = 100000; /* it has to be cancelled */
        int64_t began = tt_loop_now(loop);
        struct tt_op *op = await(pump(UINT64_MAX, true));
        assert_non_null(op->error);
        assert_string_equal(op->error->message, end ? "cannot write" : "cannot read");
        assert_int_equal(source.busy + target.busy, 0);
        assert_true(tt_loop_now(loop) - began < 300100);
        tt_op_release(op);
    }
}

/* Fails when a cancelled pump goes on, or ends before its steps. */
static void cancelling_ends_both(void **state)
{
    (void)state;
    begin(64 << 20);
    struct tt_op *op = pump(UINT64_MAX, true);
    tt_op_release(await(tt_sleep(scope, 35)));
    struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
    tt_op_cancel(op, why);
    tt_error_free(why);
    assert_string_equal(await(op)->error->message, "enough");
    assert_int_equal(source.busy + target.busy, 0);
    tt_op_release(op);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_of_it_arrives),
        T(memory_is_bounded),
        T(reading_and_writing_overlap),
        T(no_more_than_promised),
        T(an_error_at_either_end_ends_it),
        T(cancelling_ends_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
