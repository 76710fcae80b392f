/* The parts of a struct tt_process that remote commands share: struct tx_held keeps output that
 * nobody has read yet, and the reads that wait for more; struct tx_end is the command's end, and
 * the one who waits for it. Loop thread. */
#ifndef TX_HELD_H
#define TX_HELD_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tx_held_read;
struct tx_held_wait;

/* A command's two output streams, which arrive over one connection. Nothing more is received while
 * nobody reads. But the command's end may stand behind output that nobody reads, and a Docker
 * daemon notices no end in a container while one stream of it is stuck. So a stuck stream is let
 * through little by little, up to 32 MiB. */
struct tx_held {
    struct tt_loop *loop;
    struct tt_buf bytes[2];
    struct tx_held_read *reading[2];
    struct tt_error *error; /* why the streams broke */
    bool over;              /* nothing more will arrive */
    bool open;              /* readers may be given what arrived */
    bool hurry;             /* the command is being terminated: let more through */
    size_t more;            /* bytes that may be kept beyond the usual room */
    struct tt_timer stuck;
    void (*wanted)(struct tx_held *held); /* somebody reads: tx_held_room may be true again */
};

void tx_held_add(struct tx_held *held, enum tt_stream stream, const char *bytes, size_t length);
/* The streams ended, or broke (err is taken). */
void tx_held_end(struct tx_held *held, struct tt_error *err);
/* From now on readers are given what has arrived. */
void tx_held_open(struct tx_held *held);
/* Whether more should be received now: neither stream is full. */
bool tx_held_room(struct tx_held *held);
/* The `read` of a tt_process. */
struct tt_op *tx_held_read(struct tx_held *held, struct tt_scope *scope, enum tt_stream stream,
                           size_t max);
void tx_held_clear(struct tx_held *held);

/* The end of a command. At most one waits for it. */
struct tx_end {
    bool reached;
    struct tx_held_wait *waiting;
};

void tx_end_reached(struct tx_end *end);
/* The `wait` of a tt_process. */
struct tt_op *tx_end_wait(struct tx_end *end, struct tt_scope *scope);

#endif
