#include "core/base/bytes.h"

#include "core/base/alloc.h"

#include <string.h>

void tt_put_number(struct tt_buf *out, uint64_t number)
{
    unsigned char bytes[10];
    size_t count = 0;
    for (; number > 0x7f; number >>= 7)
        bytes[count++] = (unsigned char)(number | 0x80);
    bytes[count++] = (unsigned char)number;
    tt_buf_add(out, bytes, count);
}

void tt_put_signed(struct tt_buf *out, int64_t number)
{
    tt_put_number(out, (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0));
}

void tt_put_real(struct tt_buf *out, double number)
{
    unsigned char bytes[8];
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    tt_buf_add(out, bytes, sizeof bytes);
}

void tt_put_bytes(struct tt_buf *out, const void *bytes, size_t length)
{
    tt_put_number(out, length);
    if (length)
        tt_buf_add(out, bytes, length);
}

void tt_put_text(struct tt_buf *out, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    tt_put_number(out, text ? length + 1 : 0);
    if (length)
        tt_buf_add(out, text, length);
}

uint64_t tt_get_number(struct tt_bytes_reader *reader)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && !reader->broken && reader->at < reader->end;
         shift += 7) {
        unsigned char byte = (unsigned char)*reader->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (shift == 63 && byte > 1)
            break;
        if (!(byte & 0x80))
            return number;
    }
    reader->broken = true;
    return 0;
}

uint64_t tt_get_number_to(struct tt_bytes_reader *reader, uint64_t most)
{
    uint64_t number = tt_get_number(reader);
    if (number <= most)
        return number;
    reader->broken = true;
    return 0;
}

int64_t tt_get_signed(struct tt_bytes_reader *reader)
{
    uint64_t folded = tt_get_number(reader);
    return (int64_t)(folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0));
}

double tt_get_real(struct tt_bytes_reader *reader)
{
    double number = 0;
    uint64_t bits = 0;
    if (reader->broken || reader->end - reader->at < 8) {
        reader->broken = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)(unsigned char)*reader->at++ << (8 * i);
    memcpy(&number, &bits, sizeof number);
    return number;
}

static const char *take(struct tt_bytes_reader *reader, uint64_t length)
{
    if (reader->broken || length > (uint64_t)(reader->end - reader->at)) {
        reader->broken = true;
        return NULL;
    }
    const char *bytes = reader->at;
    reader->at += length;
    return bytes;
}

const char *tt_get_bytes(struct tt_bytes_reader *reader, size_t *length)
{
    uint64_t count = tt_get_number(reader);
    const char *bytes = take(reader, count);
    *length = bytes ? (size_t)count : 0;
    return bytes;
}

char *tt_get_text(struct tt_bytes_reader *reader)
{
    uint64_t count = tt_get_number(reader);
    const char *bytes = count ? take(reader, count - 1) : NULL;
    if (bytes && memchr(bytes, 0, (size_t)count - 1)) {
        reader->broken = true;
        return NULL;
    }
    return bytes ? tt_strndup(bytes, (size_t)count - 1) : NULL;
}
