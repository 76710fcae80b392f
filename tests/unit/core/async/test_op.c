/* Operations: they finish once, deliver later, and go when nobody holds them; chains and batches of
 * them. */
#include "async_support.h"

#include "core/async/batch.h"
#include "core/async/chain.h"

static void note_done(struct tt_op *op, void *arg)
{
    (void)op;
    note(*(const char *)arg);
}

/* Fails when `done` runs inside tt_op_finish or tt_op_await. */
static void done_runs_later(void **state)
{
    (void)state;
    struct tt_op *op = held_new(root, 'a');
    tt_op_await(op, note_done, "1");
    tt_op_finish(op, NULL);
    assert_string_equal(story, "");
    run_all();
    tt_op_await(op, note_done, "2"); /* it was delivered already */
    assert_string_equal(story, "1");
    run_all();
    assert_string_equal(story, "12");
    tt_op_release(op);
    assert_string_equal(story, "12A");
}

/* Fails when an operation that nobody awaits or holds is freed before its end, or never. */
static void it_lives_until_its_end(void **state)
{
    (void)state;
    struct tt_op *op = held_new(root, 'a');
    tt_op_release(op);
    run_all();
    assert_string_equal(story, "");
    tt_op_finish(op, NULL);
    run_all();
    assert_string_equal(story, "A");
}

static void finish_twice(void)
{
    struct tt_op *op = held_new(root, 'a');
    tt_op_finish(op, NULL);
    tt_op_finish(op, NULL);
}

/* Fails when a second end is swallowed: the first one's awaiter would see two. */
static void finishing_twice_aborts(void **state)
{
    (void)state;
    assert_true(aborts(finish_twice));
}

/* Fails when an operation begins in a scope that is over, or ends for another reason. */
static void in_a_cancelled_scope_it_has_ended(void **state)
{
    (void)state;
    struct tt_error *why = reason();
    struct tt_scope *scope = tt_scope_new(loop, root);
    tt_scope_cancel(scope, why);
    struct tt_op *op = tt_sleep(scope, 1000);
    assert_true(tt_op_finished(op));
    assert_string_equal(await(op)->error->message, "the test said so");
    tt_op_release(op);
    tt_scope_release(scope);
    tt_error_free(why);
}

/* Fails when cancel reaches the class twice, or after the end. */
static void cancel_is_called_once(void **state)
{
    (void)state;
    struct tt_error *why = reason();
    struct tt_op *op = held_new(root, 'a');
    ((struct held *)(void *)op)->stubborn = true;
    tt_op_cancel(op, why);
    tt_op_cancel(op, why);
    assert_string_equal(story, "a");
    tt_op_finish(op, NULL); /* the outcome that was observed counts */
    tt_op_cancel(op, why);
    assert_null(await(op)->error);
    tt_op_release(op);
    assert_string_equal(story, "aA");
    tt_error_free(why);
}

/* Fails when dropping leaves `done` set, cancels what has ended, or leaks in one of the states. */
static void dropping_in_each_state(void **state)
{
    (void)state;
    struct tt_op *none = NULL;
    tt_op_drop_because(&none, "there is nothing");

    struct tt_op *running = held_new(root, 'a');
    tt_op_await(running, note_done, "1");
    tt_op_drop_because(&running, "enough");
    assert_null(running);
    run_all();
    assert_string_equal(story, "aA");

    struct tt_op *kept = held_new(root, 'b'), *same = kept;
    tt_op_await(kept, note_done, "1");
    tt_op_drop(&kept, NULL); /* not cancelled: it goes on without us */
    run_all();
    assert_string_equal(story, "aA");
    tt_op_finish(same, NULL);
    run_all();
    assert_string_equal(story, "aAB");

    struct tt_op *finished = held_new(root, 'c');
    tt_op_await(finished, note_done, "1");
    tt_op_finish(finished, NULL);
    tt_op_drop_because(&finished, "enough");
    run_all();
    assert_string_equal(story, "aABC");

    struct tt_op *delivered = held_new(root, 'd');
    tt_op_finish(delivered, NULL);
    await(delivered);
    tt_op_drop_because(&delivered, "enough");
    assert_string_equal(story, "aABCD");
}

