/* A multiplexed stream says what the model says however it is cut into pieces, and never reaches
 * outside. */
#include "core/base/buf.h"
#include "executors/docker/stream.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The content of each stream, taken apart in bites of so many bytes. Whether it was well formed. */
static bool take_apart(const uint8_t *data, size_t size, size_t bite, struct tt_buf out[4],
                       int *whole)
{
    struct tx_docker_frames frames = {0};
    bool good = true;
    for (size_t from = 0; good && from < size; from += bite) {
        size_t length = size - from < bite ? size - from : bite;
        char *copy = malloc(length); /* of its own, so that a step outside is seen */
        memcpy(copy, data + from, length);
        for (size_t at = 0; good && at < length;) {
            struct tx_docker_piece piece;
            long used = tx_docker_frames_next(&frames, copy + at, length - at, &piece, NULL);
            good = used >= 0;
            if (!good)
                break;
            if (used == 0 || (size_t)used > length - at || piece.stream > 3)
                abort();
            if (piece.length)
                tt_buf_add(&out[piece.stream], piece.bytes, piece.length);
            at += (size_t)used;
        }
        free(copy);
    }
    *whole = tx_docker_frames_whole(&frames);
    return good;
}

/* The same by a slow, obvious model, frame by frame over the whole input. */
static bool model(const uint8_t *data, size_t size, struct tt_buf out[4], bool *whole)
{
    size_t at = 0;
    for (*whole = true; at < size && *whole;) {
        if (size - at < 8) {
            *whole = false;
            break;
        }
        const uint8_t *head = data + at;
        if (head[0] > 3 || head[1] || head[2] || head[3])
            return false;
        size_t length = ((head[4] * 256u + head[5]) * 256u + head[6]) * (size_t)256 + head[7];
        at += 8;
        *whole = length <= size - at;
        length = *whole ? length : size - at;
        if (length)
            tt_buf_add(&out[head[0]], data + at, length);
        at += length;
    }
    return true;
}

static bool same(const struct tt_buf *a, const struct tt_buf *b)
{
    return a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tt_buf wanted[4] = {{0}};
    bool whole, good = model(data, size, wanted, &whole);
    size_t bites[] = {size + 1, size ? 1 + data[size - 1] % 13u : 1};
    for (int way = 0; way < 2; way++) {
        struct tt_buf got[4] = {{0}};
        int ends;
        if (take_apart(data, size, bites[way], got, &ends) != good || (good && !ends == whole))
            abort();
        for (int i = 0; i < 4; i++) {
            if (!same(&got[i], &wanted[i]))
                abort();
            tt_buf_free(&got[i]);
        }
    }
    for (int i = 0; i < 4; i++)
        tt_buf_free(&wanted[i]);
    return 0;
}
