#include "core/base/base64.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *tt_base64_encode(const void *bytes, size_t length)
{
    const unsigned char *from = bytes;
    char *text = tt_alloc((length + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; i < length; i += 3) {
        size_t there = length - i < 3 ? length - i : 3;
        unsigned value = (unsigned)from[i] << 16;
        if (there > 1)
            value |= (unsigned)from[i + 1] << 8;
        if (there > 2)
            value |= from[i + 2];
        *to++ = digits[value >> 18];
        *to++ = digits[value >> 12 & 63];
        *to++ = there > 1 ? digits[value >> 6 & 63] : '=';
        *to++ = there > 2 ? digits[value & 63] : '=';
    }
    *to = 0;
    return text;
}

char *tt_base64_decode(const char *text, size_t *length)
{
    char *bytes = tt_alloc(strlen(text) / 4 * 3 + 4);
    unsigned value = 0, bits = 0;
    size_t at = 0;
    const char *c = text;
    for (; *c && *c != '='; c++) {
        if (*c == '\n' || *c == '\r' || *c == ' ')
            continue;
        const char *digit = strchr(digits, *c);
        if (!digit) {
            free(bytes);
            return NULL;
        }
        value = value << 6 | (unsigned)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[at++] = (char)(value >> bits & 0xff);
        }
    }
    bytes[at] = 0;
    *length = at;
    return bytes;
}
