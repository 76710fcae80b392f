/* A multiplexed stream says the same however it is cut into pieces, and never reaches outside. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tt_buf at_once[4] = {{0}}, in_bites[4] = {{0}};
    int whole[2];
    bool good = take_apart(data, size, size + 1, at_once, &whole[0]);
    size_t bite = size ? 1 + data[size - 1] % 13 : 1;
    if (take_apart(data, size, bite, in_bites, &whole[1]) != good || (good && whole[0] != whole[1]))
        abort();
    for (int i = 0; i < 4; i++) {
        if (good && (at_once[i].length != in_bites[i].length ||
                     (at_once[i].length &&
                      memcmp(at_once[i].data, in_bites[i].data, at_once[i].length) != 0)))
            abort();
        tt_buf_free(&at_once[i]);
        tt_buf_free(&in_bites[i]);
    }
    return 0;
}
