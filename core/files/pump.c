#include "core/files/pump.h"

#include "core/base/alloc.h"

#include <stdlib.h>

/* A turn costs two waits for a thread: the more there is to come, the larger it is. */
enum { chunk = 256 * 1024, large_chunk = 1024 * 1024, large_size = 16 * 1024 * 1024 };
enum { hash_inline = 32 * 1024 };

struct pump {
    struct tt_pump_op result;
    struct tt_scope *steps; /* cancelled with the operation, and by its first error */
    struct tt_file *from, *to;
    struct tt_digest *digest; /* NULL: not wanted */
    uint64_t left;            /* still to be asked for */
    struct tt_op *full;       /* what was read last and is now hashed and written; held */
    struct tt_op *reading;    /* finished, with the next bytes; held */
    unsigned running;
    struct tt_error *error;
};

static struct tt_op *op_of(struct pump *pump)
{
    return &pump->result.op;
}

static void pump_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct pump *)(void *)op)->steps, why);
}

static void pump_free(struct tt_op *op)
{
    struct pump *pump = (struct pump *)(void *)op;
    tt_op_release(pump->full);
    tt_op_release(pump->reading);
    tt_digest_free(pump->digest);
    tt_scope_release(pump->steps);
    tt_error_free(pump->error);
    free(pump);
}

/* Takes err. */
static void fail(struct pump *pump, struct tt_error *err)
{
    if (pump->error) {
        tt_error_free(err);
        return;
    }
    pump->error = err;
    tt_scope_cancel(pump->steps, err);
}

static void turn(struct pump *pump);

/* A step of this turn is over; the turn is when none is left. */
static void step_over(struct pump *pump, struct tt_op *step)
{
    if (step->error) {
        fail(pump, step->error);
        step->error = NULL;
    }
    if (--pump->running == 0)
        turn(pump);
}

static void on_done(struct tt_op *step, void *arg)
{
    step_over(arg, step);
    tt_op_release(step);
}

static void on_read(struct tt_op *step, void *arg)
{
    struct pump *pump = arg;
    pump->reading = step;
    step_over(pump, step);
}

static void read_more(struct pump *pump)
{
    /* one byte more than there should be, so that the end shows at once */
    uint64_t most = pump->left >= large_size ? large_chunk : chunk;
    uint64_t want = pump->left < most ? pump->left + 1 : most;
    pump->running++;
    tt_op_await(pump->from->class_->read(pump->from, pump->steps, (size_t)want), on_read, pump);
}

static int hash(void *arg, struct tt_error **err)
{
    struct pump *pump = arg;
    (void)err;
    const struct tt_bytes *bytes = tt_bytes_of(pump->full);
    tt_digest_add(pump->digest, bytes->data, bytes->length);
    return 0;
}

static void hash_full(struct pump *pump)
{
    if (!pump->digest)
        return;
    if (tt_bytes_of(pump->full)->length <= hash_inline) {
        hash(pump, NULL);
        return;
    }
    pump->running++;
    tt_op_await(tt_work(pump->steps, "hashing", hash, pump, NULL), on_done, pump);
}

static void finish(struct pump *pump)
{
    struct tt_error *err = pump->error;
    pump->error = NULL;
    if (!err && pump->digest)
        tt_digest_hex(pump->digest, pump->result.sha256, &err);
    tt_op_finish(op_of(pump), err);
}

/* Starts the next turn with what the last one read: writes it, hashes it, reads on. */
static void turn(struct pump *pump)
{
    tt_op_release(pump->full);
    pump->full = pump->reading;
    pump->reading = NULL;
    struct tt_bytes *bytes =
        pump->full && !pump->error ? &((struct tt_bytes_op *)(void *)pump->full)->bytes : NULL;
    if (bytes && bytes->length > pump->left)
        bytes->length = (size_t)pump->left;
    if (!bytes || bytes->length == 0) {
        finish(pump);
        return;
    }
    pump->left -= bytes->length;
    pump->result.size += bytes->length;
    if (pump->left > 0)
        read_more(pump);
    hash_full(pump);
    pump->running++;
    tt_op_await(pump->to->class_->write(pump->to, pump->steps, bytes->data, bytes->length), on_done,
                pump);
}

struct tt_op *tt_pump(struct tt_file *from, struct tt_file *to, uint64_t max, bool hashed,
                      struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"copying", pump_cancel, pump_free};
    struct pump *pump = tt_zalloc(sizeof *pump);
    struct tt_error *err = NULL;
    pump->from = from;
    pump->to = to;
    pump->left = max;
    pump->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(op_of(pump), &class_, scope);
    if (tt_op_finished(op_of(pump)))
        return op_of(pump);
    if (hashed && tt_digest_new(&pump->digest, &err) < 0)
        tt_op_finish(op_of(pump), err);
    else if (max == 0)
        finish(pump);
    else
        read_more(pump);
    return op_of(pump);
}

int64_t tt_pump_promise(const struct tt_stat *stat)
{
    return stat->size > 0 && stat->size <= INT64_MAX ? (int64_t)stat->size : -1;
}

uint64_t tt_pump_max(const struct tt_stat *stat)
{
    return stat->size > 0 ? stat->size : UINT64_MAX;
}
