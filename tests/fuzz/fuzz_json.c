/* What was read as JSON is written so that it reads back equal. */
#include "core/base/json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value, *again;
    struct tt_buf out = {0};
    if (tt_json_parse(&value, (const char *)data, size, "input", NULL) < 0)
        return 0;
    if (tt_json_dump(&out, value, 0, NULL) < 0 ||
        tt_json_parse(&again, out.data, out.length, "output", NULL) < 0 ||
        !json_equal(value, again))
        abort();
    json_decref(again);
    json_decref(value);
    tt_buf_free(&out);
    return 0;
}
