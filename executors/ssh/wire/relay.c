#include "executors/ssh/wire/relay.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <errno.h>
#include <stdlib.h>

enum { room = 64 << 10 };

/* One direction: bytes that were read and are not written yet. */
struct flow {
    char *data;
    size_t at, length;
    bool ended; /* nothing more comes */
    bool shut;  /* and the other side was told */
};

struct tx_relay {
    struct tt_loop *loop;
    struct tx_wire *wire;
    struct tx_channel *channel;
    struct flow out, in; /* out: from the wire to the channel */
    struct tt_job job;
    void (*ended)(void *arg);
    void *arg;
    bool over;
};

/* A step's outcome: bytes moved, nothing to do now, or the side is gone. */
enum moved { MOVED, BLOCKED, GONE };

static enum moved judge(ssize_t n, struct flow *flow)
{
    if (n > 0) {
        flow->length = (size_t)n;
        flow->at = 0;
    }
    if (n == 0)
        flow->ended = true;
    return n >= 0 ? MOVED : n == -EAGAIN ? BLOCKED : GONE;
}

static enum moved push_out(struct tx_relay *r)
{
    struct flow *f = &r->out;
    if (f->at < f->length) {
        ssize_t n = tx_channel_write(r->channel, f->data + f->at, f->length - f->at);
        if (n > 0)
            f->at += (size_t)n;
        return n > 0 ? MOVED : n == -EAGAIN ? BLOCKED : GONE;
    }
    if (!f->ended)
        return judge(r->wire->class_->read(r->wire, f->data, room), f);
    if (f->shut)
        return BLOCKED;
    int rc = tx_channel_end(r->channel);
    f->shut = rc == 0;
    return rc == 0 ? MOVED : rc == -EAGAIN ? BLOCKED : GONE;
}

static enum moved push_in(struct tx_relay *r)
{
    struct flow *f = &r->in;
    if (f->at < f->length) {
        ssize_t n = r->wire->class_->write(r->wire, f->data + f->at, f->length - f->at);
        if (n > 0)
            f->at += (size_t)n;
        return n > 0 ? MOVED : n == -EAGAIN ? BLOCKED : GONE;
    }
    if (!f->ended)
        return judge(tx_channel_read(r->channel, 0, f->data, room), f);
    if (f->shut)
        return BLOCKED;
    tx_wire_end_output(r->wire);
    f->shut = true;
    return MOVED;
}

static void step(struct tx_relay *r)
{
    enum moved out = MOVED, in = MOVED;
    for (int turns = 0; turns < 16 && (out == MOVED || in == MOVED); turns++) {
        out = push_out(r);
        in = push_in(r);
    }
    if (out == MOVED || in == MOVED)
        tt_loop_post(r->loop, &r->job); /* others have their turn first */
    if (out == GONE || in == GONE || (r->out.shut && r->in.shut)) {
        r->over = true;
        r->wire->class_->watch(r->wire, false, false);
        r->ended(r->arg);
        return;
    }
    r->wire->class_->watch(r->wire, !r->out.ended && r->out.at == r->out.length,
                           r->in.at < r->in.length);
}

static void on_job(struct tt_job *job)
{
    struct tx_relay *r = tt_owner(job, struct tx_relay, job);
    if (!r->over)
        step(r);
}

static void on_ready(void *arg)
{
    struct tx_relay *r = arg;
    tt_loop_post(r->loop, &r->job);
}

struct tx_relay *tx_relay_new(struct tt_loop *loop, struct tx_wire *wire,
                              struct tx_channel *channel, void (*ended)(void *arg), void *arg)
{
    struct tx_relay *r = tt_zalloc(sizeof *r);
    r->loop = loop;
    r->wire = wire;
    r->channel = channel;
    r->ended = ended;
    r->arg = arg;
    r->out.data = tt_alloc(room);
    r->in.data = tt_alloc(room);
    r->job.run = on_job;
    wire->ready = on_ready;
    wire->arg = r;
    tx_channel_listen(channel, on_ready, r);
    tt_loop_post(loop, &r->job);
    return r;
}

void tx_relay_free(struct tx_relay *r)
{
    if (!r)
        return;
    tt_loop_unpost(r->loop, &r->job);
    tx_channel_listen(r->channel, NULL, NULL);
    r->wire->class_->free(r->wire);
    free(r->out.data);
    free(r->in.data);
    free(r);
}
