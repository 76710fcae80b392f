/* What an API server sends over an exec's WebSocket: whatever it is and however it is cut into
 * pieces, the channels say what a slow, obvious model says, and so do the shim's reports and the
 * status that are in them. */
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

/* --- the model: frame by frame over the whole input, by RFC 6455 --- */

struct model {
    struct tt_buf channel[channels];
    struct tt_buf text; /* of a message that is text, as far as it came */
    size_t answered;
    bool broken;  /* a frame breaks the protocol */
    bool no_text; /* it does because its text, which is in `channel`, is no UTF-8 */
    bool closes;  /* a close frame begins: what comes after it does not count */
    bool closed;  /* it ends */
    bool unsure;  /* the input ends in or after a frame's head */
    bool named, open, is_text;
    unsigned char name;
};

/* How many bytes the character that begins here has; 0: none begins so. `cut`: it may go on after
 * the end. */
static size_t character(const unsigned char *at, size_t left, bool *cut)
{
    size_t length = at[0] < 0x80   ? 1
                    : at[0] < 0xc2 ? 0
                    : at[0] < 0xe0 ? 2
                    : at[0] < 0xf0 ? 3
                    : at[0] < 0xf5 ? 4
                                   : 0;
    unsigned low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < length && i < left; i++) {
        if (at[i] < low || at[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    *cut = length > left;
    return length;
}

static bool is_utf8(const struct tt_buf *text, bool whole)
{
    const unsigned char *at = (const unsigned char *)text->data;
    for (size_t left = text->length, length; left; left -= length, at += length) {
        bool cut = false;
        length = character(at, left, &cut);
        if (!length || (cut && whole))
            return false;
        if (cut)
            return true;
    }
    return true;
}

/* A piece of a data frame; `last` ends its message. */
static void data_frame(struct model *model, const uint8_t *bytes, size_t length, bool last)
{
    if (model->is_text && length)
        tt_buf_add(&model->text, bytes, length);
    if (model->is_text && !is_utf8(&model->text, last))
        model->broken = model->no_text = true;
    if (length && !model->named) {
        model->named = true;
        model->name = *bytes++;
        length--;
    }
    if (length)
        tt_buf_add(&model->channel[model->name], bytes, length);
}

/* Takes one frame apart; its length, or 0 when nothing comes after it. */
static size_t frame(struct model *model, const uint8_t *at, size_t left)
{
    size_t head = left < 2 ? 2 : (at[1] & 0x7f) == 126 ? 4 : (at[1] & 0x7f) == 127 ? 10 : 2;
    if (left >= 2 && at[1] & 0x80)
        head += 4;
    if (left < head) {
        model->unsure = true;
        return 0;
    }
    bool last = at[0] & 0x80, control = at[0] & 8;
    unsigned opcode = at[0] & 15;
    uint64_t length = at[1] & 0x7f, least = length == 126 ? 126 : length == 127 ? 65536 : 0;
    if (least) {
        length = 0;
        for (size_t i = 2; i < (least == 126 ? 4u : 10u); i++)
            length = length << 8 | at[i];
    }
    if (at[0] & 0x70 || at[1] & 0x80 || length < least || length >> 62 || (opcode & 7) > 2 ||
        (control && (!last || length > 125)) || (!control && (opcode == 0) != model->open)) {
        /* what is wrong with a head may be found with the first byte after it */
        *(left > head || !length ? &model->broken : &model->unsure) = true;
        return 0;
    }
    bool whole = length <= left - head;
    size_t here = whole ? (size_t)length : left - head;
    if (!control) {
        if (opcode) {
            model->named = false;
            model->is_text = opcode == 1;
            model->text.length = 0;
        }
        data_frame(model, at + head, here, last && whole);
        model->open = !last || !whole;
    } else if (opcode == 8) {
        model->closes = true;
        model->closed = whole;
    } else if (opcode == 9 && whole) {
        model->answered += 6 + here; /* a pong, with a mask */
    }
    return whole && !model->broken && !model->closes ? head + here : 0;
}

static void work_out(struct model *model, const uint8_t *data, size_t size)
{
    for (size_t at = 0, length; at < size; at += length)
        if ((length = frame(model, data + at, size - at)) == 0)
            return;
}

/* That is how the whole begins. */
static bool begins(const struct tt_buf *whole, const struct tt_buf *with)
{
    return with->length <= whole->length &&
           (!with->length || memcmp(whole->data, with->data, with->length) == 0);
}

/* Of text that turns out to be no UTF-8, more or less was seen before; else every byte is told. A
 * close may be found bad or not (libwslay checks its reason piece by piece), but ends the
 * connection either way, and gets no pongs after it. */
static void compare(const struct seen *seen, const struct model *model)
{
    for (int i = 0; i < channels; i++)
        if (model->no_text ? !begins(&model->channel[i], &seen->channel[i])
                           : !same(&model->channel[i], &seen->channel[i]))
            abort();
    if (model->broken && (seen->good || seen->closed))
        abort();
    if (!model->broken && !model->closes && (seen->closed || (!seen->good && !model->unsure)))
        abort();
    if (model->closed && seen->good && !seen->closed)
        abort();
    if (seen->good && !model->closes && seen->answered != model->answered)
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
    struct model model = {0};
    receive(&at_once, data, size, size + 1);
    receive(&in_bites, data, size, size ? 1 + data[size - 1] % 13 : 1);
    work_out(&model, data, size);
    compare(&at_once, &model);
    compare(&in_bites, &model);
    if (!model.no_text &&
        (!same(&at_once.plain, &in_bites.plain) || !same(&at_once.reported, &in_bites.reported)))
        abort();
    const struct tt_buf *said = &at_once.channel[error_channel];
    struct tx_pod_status status;
    tx_pod_status_read(&status, said->data ? said->data : "", said->length);
    if ((status.code < 0) != (status.error != NULL) || status.code > 255)
        abort();
    tt_error_free(status.error);
    clear(&at_once);
    clear(&in_bites);
    for (int i = 0; i < channels; i++)
        tt_buf_free(&model.channel[i]);
    tt_buf_free(&model.text);
    return 0;
}
