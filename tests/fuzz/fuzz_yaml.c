/* YAML: whatever stands in it, reading ends; what was read, written as JSON (which is YAML), is the
 * same when it is read again. */
#include "core/base/json.h"
#include "executors/k8s/yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *parse(const char *text, size_t length)
{
    json_t *documents = NULL;
    struct tt_error *err = NULL;
    int rc = tx_yaml_parse(&documents, text, length, "fuzz", &err);
    if ((rc == 0) != (documents != NULL) || (rc == 0) != (err == NULL))
        abort();
    if (err && (err->kind != TT_INVALID || !strstr(err->message, "fuzz: line ")))
        abort();
    tt_error_free(err);
    return documents;
}

/* Characters that YAML takes for line ends, also in quotes, and JSON does not. */
static bool has_line_ends(const char *text)
{
    return strstr(text, "\xc2\x85") || strstr(text, "\xe2\x80\xa8") || strstr(text, "\xe2\x80\xa9");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *documents = parse((const char *)data, size), *again;
    struct tt_buf text = {0};
    if (documents && tt_json_dump(&text, documents, 0, NULL) == 0 && !has_line_ends(text.data) &&
        (again = parse(text.data, text.length)) != NULL) { /* libyaml refuses very long keys */
        if (json_array_size(again) != 1 || !json_equal(json_array_get(again, 0), documents))
            abort();
        json_decref(again);
    }
    tt_buf_free(&text);
    json_decref(documents);
    return 0;
}
