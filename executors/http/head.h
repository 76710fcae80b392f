/* The head of an HTTP/1.1 reply, read from bytes. Pure: no I/O. Used where the bytes after the head
 * are a stream of another protocol, which libcurl leaves to us. */
#ifndef TX_HTTP_HEAD_H
#define TX_HTTP_HEAD_H

#include "core/base/buf.h"
#include "core/base/error.h"

enum { tx_head_max = 64 << 10 };

/* Returns the head's length in bytes once it is complete and sets *status, 0 while more is needed,
 * or a negative code: it is no such head, or longer than tx_head_max. */
int tx_head_parse(const char *bytes, size_t length, int *status, struct tt_error **err);
/* The value of a header in a complete head (allocated, trimmed), or NULL. */
char *tx_head_value(const char *head, size_t length, const char *name);
/* Takes what chunks are complete out of `from` and appends their content. Returns 1 after the last
 * one, 0 while more is needed, or a negative code. */
int tx_dechunk(struct tt_buf *from, struct tt_buf *to, size_t max, struct tt_error **err);

#endif
