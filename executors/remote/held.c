#include "executors/remote/held.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <stdlib.h>
#include <string.h>

enum { max_held = 256 << 10, stuck_ms = 200, trickle = 64 << 10, most = 32 << 20 };

struct tx_held_read {
    struct tt_bytes_op bytes;
    struct tx_held *held;
    enum tt_stream stream;
    size_t max;
};

struct tx_held_wait {
    struct tt_op op;
    struct tx_end *end;
};

/* --- streams --- */

static void take(struct tt_bytes *to, struct tt_buf *from, size_t max)
{
    if (from->length <= max) {
        to->length = from->length;
        to->data = tt_buf_take(from);
        return;
    }
    to->length = max;
    to->data = tt_alloc(max + 1);
    memcpy(to->data, from->data, max);
    to->data[max] = 0;
    tt_buf_drop(from, max);
}

static void serve(struct tx_held *held, enum tt_stream stream)
{
    struct tx_held_read *read = held->reading[stream];
    struct tt_buf *bytes = &held->bytes[stream];
    if (!read || !held->open || (!bytes->length && !held->over))
        return;
    held->reading[stream] = NULL;
    struct tt_error *err = NULL;
    if (bytes->length)
        take(&read->bytes.bytes, bytes, read->max);
    else
        err = tt_error_copy(held->error);
    tt_op_finish(&read->bytes.op, err);
}

void tx_held_add(struct tx_held *held, enum tt_stream stream, const char *bytes, size_t length)
{
    tt_buf_add(&held->bytes[stream], bytes, length);
    serve(held, stream);
}

void tx_held_end(struct tx_held *held, struct tt_error *err)
{
    held->over = true;
    held->error = err;
    serve(held, TT_STDOUT);
    serve(held, TT_STDERR);
}

void tx_held_open(struct tx_held *held)
{
    held->open = true;
    serve(held, TT_STDOUT);
    serve(held, TT_STDERR);
}

static bool is_full(const struct tx_held *held)
{
    size_t room = max_held + held->more;
    return held->bytes[0].length >= room || held->bytes[1].length >= room;
}

static void on_stuck(struct tt_timer *timer)
{
    struct tx_held *held = tt_owner(timer, struct tx_held, stuck);
    if (held->more < most)
        held->more += held->hurry ? 1 << 20 : trickle;
    held->wanted(held);
}

bool tx_held_room(struct tx_held *held)
{
    if (held->bytes[0].length < max_held && held->bytes[1].length < max_held)
        held->more = 0;
    bool full = is_full(held);
    if (!full)
        tt_timer_stop(held->loop, &held->stuck);
    else if (!held->stuck.slot && held->more < most)
        tt_timer_start(held->loop, &held->stuck,
                       tt_deadline_after(tt_loop_now(held->loop), stuck_ms), on_stuck);
    return !full;
}

static void read_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct tx_held_read *read = (struct tx_held_read *)(void *)op;
    read->held->reading[read->stream] = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

struct tt_op *tx_held_read(struct tx_held *held, struct tt_scope *scope, enum tt_stream stream,
                           size_t max)
{
    static const struct tt_op_class class_ = {"read", read_cancel, tt_bytes_op_free};
    struct tx_held_read *read = tt_zalloc(sizeof *read);
    read->held = held;
    read->stream = stream;
    read->max = max;
    tt_op_init(&read->bytes.op, &class_, scope);
    if (tt_op_finished(&read->bytes.op))
        return &read->bytes.op;
    held->reading[stream] = read;
    serve(held, stream);
    held->wanted(held);
    return &read->bytes.op;
}

void tx_held_clear(struct tx_held *held)
{
    tt_timer_stop(held->loop, &held->stuck);
    tt_buf_free(&held->bytes[0]);
    tt_buf_free(&held->bytes[1]);
    tt_error_free(held->error);
    held->error = NULL;
}

/* --- the end --- */

void tx_end_reached(struct tx_end *end)
{
    struct tx_held_wait *waiting = end->waiting;
    end->reached = true;
    end->waiting = NULL;
    if (waiting)
        tt_op_finish(&waiting->op, NULL);
}

static void wait_cancel(struct tt_op *op, const struct tt_error *why)
{
    ((struct tx_held_wait *)(void *)op)->end->waiting = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

struct tt_op *tx_end_wait(struct tx_end *end, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"wait", wait_cancel, tt_op_free};
    struct tx_held_wait *wait = tt_zalloc(sizeof *wait);
    wait->end = end;
    tt_op_init(&wait->op, &class_, scope);
    if (tt_op_finished(&wait->op))
        return &wait->op;
    if (end->reached)
        tt_op_finish(&wait->op, NULL);
    else
        end->waiting = wait;
    return &wait->op;
}
