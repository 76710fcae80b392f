#include "executors/http/head.h"

#include "core/base/alloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { longest_chunk_line = 1024 };

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

int tx_head_parse(const char *bytes, size_t length, int *status, struct tt_error **err)
{
    static const char start[] = "HTTP/1.";
    if (!length)
        return 0;
    size_t shown = length < sizeof start - 1 ? length : sizeof start - 1;
    if (memcmp(bytes, start, shown) != 0)
        return tt_fail(err, TT_IO, "the answer is not HTTP/1");
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end)
        return length > tx_head_max
                   ? tt_fail(err, TT_IO, "the head of the answer has more than %d bytes",
                             tx_head_max)
                   : 0;
    size_t total = (size_t)(end - bytes) + 4;
    if (total < sizeof "HTTP/1.1 200\r\n\r\n" - 1 || total > tx_head_max || bytes[8] != ' ')
        return tt_fail(err, TT_IO, "the answer's status line is malformed");
    int a = digit(bytes[9]), b = digit(bytes[10]), c = digit(bytes[11]);
    if (a < 1 || b < 0 || c < 0)
        return tt_fail(err, TT_IO, "the answer's status line is malformed");
    *status = a * 100 + b * 10 + c;
    return (int)total;
}

char *tx_head_value(const char *head, size_t length, const char *name)
{
    size_t wanted = strlen(name);
    const char *end = head + length;
    for (const char *line = head; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t width = stop ? (size_t)(stop - line) : (size_t)(end - line);
        if (width > wanted && line[wanted] == ':' && strncasecmp(line, name, wanted) == 0) {
            const char *from = line + wanted + 1, *to = line + width;
            while (from < to && (*from == ' ' || *from == '\t'))
                from++;
            while (to > from && (to[-1] == '\r' || to[-1] == ' '))
                to--;
            return tt_strndup(from, (size_t)(to - from));
        }
        line += width + 1;
    }
    return NULL;
}

int tx_dechunk(struct tt_buf *from, struct tt_buf *to, size_t max, struct tt_error **err)
{
    for (;;) {
        const char *line = from->length ? memmem(from->data, from->length, "\r\n", 2) : NULL;
        size_t before = line ? (size_t)(line - from->data) : from->length;
        if (before > longest_chunk_line)
            return tt_fail(err, TT_IO, "malformed chunk in the answer");
        if (!line)
            return 0;
        /* strtoul would skip space, the line's end included */
        unsigned long size = strtoul(from->data, NULL, 16);
        if (!isxdigit((unsigned char)*from->data) || size > max || to->length > max - size)
            return tt_fail(err, TT_IO, "malformed or too long chunk in the answer");
        size_t head = before + 2;
        if (size == 0)
            return 1;
        if (from->length < head + size + 2)
            return 0;
        tt_buf_add(to, from->data + head, size);
        tt_buf_drop(from, head + size + 2);
    }
}
