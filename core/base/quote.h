/* The one place that quotes for a POSIX shell. Pure. */
#ifndef TT_QUOTE_H
#define TT_QUOTE_H

#include "core/base/buf.h"
#include "core/base/error.h"

/* Bytes, borrowed. */
struct tt_word {
    const char *bytes;
    size_t length;
};

/* What stands for one %s: a word, or a list of words. Borrowed. */
struct tt_words {
    const struct tt_word *words;
    size_t count; /* 1 for a single word; 0 is refused */
};

/* Appends the bytes so that any POSIX shell, in any locale, reads them back as one word. A word of
 * harmless characters stays bare. The bytes hold no NUL. */
void tt_quote(struct tt_buf *out, const char *bytes, size_t length);

/* Replaces each %s of the format by the quoted words of the next value, separated by spaces, and %%
 * by %, and appends that to out. Kind `invalid`, with out as it was: more or fewer values than
 * placeholders, another %x, a value without words, a NUL byte; the message counts placeholders from
 * 1. A command without values is not for this function: it is taken verbatim. */
int tt_quote_expand(struct tt_buf *out, const char *format, size_t length,
                    const struct tt_words *values, size_t count, struct tt_error **err);

#endif
