/* Memory. Small fixed-size allocations do not fail: when the system has nothing left, the process
 * says so and ends with code 70; the guardian then stops the commands that it ran. What is sized by
 * outside data (buffers, files, replies) uses functions that can fail: core/base/buf.h. */
#ifndef TT_ALLOC_H
#define TT_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

void *tt_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *tt_zalloc(size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *tt_realloc(void *old, size_t size) __attribute__((returns_nonnull));
/* Room for count items of that size, the product checked for overflow. */
void *tt_reallocarray(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *tt_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *tt_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
char *tt_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *tt_vformat(const char *format, va_list args) __attribute__((returns_nonnull));

#endif
