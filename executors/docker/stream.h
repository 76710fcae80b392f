/* Docker's multiplexed stream, taken apart. Pure: bytes in, pieces out.
 *
 * Without a terminal, the output of a container's process comes as frames: a byte that names the
 * stream (0 stdin, 1 stdout, 2 stderr, 3 an error of the daemon), three zero bytes, the length as
 * 32 bits in network order, then so many bytes. */
#ifndef TX_DOCKER_STREAM_H
#define TX_DOCKER_STREAM_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Where in the stream of frames we are; all zero is the start. */
struct tx_docker_frames {
    unsigned char head[8];
    unsigned filled; /* of head */
    uint32_t left;   /* of the current frame's content */
    unsigned stream; /* the current frame's */
};

/* One piece of content. stream: 1 stdout, 2 stderr, 3 the daemon's error. */
struct tx_docker_piece {
    unsigned stream;
    const char *bytes; /* inside the input */
    size_t length;
};

/* Takes the next piece from the front of bytes: returns how many bytes were used up; piece->length
 * is 0 when those held no content. Negative: not such a stream (`io`). */
long tx_docker_frames_next(struct tx_docker_frames *frames, const char *bytes, size_t length,
                           struct tx_docker_piece *piece, struct tt_error **err);
/* Whether the stream may end here: not inside a frame. */
int tx_docker_frames_whole(const struct tx_docker_frames *frames);

#endif
