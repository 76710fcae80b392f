/* Standard base64 (RFC 4648). Pure. */
#ifndef TT_BASE64_H
#define TT_BASE64_H

#include "core/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the digits of the bytes, with the `=` at their end or without. */
void tt_base64_add(struct tt_buf *out, const void *bytes, size_t length, bool pad);
/* Appends the bytes of exactly `length` digits, padding included; false when they are no base64 (a
 * part may have been appended then). */
bool tt_base64_read(struct tt_buf *out, const char *text, size_t length);

char *tt_base64_encode(const void *bytes, size_t length); /* allocated, NUL-terminated */
/* Allocated, a NUL after it. Line ends and spaces between the digits are skipped, missing padding
 * is forgiven. NULL: it is no base64. */
char *tt_base64_decode(const char *text, size_t *length);

#endif
