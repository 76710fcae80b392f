/* WebSocket frames: messages are the same however the bytes are cut into pieces; nothing that the
 * far side sends makes us step outside, wait for ever or answer without a bound. */
#include "core/buf.h"
#include "executors/ws.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    struct tt_buf bytes; /* of all messages */
    size_t messages, ends;
};

static void on_piece(void *arg, bool first, bool last, const char *bytes, size_t length)
{
    struct heard *heard = arg;
    heard->messages += first;
    heard->ends += last;
    if (length)
        tt_buf_add(&heard->bytes, bytes, length);
    if (heard->ends > heard->messages)
        abort();
}

/* Feeds bites of so many bytes. Whether the far side kept to the protocol. */
static bool feed(const uint8_t *data, size_t size, size_t bite, struct heard *heard, bool *closed)
{
    struct tx_ws *ws = NULL;
    bool good = true;
    if (tx_ws_new(&ws, on_piece, heard, NULL) < 0)
        abort();
    for (size_t from = 0; good && from < size && !tx_ws_closed(ws); from += bite) {
        size_t length = size - from < bite ? size - from : bite;
        char *copy = malloc(length); /* of its own, so that a step outside is seen */
        memcpy(copy, data + from, length);
        struct tt_error *err = NULL;
        good = tx_ws_feed(ws, copy, length, &err) == 0;
        if (good == (err != NULL))
            abort();
        tt_error_free(err);
        free(copy);
        /* a ping of n bytes is answered by n bytes and a frame's head */
        if (tx_ws_out(ws)->length > 7 * length + 1024)
            abort();
        tx_ws_out(ws)->length = 0;
    }
    *closed = tx_ws_closed(ws);
    tx_ws_send(ws, 0, "after", 5, NULL); /* may fail, but is safe */
    tx_ws_free(ws);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard at_once = {0}, in_bites = {0};
    bool closed[2];
    size_t bite = size ? 1 + data[size - 1] % 13 : 1;
    bool good = feed(data, size, size + 1, &at_once, &closed[0]);
    /* of the text in a close frame, wslay checks what comes at once: bites may pass where the whole
     * does not */
    if (!feed(data, size, bite, &in_bites, &closed[1]))
        good = false;
    if (good && (closed[0] != closed[1] || at_once.messages != in_bites.messages ||
                 at_once.ends != in_bites.ends || at_once.bytes.length != in_bites.bytes.length ||
                 (at_once.bytes.length &&
                  memcmp(at_once.bytes.data, in_bites.bytes.data, at_once.bytes.length) != 0)))
        abort();
    tt_buf_free(&at_once.bytes);
    tt_buf_free(&in_bites.bytes);
    return 0;
}
