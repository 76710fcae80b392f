#include "core/base/buf.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *tt_buf_reserve(struct tt_buf *buf, size_t more)
{
    if (TT_FAULT("buf.reserve") || more > SIZE_MAX / 2 - buf->length - 1)
        return NULL;
    size_t need = buf->length + more + 1;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
        while (capacity < need)
            capacity += capacity / 2;
        char *data = realloc(buf->data, capacity);
        if (!data)
            return NULL;
        buf->data = data;
        buf->capacity = capacity;
    }
    buf->data[buf->length + more] = 0;
    return buf->data + buf->length;
}

/* As tt_buf_reserve, without its fault point and its failure. */
static char *must_reserve(struct tt_buf *buf, size_t more)
{
    size_t need = buf->length + more + 1;
    if (need > buf->capacity) {
        buf->capacity = need + need / 2;
        buf->data = tt_realloc(buf->data, buf->capacity);
    }
    return buf->data + buf->length;
}

void tt_buf_add(struct tt_buf *buf, const void *bytes, size_t length)
{
    char *to = must_reserve(buf, length);
    if (length)
        memcpy(to, bytes, length);
    buf->length += length;
    buf->data[buf->length] = 0;
}

void tt_buf_text(struct tt_buf *buf, const char *text)
{
    tt_buf_add(buf, text, strlen(text));
}

void tt_buf_format(struct tt_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = tt_vformat(format, args);
    va_end(args);
    tt_buf_text(buf, text);
    free(text);
}

void tt_buf_drop(struct tt_buf *buf, size_t count)
{
    if (count >= buf->length) {
        buf->length = 0;
    } else {
        memmove(buf->data, buf->data + count, buf->length - count);
        buf->length -= count;
    }
    if (buf->data)
        buf->data[buf->length] = 0;
}

char *tt_buf_take(struct tt_buf *buf)
{
    must_reserve(buf, 0);
    buf->data[buf->length] = 0;
    char *data = buf->data;
    *buf = (struct tt_buf){0};
    return data;
}

void tt_buf_free(struct tt_buf *buf)
{
    free(buf->data);
    *buf = (struct tt_buf){0};
}
