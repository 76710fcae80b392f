/* Messages of an API server, in frames of any size with control frames in between, arrive on their
 * channels byte-exact; what we send is framed so that a server reads the same. The input says which
 * messages there are. */
#include "executors/http/ws.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { channels = 8, opcode_more = 0, opcode_binary = 2, opcode_ping = 9, opcode_pong = 10 };

struct input {
    const uint8_t *at, *end;
};

struct sent {
    struct tt_buf wire, channel[channels], pings;
};

static uint8_t next(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static void add_byte(struct tt_buf *out, unsigned byte)
{
    char one = (char)byte;
    tt_buf_add(out, &one, 1);
}

static void add_frame(struct tt_buf *out, bool fin, unsigned opcode, const uint8_t *bytes,
                      size_t length)
{
    add_byte(out, (fin ? 0x80u : 0) | opcode);
    int width = length < 126 ? 0 : length < 65536 ? 2 : 8;
    add_byte(out, width == 0 ? (unsigned)length : width == 2 ? 126 : 127);
    for (int i = width - 1; i >= 0; i--)
        add_byte(out, (unsigned)((uint64_t)length >> (8 * i)) & 0xff);
    if (length)
        tt_buf_add(out, bytes, length);
}

/* The channel's byte and `length` others, in as many frames as the input says. */
static void add_message(struct sent *sent, struct input *in)
{
    unsigned channel = next(in) % channels;
    size_t length = next(in) % 4 ? next(in) : next(in) * 300u;
    uint8_t *message = malloc(length + 1);
    message[0] = (uint8_t)channel;
    for (size_t i = 1; i <= length; i++)
        message[i] = in->at < in->end ? *in->at++ : (uint8_t)i;
    if (length)
        tt_buf_add(&sent->channel[channel], message + 1, length);
    unsigned opcode = opcode_binary;
    for (size_t at = 0; at <= length;) {
        size_t part = next(in) * (length / 256 + 1);
        bool last = part == 255 || part >= length + 1 - at || in->at == in->end;
        if (last)
            part = length + 1 - at;
        add_frame(&sent->wire, last, opcode, message + at, part);
        opcode = opcode_more;
        at += part;
        if (next(in) % 3 == 0) {
            size_t size = next(in) % 126, left = (size_t)(in->end - in->at);
            size = size < left ? size : left;
            add_frame(&sent->wire, true, opcode_ping, in->at, size);
            add_frame(&sent->pings, true, opcode_pong, in->at, size);
        }
    }
    free(message);
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    if (channel >= channels || !length)
        abort();
    tt_buf_add(&((struct tt_buf *)arg)[channel], bytes, length);
}

/* What a server makes of our frames: the same without masks. */
static void unmask(struct tt_buf *out, const struct tt_buf *wire)
{
    const uint8_t *at = (const uint8_t *)wire->data;
    const uint8_t *end = wire->length ? at + wire->length : at;
    while (at < end) {
        bool fin = at[0] & 0x80;
        unsigned opcode = at[0] & 0x7f;
        uint64_t length = at[1] & 0x7f;
        if (end - at < 2 || !(at[1] & 0x80))
            abort();
        int width = length == 126 ? 2 : length == 127 ? 8 : 0;
        at += 2;
        length = width ? 0 : length;
        for (; width > 0; width--)
            length = length << 8 | *at++;
        const uint8_t *mask = at;
        at += 4;
        if ((uint64_t)(end - at) < length)
            abort();
        uint8_t *bytes = malloc(length + 1);
        for (uint64_t i = 0; i < length; i++)
            bytes[i] = at[i] ^ mask[i % 4];
        add_frame(out, fin, opcode, bytes, length);
        free(bytes);
        at += length;
    }
}

static void expect(const struct tt_buf *got, const struct tt_buf *wanted)
{
    if (got->length != wanted->length ||
        (got->length && memcmp(got->data, wanted->data, got->length) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct sent sent = {0};
    struct tt_buf got[channels] = {{0}}, server = {0};
    struct tx_ws *ws;
    size_t bite = next(&in) * next(&in) + 1u;
    while (in.at < in.end && sent.wire.length < 1 << 20)
        add_message(&sent, &in);
    if (tx_ws_new(&ws, on_piece, got, NULL) < 0)
        abort();
    for (size_t at = 0; at < sent.wire.length; at += bite) {
        size_t rest = sent.wire.length - at, length = rest < bite ? rest : bite;
        if (tx_ws_feed(ws, sent.wire.data + at, length, NULL) < 0 || tx_ws_closed(ws))
            abort();
    }
    unmask(&server, tx_ws_out(ws));
    expect(&server, &sent.pings);
    tt_buf_free(&server);
    tx_ws_out(ws)->length = 0;
    sent.wire.length = 0;
    for (unsigned i = 0; i < channels; i++) {
        expect(&got[i], &sent.channel[i]);
        struct tt_buf message = {0};
        add_byte(&message, i);
        if (got[i].length)
            tt_buf_add(&message, got[i].data, got[i].length);
        add_frame(&sent.wire, true, opcode_binary, (const uint8_t *)message.data, message.length);
        if (tx_ws_send(ws, (unsigned char)i, got[i].data, got[i].length, NULL) < 0)
            abort();
        tt_buf_free(&message);
        tt_buf_free(&got[i]);
        tt_buf_free(&sent.channel[i]);
    }
    unmask(&server, tx_ws_out(ws));
    expect(&server, &sent.wire);
    tx_ws_free(ws);
    tt_buf_free(&server);
    tt_buf_free(&sent.wire);
    tt_buf_free(&sent.pings);
    return 0;
}
