/* A byte stream to a server: a socket, a channel through another session, or a program. Nothing
 * blocks; loop thread.
 *
 * `ready` is called from a libuv callback or a job when reading or writing may go on; it only notes
 * that and posts a job. */
#ifndef TX_SSH_WIRE_H
#define TX_SSH_WIRE_H

#include "core/async/op.h"

#include <sys/types.h>

struct tx_wire;

struct tx_wire_class {
    /* Bytes read, 0 at the end, -EAGAIN, or another negative errno. */
    ssize_t (*read)(struct tx_wire *wire, void *to, size_t room);
    /* Bytes taken (1 or more), -EAGAIN, or another negative errno. */
    ssize_t (*write)(struct tx_wire *wire, const void *from, size_t length);
    /* What `ready` is wanted for from now on. */
    void (*watch)(struct tx_wire *wire, bool input, bool room);
    void (*free)(struct tx_wire *wire); /* closes at once */
};

struct tx_wire {
    const struct tx_wire_class *class_;
    void (*ready)(void *arg); /* set by the owner before it watches */
    void *arg;
};

/* Finishes with tx_wire_of. Tries the host's addresses in turn, each with its share of the time
 * that the scope has; errors are kind `connect` and name every address. TCP_NODELAY and keep-alive
 * are set. */
struct tt_op *tx_wire_connect(struct tt_scope *scope, const char *host, int port);

/* A connected socket as a wire; takes fd, also on failure (NULL). */
struct tx_wire *tx_wire_of_socket(struct tt_loop *loop, int fd, struct tt_error **err);
/* Nothing more will be written; only for a socket's wire. */
void tx_wire_end_output(struct tx_wire *wire);

struct tx_wire_op {
    struct tt_op op;
    struct tx_wire *wire; /* closed with the operation when nobody took it */
};
struct tx_wire *tx_wire_of(struct tt_op *op); /* takes it; NULL on error */
void tx_wire_op_free(struct tt_op *op);

#endif
