/* A remote command's two output streams, which arrive over one connection: what came and was not
 * read yet, and the reads that wait. And its end, and who waits for that. Parts of a tt_process. */
#ifndef TX_HELD_H
#define TX_HELD_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tx_held_read;
struct tx_held_wait;

/* Nothing is received while nobody reads; but an end may stand behind what was not read, and a
 * Docker daemon does not notice the end of anything in a container while one stream of it is stuck.
 * So a stream that is stuck is let through little by little, up to 32 MiB. */
struct tx_held {
    struct tt_loop *loop;
    struct tt_buf bytes[2];
    struct tx_held_read *reading[2];
    struct tt_error *error; /* why the streams broke */
    bool over;              /* nothing more will come */
    bool open;              /* what came may be given to readers */
    bool hurry;             /* the command was told to end: let more through */
    size_t more;            /* room beyond the usual */
    struct tt_timer stuck;
    void (*wanted)(struct tx_held *held); /* somebody reads: there may be room again */
};

void tx_held_add(struct tx_held *held, enum tt_stream stream, const char *bytes, size_t length);
/* The streams ended, or broke (err is taken). */
void tx_held_end(struct tx_held *held, struct tt_error *err);
/* From now on readers get what is there. */
void tx_held_open(struct tx_held *held);
/* Whether more should be received now: neither stream is full. */
bool tx_held_room(struct tx_held *held);
/* The `read` of a tt_process. */
struct tt_op *tx_held_read(struct tx_held *held, struct tt_scope *scope, enum tt_stream stream,
                           size_t max);
void tx_held_clear(struct tx_held *held);

/* The end of a command: one waits for it. */
struct tx_end {
    bool reached;
    struct tx_held_wait *waiting;
};

void tx_end_reached(struct tx_end *end);
/* The `wait` of a tt_process. */
struct tt_op *tx_end_wait(struct tx_end *end, struct tt_scope *scope);

#endif
