/* Numbers and byte strings as bytes, for what is written to disk: numbers in seven bits a byte, the
 * lowest first, the eighth bit saying that more follow (LEB128); signed ones folded (0, -1, 1, -2
 * …); strings with their length in front. Pure. */
#ifndef TT_BYTES_H
#define TT_BYTES_H

#include "core/base/buf.h"

#include <stdint.h>

void tt_put_number(struct tt_buf *out, uint64_t number);
void tt_put_signed(struct tt_buf *out, int64_t number);
void tt_put_real(struct tt_buf *out, double number); /* its eight bytes, the lowest first */
void tt_put_bytes(struct tt_buf *out, const void *bytes, size_t length);
/* A text or NULL, told apart. */
void tt_put_text(struct tt_buf *out, const char *text);

/* Reads them back. `broken` is set by the first that is not there or not whole, and stays; all
 * reads after that are 0, NULL or empty. */
struct tt_bytes_reader {
    const char *at, *end;
    bool broken;
};
uint64_t tt_get_number(struct tt_bytes_reader *reader);
uint64_t tt_get_number_to(struct tt_bytes_reader *reader, uint64_t most); /* greater ones: broken */
int64_t tt_get_signed(struct tt_bytes_reader *reader);
double tt_get_real(struct tt_bytes_reader *reader);
/* Borrowed from what is read; *length is 0 when broken. */
const char *tt_get_bytes(struct tt_bytes_reader *reader, size_t *length);
/* Allocated, or NULL; a NUL byte inside is broken. */
char *tt_get_text(struct tt_bytes_reader *reader);

#endif
