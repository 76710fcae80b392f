#include "core/base/quote.h"

#include <stdbool.h>
#include <string.h>

/* No '~' (a home), no '=' (an assignment), no '-' first (the word would still be right, but a
 * reader takes it for an option of ours). */
static bool harmless(const char *bytes, size_t length)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_-./:,@+";
    for (size_t i = 0; i < length; i++)
        if (!bytes[i] || !strchr(safe, bytes[i]))
            return false;
    return length > 0 && bytes[0] != '-';
}

void tt_quote(struct tt_buf *out, const char *bytes, size_t length)
{
    if (harmless(bytes, length)) {
        tt_buf_add(out, bytes, length);
        return;
    }
    tt_buf_add(out, "'", 1);
    while (length > 0) {
        const char *quote = memchr(bytes, '\'', length);
        size_t run = quote ? (size_t)(quote - bytes) : length;
        tt_buf_add(out, bytes, run);
        if (quote) {
            tt_buf_text(out, "'\\''");
            run++;
        }
        bytes += run;
        length -= run;
    }
    tt_buf_add(out, "'", 1);
}

static int add_value(struct tt_buf *out, const struct tt_words *value, size_t number,
                     struct tt_error **err)
{
    if (value->count == 0)
        return tt_fail(err, TT_INVALID, "placeholder %zu: an empty list stands for nothing",
                       number);
    for (size_t i = 0; i < value->count; i++) {
        const struct tt_word *word = &value->words[i];
        if (word->length && memchr(word->bytes, 0, word->length))
            return tt_fail(err, TT_INVALID,
                           "placeholder %zu: the value has a NUL byte, which no command line can "
                           "carry",
                           number);
        if (i > 0)
            tt_buf_add(out, " ", 1);
        tt_quote(out, word->bytes, word->length);
    }
    return 0;
}

/* The text of a wrong placeholder for a message: "%d", "% ", or how it ends. */
static int bad_placeholder(const char *at, size_t left, size_t number, struct tt_error **err)
{
    if (left < 2)
        return tt_fail(err, TT_INVALID,
                       "placeholder %zu: the command ends with a lone %% (write %%%% for a percent "
                       "sign)",
                       number);
    unsigned char c = (unsigned char)at[1];
    if (c > ' ' && c < 0x7f)
        return tt_fail(err, TT_INVALID,
                       "placeholder %zu: %%%c is not one: only %%s is, and %%%% for a percent sign",
                       number, c);
    return tt_fail(err, TT_INVALID,
                   "placeholder %zu: %% followed by byte 0x%02x is not one: only %%s is, and %%%% "
                   "for a percent sign",
                   number, c);
}

static int expand(struct tt_buf *out, const char *format, size_t length,
                  const struct tt_words *values, size_t count, struct tt_error **err)
{
    const char *end = format + length;
    size_t used = 0;
    if (length && memchr(format, 0, length))
        return tt_fail(err, TT_INVALID, "the command has a NUL byte");
    while (format < end) {
        const char *percent = memchr(format, '%', (size_t)(end - format));
        if (!percent)
            percent = end;
        tt_buf_add(out, format, (size_t)(percent - format));
        format = percent;
        if (percent == end)
            break;
        size_t left = (size_t)(end - percent);
        if (left >= 2 && percent[1] == '%') {
            tt_buf_add(out, "%", 1);
        } else if (left >= 2 && percent[1] == 's') {
            /* counted on beyond the values, so that the message can say both numbers */
            int rc = used < count ? add_value(out, &values[used], used + 1, err) : 0;
            if (rc < 0)
                return rc;
            used++;
        } else {
            return bad_placeholder(percent, left, used + 1, err);
        }
        format += 2;
    }
    if (used != count)
        return tt_fail(err, TT_INVALID, "the command has %zu %%s and got %zu value%s", used, count,
                       count == 1 ? "" : "s");
    return 0;
}

int tt_quote_expand(struct tt_buf *out, const char *format, size_t length,
                    const struct tt_words *values, size_t count, struct tt_error **err)
{
    size_t before = out->length;
    int rc = expand(out, format, length, values, count, err);
    if (rc < 0 && out->data) {
        out->length = before;
        out->data[before] = 0;
    }
    return rc;
}
