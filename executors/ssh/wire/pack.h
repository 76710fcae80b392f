/* The binary encoding of SSH: big-endian integers and length-prefixed strings, read with bounds and
 * written into a buffer. Used for key blobs, the agent's messages and SFTP. Pure. */
#ifndef TX_PACK_H
#define TX_PACK_H

#include "core/base/buf.h"

#include <stdint.h>
#include <string.h>

/* Bytes, borrowed. */
struct tx_span {
    const unsigned char *bytes;
    size_t length;
};

/* Where reading stands. `bad` once something was not there; everything read then is empty or 0. */
struct tx_cursor {
    const unsigned char *at;
    size_t left;
    bool bad;
};

static inline struct tx_cursor tx_cursor(const void *bytes, size_t length)
{
    return (struct tx_cursor){bytes, length, false};
}

static inline struct tx_span tx_get_bytes(struct tx_cursor *c, size_t length)
{
    if (c->bad || c->left < length) {
        c->bad = true;
        return (struct tx_span){(const unsigned char *)"", 0};
    }
    struct tx_span span = {c->at, length};
    c->at += length;
    c->left -= length;
    return span;
}

static inline uint8_t tx_get_u8(struct tx_cursor *c)
{
    struct tx_span s = tx_get_bytes(c, 1);
    return s.length ? s.bytes[0] : 0;
}

static inline uint32_t tx_get_u32(struct tx_cursor *c)
{
    struct tx_span s = tx_get_bytes(c, 4);
    if (!s.length)
        return 0;
    return (uint32_t)s.bytes[0] << 24 | (uint32_t)s.bytes[1] << 16 | (uint32_t)s.bytes[2] << 8 |
           (uint32_t)s.bytes[3];
}

static inline uint64_t tx_get_u64(struct tx_cursor *c)
{
    uint64_t high = tx_get_u32(c);
    return high << 32 | tx_get_u32(c);
}

static inline struct tx_span tx_get_string(struct tx_cursor *c)
{
    uint32_t length = tx_get_u32(c);
    return tx_get_bytes(c, length);
}

static inline bool tx_span_is(struct tx_span span, const char *text)
{
    return span.length == strlen(text) && memcmp(span.bytes, text, span.length) == 0;
}

static inline void tx_put_u8(struct tt_buf *buf, uint8_t value)
{
    tt_buf_add(buf, &value, 1);
}

static inline void tx_put_u32(struct tt_buf *buf, uint32_t value)
{
    unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 8), (unsigned char)value};
    tt_buf_add(buf, bytes, sizeof bytes);
}

static inline void tx_put_u64(struct tt_buf *buf, uint64_t value)
{
    tx_put_u32(buf, (uint32_t)(value >> 32));
    tx_put_u32(buf, (uint32_t)value);
}

static inline void tx_put_string(struct tt_buf *buf, const void *bytes, size_t length)
{
    tx_put_u32(buf, (uint32_t)length);
    tt_buf_add(buf, bytes, length);
}

static inline void tx_put_text(struct tt_buf *buf, const char *text)
{
    tx_put_string(buf, text, strlen(text));
}

#endif
