/* What an API server sends over an exec's WebSocket: whatever it is and however it is cut into
 * pieces, the channels say the same, and so do the shim's reports and the status that are in them.
 */
#include "executors/http/ws.h"
#include "executors/k8s/exec.h"
#include "executors/remote/shim.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { err_channel = 2, error_channel = 3, channels = 256 };

struct seen {
    struct tt_buf channel[channels];
    struct tx_reports reports;
    struct tt_buf plain;    /* stderr without the reports */
    struct tt_buf reported; /* one line each */
    size_t answered;        /* bytes that were sent back */
    bool good, closed;
};

static void read_reports(struct seen *seen, const char *bytes, size_t length)
{
    struct tx_report report;
    while (tx_reports_next(&seen->reports, bytes, length, &seen->plain, &report)) {
        tt_buf_format(&seen->reported, "%d %lld %lld %d %d\n", report.what, (long long)report.pid,
                      (long long)report.group, report.code, report.shell_is_sh);
        if (report.what == 'X' && (report.code < -1 || report.code > 255))
            abort();
        bytes = NULL;
        length = 0;
    }
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    struct seen *seen = arg;
    if (!length)
        abort();
    tt_buf_add(&seen->channel[channel], bytes, length);
    if (channel == err_channel)
        read_reports(seen, bytes, length);
}

static void receive(struct seen *seen, const uint8_t *data, size_t size, size_t bite)
{
    struct tx_ws *ws;
    memcpy(seen->reports.nonce, "0123456789abcdef", tx_nonce_size);
    if (tx_ws_new(&ws, on_piece, seen, NULL) < 0)
        abort();
    seen->good = true;
    for (size_t at = 0; at < size && seen->good && !tx_ws_closed(ws); at += bite) {
        size_t length = size - at < bite ? size - at : bite;
        char *copy = malloc(length); /* of its own, so that a step outside is seen */
        struct tt_error *err = NULL;
        memcpy(copy, data + at, length);
        seen->good = tx_ws_feed(ws, copy, length, &err) == 0;
        if (seen->good != !err)
            abort();
        tt_error_free(err);
        free(copy);
        seen->answered += tx_ws_out(ws)->length;
        /* a ping of n bytes is answered by n bytes and a frame's head */
        if (tx_ws_out(ws)->length > 7 * length + 1024)
            abort();
        tx_ws_out(ws)->length = 0;
    }
    seen->closed = tx_ws_closed(ws);
    tx_ws_send(ws, 0, "after", 5, NULL); /* may fail, but is safe */
    tx_reports_end(&seen->reports, &seen->plain);
    tx_ws_free(ws);
}

static bool same(const struct tt_buf *a, const struct tt_buf *b)
{
    return a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

/* One is how the other begins. */
static bool same_beginning(const struct tt_buf *a, const struct tt_buf *b)
{
    size_t length = a->length < b->length ? a->length : b->length;
    return !length || memcmp(a->data, b->data, length) == 0;
}

/* `closes`: there may be a close frame. libwslay checks its reason piece by piece, without always
 * finding what is wrong, and sends no pong after it; the connection ends either way. */
static void compare(const struct seen *a, const struct seen *b, bool closes)
{
    bool good = a->good && b->good;
    if (!closes && (a->good != b->good || a->closed != b->closed))
        abort();
    /* of text that turns out to be no UTF-8, more or less was seen before */
    for (int i = 0; i < channels; i++)
        if (good ? !same(&a->channel[i], &b->channel[i])
                 : !same_beginning(&a->channel[i], &b->channel[i]))
            abort();
    if (good && (!same(&a->plain, &b->plain) || !same(&a->reported, &b->reported) ||
                 (!closes && a->answered != b->answered)))
        abort();
}

static void clear(struct seen *seen)
{
    for (int i = 0; i < channels; i++)
        tt_buf_free(&seen->channel[i]);
    tt_buf_free(&seen->plain);
    tt_buf_free(&seen->reported);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen at_once = {0}, in_bites = {0};
    receive(&at_once, data, size, size + 1);
    receive(&in_bites, data, size, size ? 1 + data[size - 1] % 13 : 1);
    compare(&at_once, &in_bites, size && memchr(data, 0x88, size));
    const struct tt_buf *said = &at_once.channel[error_channel];
    struct tx_pod_status status;
    tx_pod_status_read(&status, said->data ? said->data : "", said->length);
    if ((status.code < 0) != (status.error != NULL) || status.code > 255)
        abort();
    tt_error_free(status.error);
    clear(&at_once);
    clear(&in_bites);
    return 0;
}