/* Fails when a sleep that is cancelled leaves its timer running, or ends late. */
static void a_cancelled_sleep_ends_now(void **state)
{
    (void)state;
    int64_t began = tt_loop_now(loop);
    struct tt_error *why = reason();
    struct tt_op *op = tt_sleep(root, 1000);
    tt_op_cancel(op, why);
    assert_non_null(await(op)->error);
    run_all();
    assert_int_equal(tt_loop_now(loop), began);
    tt_op_release(op);
    tt_error_free(why);
}

/* --- chains --- */

struct chained {
    struct tt_op op;
    struct tt_chain chain;
};

static void chained_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct chained *)(void *)op)->chain, why);
}

static void on_second(struct tt_op *op, struct tt_op *step)
{
    note('2');
    if (!tt_chain_fails(op, step))
        tt_op_finish(op, NULL);
}

static void on_first(struct tt_op *op, struct tt_op *step)
{
    note('1');
    if (!tt_chain_fails(op, step))
        tt_then(&((struct chained *)(void *)op)->chain, op, tt_sleep(op->scope, 10), on_second);
}

static struct tt_op *chained_new(struct tt_op *first)
{
    static const struct tt_op_class class_ = {"chained", chained_cancel, tt_op_free};
    struct chained *chained = tt_zalloc(sizeof *chained);
    tt_op_init(&chained->op, &class_, root);
    tt_then(&chained->chain, &chained->op, first, on_first);
    return &chained->op;
}

/* Fails when a step is skipped, or the error of one does not end the whole. */
static void a_chain_goes_step_by_step(void **state)
{
    (void)state;
    struct tt_op *op = chained_new(tt_sleep(root, 5));
    assert_null(await(op)->error);
    assert_string_equal(story, "12");
    tt_op_release(op);
    op = chained_new(tt_op_finished_new(root, tt_error_new(TT_IO, "broken")));
    assert_string_equal(await(op)->error->message, "broken");
    assert_string_equal(story, "121");
    tt_op_release(op);
}

/* Fails when cancelling reaches a cleaning step of another scope, or not one of the same. */
static void cancelling_a_chain_spares_other_scopes(void **state)
{
    (void)state;
    struct tt_error *why = reason();
    struct tt_op *op = chained_new(held_new(root, 'a'));
    tt_op_cancel(op, why);
    assert_int_equal(await(op)->error->kind, TT_CANCELLED);
    tt_op_release(op);
    assert_string_equal(story, "a1A");
    struct tt_scope *other = tt_scope_new(loop, NULL);
    struct tt_op *cleaning = held_new(other, 'b');
    op = chained_new(cleaning);
    tt_op_cancel(op, why);
    assert_string_equal(story, "a1A");
    tt_op_finish(cleaning, NULL);
    assert_int_equal(await(op)->error->kind, TT_CANCELLED); /* by the second step */
    tt_op_release(op);
    tt_scope_release(other);
    tt_error_free(why);
}

/* --- batches --- */

struct source {
    unsigned given, count, running, most;
    unsigned fails; /* which one does; 0: none */
    unsigned block; /* says that it has none now while so many run; 0: never */
};

static void on_piece_over(struct tt_op *op, void *arg)
{
    (void)op;
    ((struct source *)arg)->running--;
}

/* Pieces take 10, 9, 8 … ms, so that they end in another order than they began. */
struct piece {
    struct tt_op op;
    struct tt_chain chain;
    struct source *source;
    bool bad;
};

static void piece_cancel(struct tt_op *op, const struct tt_error *why)
{
    note('c');
    tt_chain_cancel(&((struct piece *)(void *)op)->chain, why);
}

