#include "core/base/base64.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tt_base64_add(struct tt_buf *out, const void *bytes, size_t length, bool pad)
{
    const unsigned char *at = bytes;
    for (; length > 0; at += 3, length = length > 3 ? length - 3 : 0) {
        unsigned group = (unsigned)at[0] << 16;
        if (length > 1)
            group |= (unsigned)at[1] << 8;
        if (length > 2)
            group |= at[2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};
        size_t used = length > 2 ? 4 : length + 1;
        for (size_t i = used; i < 4; i++)
            text[i] = '=';
        tt_buf_add(out, text, pad ? 4 : used);
    }
}

bool tt_base64_read(struct tt_buf *out, const char *text, size_t length)
{
    if (length % 4 != 0)
        return false;
    for (size_t i = 0; i < length; i += 4) {
        unsigned group = 0;
        size_t padding = 0;
        for (size_t j = 0; j < 4; j++) {
            char c = text[i + j];
            const char *digit = c ? strchr(digits, c) : NULL;
            bool last = i + 4 == length;
            if (c == '=' && last && j >= 2) {
                padding++;
            } else if (!digit || padding) {
                return false;
            }
            group = group << 6 | (digit ? (unsigned)(digit - digits) : 0);
        }
        unsigned char bytes[3] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8),
                                  (unsigned char)group};
        tt_buf_add(out, bytes, 3 - padding);
    }
    return true;
}

char *tt_base64_encode(const void *bytes, size_t length)
{
    struct tt_buf text = {0};
    tt_base64_add(&text, bytes, length, true);
    return tt_buf_take(&text);
}

char *tt_base64_decode(const char *text, size_t *length)
{
    /* all the room at once: what a buffer grows out of is not wiped */
    size_t room = strlen(text) + 4;
    struct tt_buf digits_only = {.data = tt_alloc(room), .capacity = room};
    struct tt_buf bytes = {.data = tt_alloc(room), .capacity = room};
    for (const char *c = text; *c; c++)
        if (*c != '\n' && *c != '\r' && *c != ' ')
            tt_buf_add(&digits_only, c, 1);
    while (digits_only.length % 4 > 1)
        tt_buf_add(&digits_only, "=", 1);
    bool read = tt_base64_read(&bytes, digits_only.data, digits_only.length);
    explicit_bzero(digits_only.data, digits_only.length);
    tt_buf_free(&digits_only);
    if (!read) {
        explicit_bzero(bytes.data, bytes.length);
        tt_buf_free(&bytes);
        return NULL;
    }
    *length = bytes.length;
    return tt_buf_take(&bytes);
}
