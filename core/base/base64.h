/* Standard base64 (RFC 4648). Pure. */
#ifndef TT_BASE64_H
#define TT_BASE64_H

#include <stddef.h>

char *tt_base64_encode(const void *bytes, size_t length); /* allocated, NUL-terminated */
/* Allocated, a NUL after it; newlines and spaces between are skipped. NULL: it is no base64. */
char *tt_base64_decode(const char *text, size_t *length);

#endif