static void on_slept(struct tt_op *op, struct tt_op *step)
{
    struct piece *piece = (struct piece *)(void *)op;
    on_piece_over(op, piece->source);
    if (!tt_chain_fails(op, step))
        tt_op_finish(op, piece->bad ? tt_error_new(TT_IO, "bad piece") : NULL);
}

static struct tt_op *next_piece(void *arg, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"piece", piece_cancel, tt_op_free};
    struct source *source = arg;
    if (source->given == source->count || (source->block && source->running >= source->block))
        return NULL;
    struct piece *piece = tt_zalloc(sizeof *piece);
    source->given++;
    source->running++;
    if (source->running > source->most)
        source->most = source->running;
    piece->source = source;
    piece->bad = source->given == source->fails;
    tt_op_init(&piece->op, &class_, scope);
    tt_then(&piece->chain, &piece->op, tt_sleep(scope, 10 - source->given % 10), on_slept);
    return &piece->op;
}

/* Fails when more run than may, when fewer do, or when some are never begun. */
static void a_batch_keeps_its_bound(void **state)
{
    (void)state;
    struct source source = {.count = 30};
    struct tt_op *op = tt_batch(root, 4, next_piece, &source);
    assert_null(await(op)->error);
    assert_int_equal(source.given, 30);
    assert_int_equal(source.most, 4);
    assert_int_equal(source.running, 0);
    tt_op_release(op);
}

/* Fails when "none now" is taken for the end while others run, or when one that is begun only after
 * another's end is forgotten. */
static void none_now_is_not_the_end(void **state)
{
    (void)state;
    struct source source = {.count = 7, .block = 2};
    struct tt_op *op = tt_batch(root, 5, next_piece, &source);
    assert_null(await(op)->error);
    assert_int_equal(source.given, 7);
    assert_int_equal(source.most, 2);
    tt_op_release(op);
}

/* Fails when a failure lets others begin, leaves some running, or ends before they have. */
static void the_first_failure_ends_a_batch(void **state)
{
    (void)state;
    struct source source = {.count = 30, .fails = 3};
    struct tt_op *op = tt_batch(root, 4, next_piece, &source);
    assert_string_equal(await(op)->error->message, "bad piece");
    assert_int_equal(source.running, 0);
    assert_int_equal(source.given, 5);
    assert_string_equal(story, "ccc");
    tt_op_release(op);
}

/* Fails when cancelling leaves pieces running, or begins more that do work. */
static void cancelling_a_batch_cancels_what_runs(void **state)
{
    (void)state;
    int64_t began = tt_loop_now(loop);
    struct tt_error *why = reason();
    struct source source = {.count = 30};
    struct tt_op *op = tt_batch(root, 4, next_piece, &source);
    tt_op_cancel(op, why);
    assert_int_equal(await(op)->error->kind, TT_CANCELLED);
    assert_int_equal(source.running, 0);
    assert_int_equal(source.given, 4);
    assert_int_equal(tt_loop_now(loop), began);
    tt_op_release(op);
    tt_error_free(why);
}

static void an_empty_batch_succeeds(void **state)
{
    (void)state;
    struct source source = {0};
    struct tt_op *op = tt_batch(root, 4, next_piece, &source);
    assert_null(await(op)->error);
    tt_op_release(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(done_runs_later),
        T(it_lives_until_its_end),
        T(finishing_twice_aborts),
        T(in_a_cancelled_scope_it_has_ended),
        T(cancel_is_called_once),
        T(dropping_in_each_state),
        T(a_cancelled_sleep_ends_now),
        T(a_chain_goes_step_by_step),
        T(cancelling_a_chain_spares_other_scopes),
        T(a_batch_keeps_its_bound),
        T(none_now_is_not_the_end),
        T(the_first_failure_ends_a_batch),
        T(cancelling_a_batch_cancels_what_runs),
        T(an_empty_batch_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
