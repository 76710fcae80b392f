#include "executors/docker/stream.h"

static long take_head(struct tx_docker_frames *frames, const char *bytes, size_t length,
                      struct tt_error **err)
{
    size_t used = 0;
    while (frames->filled < sizeof frames->head && used < length)
        frames->head[frames->filled++] = (unsigned char)bytes[used++];
    if (frames->filled < sizeof frames->head)
        return (long)used;
    const unsigned char *h = frames->head;
    if (h[0] > 3 || h[1] || h[2] || h[3])
        return tt_fail(err, TT_IO, "the daemon's stream has a malformed frame");
    frames->stream = h[0];
    frames->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    frames->filled = frames->left ? frames->filled : 0;
    return (long)used;
}

long tx_docker_frames_next(struct tx_docker_frames *frames, const char *bytes, size_t length,
                           struct tx_docker_piece *piece, struct tt_error **err)
{
    *piece = (struct tx_docker_piece){0};
    long used = 0;
    if (!frames->left) {
        used = take_head(frames, bytes, length, err);
        if (used < 0)
            return used;
    }
    if (frames->left) {
        size_t there = length - (size_t)used;
        piece->stream = frames->stream;
        piece->bytes = bytes + used;
        piece->length = there < frames->left ? there : frames->left;
        frames->left -= (uint32_t)piece->length;
        if (!frames->left)
            frames->filled = 0;
        used += (long)piece->length;
    }
    return used;
}

int tx_docker_frames_whole(const struct tx_docker_frames *frames)
{
    return frames->filled == 0;
}
