/* The head of an HTTP reply is found at the same place however much of it has arrived, and a
 * chunked body says the same however it is cut into pieces. */
#include "core/base/buf.h"
#include "executors/http/head.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { max_body = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every shorter beginning asks for more; it is refused only when the whole is. */
static int head_of(const char *bytes, size_t size)
{
    int status = 0, part = 0;
    int length = tx_head_parse(bytes, size, &status, NULL);
    if (length > 0 && ((size_t)length > size || status < 100 || status > 999))
        abort();
    for (size_t cut = 0; cut < size && (length <= 0 || cut < (size_t)length);
         cut += 1 + size / 16) {
        char *copy = malloc(cut + 1); /* of its own, so that a step outside is seen */
        memcpy(copy, bytes, cut);
        int early = tx_head_parse(copy, cut, &part, NULL);
        free(copy);
        if (early > 0 || (early < 0 && length >= 0))
            abort();
    }
    return length;
}

/* Fed in bites of so many bytes; returns as tx_dechunk. */
static int dechunk(const char *bytes, size_t size, size_t bite, struct tt_buf *out)
{
    struct tt_buf from = {0};
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < size; at += bite) {
        tt_buf_add(&from, bytes + at, size - at < bite ? size - at : bite);
        rc = tx_dechunk(&from, out, max_body, NULL);
    }
    tt_buf_free(&from);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    bytes[size] = 0;
    int length = head_of(bytes, size);
    size_t body = length > 0 ? (size_t)length : 0;
    char *value = length > 0 ? tx_head_value(bytes, body, "Content-Type") : NULL;
    if (value && memchr(value, '\n', strlen(value)))
        abort();
    free(value);
    struct tt_buf whole = {0}, pieces = {0};
    size_t bite = size ? 1 + data[size - 1] % 13 : 1;
    int at_once = dechunk(bytes + body, size - body, size + 1, &whole);
    int in_bites = dechunk(bytes + body, size - body, bite, &pieces);
    if (at_once != in_bites || whole.length != pieces.length ||
        (whole.length && memcmp(whole.data, pieces.data, whole.length) != 0))
        abort();
    tt_buf_free(&whole);
    tt_buf_free(&pieces);
    free(bytes);
    return 0;
}
