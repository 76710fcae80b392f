/* A growing byte buffer with a limit. Owns its bytes; all zero is a valid empty buffer. */
#ifndef TT_BUF_H
#define TT_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct tt_buf {
    char *data; /* always followed by a NUL that length does not count; NULL while empty */
    size_t length;
    size_t capacity;
};

/* Room for that many more bytes; returns where they go, or NULL when memory ran out. The caller
 * writes there and adds to length. */
char *tt_buf_reserve(struct tt_buf *buf, size_t more);
/* These end the process when memory runs out: for text of our own making. */
void tt_buf_add(struct tt_buf *buf, const void *bytes, size_t length);
void tt_buf_text(struct tt_buf *buf, const char *text);
void tt_buf_format(struct tt_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Forgets the first `count` bytes. */
void tt_buf_drop(struct tt_buf *buf, size_t count);
/* Hands the bytes over (never NULL, NUL-terminated) and leaves the buffer empty. */
char *tt_buf_take(struct tt_buf *buf);
void tt_buf_free(struct tt_buf *buf);

#endif
