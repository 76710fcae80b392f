/* A format, and words, separated by NUL: what is expanded reads back, by the rules of a POSIX shell
 * for single quotes and backslashes, as those words. */
#include "core/base/quote.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { max_words = 16 };

/* The next word of a line that tt_quote wrote; false at its end. Aborts on what a shell would take
 * for anything else than plain text. */
static bool next_word(const char **at, const char *end, struct tt_buf *word)
{
    if (*at == end)
        return false;
    while (*at < end && **at != ' ') {
        char c = *(*at)++;
        if (c == '\'') {
            const char *close = memchr(*at, '\'', (size_t)(end - *at));
            if (!close)
                abort();
            tt_buf_add(word, *at, (size_t)(close - *at));
            *at = close + 1;
        } else if (c == '\\') {
            if (*at == end)
                abort();
            tt_buf_add(word, (*at)++, 1);
        } else if (strchr("|&;<>()$`\"*?[]#~=%!{}\n\t", c)) {
            abort();
        } else {
            tt_buf_add(word, &c, 1);
        }
    }
    if (*at < end)
        (*at)++;
    return true;
}

static void reads_back(const struct tt_word *words, size_t count)
{
    struct tt_buf line = {0}, word = {0};
    struct tt_words value = {words, count};
    if (tt_quote_expand(&line, "%s", 2, &value, 1, NULL) < 0)
        abort();
    const char *at = line.data;
    for (size_t i = 0; i < count; i++) {
        word.length = 0;
        if (!next_word(&at, line.data + line.length, &word) || word.length != words[i].length ||
            (word.length && memcmp(word.data, words[i].bytes, word.length) != 0))
            abort();
    }
    if (at != line.data + line.length)
        abort();
    tt_buf_free(&line);
    tt_buf_free(&word);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tt_word words[max_words];
    struct tt_words values[max_words];
    size_t count = 0;
    const char *at = (const char *)data, *end = at + size;
    while (at < end && count < max_words) {
        const char *stop = memchr(at, 0, (size_t)(end - at));
        words[count] = (struct tt_word){at, (size_t)((stop ? stop : end) - at)};
        values[count] = (struct tt_words){&words[count], 1};
        count++;
        at = stop ? stop + 1 : end;
    }
    if (count == 0)
        return 0;
    reads_back(words, count);
    struct tt_buf out = {0};
    struct tt_error *err = NULL;
    tt_buf_text(&out, "x");
    int rc = tt_quote_expand(&out, words[0].bytes, words[0].length, values + 1, count - 1, &err);
    if ((rc < 0) != (err != NULL) || (rc < 0 && out.length != 1))
        abort();
    tt_error_free(err);
    tt_buf_free(&out);
    return 0;
}
