#include "core/base/json.h"

#include "core/base/fault.h"

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

/* Jansson has a limit of its own that its builder chooses; ours is the same everywhere. */
static bool too_deep(const char *text, size_t length)
{
    int depth = 0;
    bool string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string && (c == '[' || c == '{') && ++depth > tt_json_depth)
            return true;
        else if (!string && (c == ']' || c == '}'))
            depth--;
    }
    return false;
}

int tt_json_parse(json_t **value, const char *text, size_t length, const char *what,
                  struct tt_error **err)
{
    if (too_deep(text, length))
        return tt_fail(err, TT_INVALID, "%s: nested more than %d deep", what, tt_json_depth);
    json_error_t error = {0};
    *value = TT_FAULT("json.parse")
                 ? NULL
                 : json_loadb(text, length,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (*value)
        return 0;
    if (error.line < 0)
        return tt_fail(err, TT_INVALID, "%s: %s", what, error.text);
    return tt_fail(err, TT_INVALID, "%s: line %d, column %d: %s", what, error.line, error.column,
                   error.text);
}

/* --- writing --- */

/* The length of the UTF-8 character at p; 0 when there is none. */
static size_t utf8(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t need = c >= 0xc2 && c < 0xe0   ? 2
                  : c >= 0xe0 && c < 0xf0 ? 3
                  : c >= 0xf0 && c < 0xf5 ? 4
                                          : 0;
    if (need == 0 || left < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    bool surrogate = c == 0xed && p[1] > 0x9f;
    bool beyond = c == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : need;
}

static const char *escape(unsigned char c, char hex[7])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    default:
        if (c >= 0x20 && c != 0x7f)
            return NULL;
        snprintf(hex, 7, "\\u%04x", c);
        return hex;
    }
}

void tt_json_string(struct tt_buf *out, const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t from = 0;
    tt_buf_add(out, "\"", 1);
    for (size_t i = 0; i < length;) {
        char hex[7];
        size_t size = utf8(p + i, length - i);
        const char *instead = size == 1 ? escape(p[i], hex) : size ? NULL : "\xef\xbf\xbd";
        if (instead) {
            tt_buf_add(out, bytes + from, i - from);
            tt_buf_text(out, instead);
            from = i + 1;
        }
        i += size ? size : 1;
    }
    tt_buf_add(out, bytes + from, length - from);
    tt_buf_add(out, "\"", 1);
}

static void dump_real(struct tt_buf *out, double real)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    /* a script may have set a locale with another decimal point */
    char point = localeconv()->decimal_point[0];
    char *at = strchr(text, point);
    if (at)
        *at = '.';
    tt_buf_text(out, text);
    if (!strpbrk(text, ".e"))
        tt_buf_text(out, ".0");
}

static void new_line(struct tt_buf *out, int indent, int depth)
{
    if (indent > 0)
        tt_buf_format(out, "\n%*s", indent * depth, "");
}

static bool dump(struct tt_buf *out, const json_t *value, int indent, int depth);

static bool dump_array(struct tt_buf *out, const json_t *array, int indent, int depth)
{
    size_t count = json_array_size(array);
    tt_buf_add(out, "[", 1);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            tt_buf_add(out, ",", 1);
        new_line(out, indent, depth + 1);
        if (!dump(out, json_array_get(array, i), indent, depth + 1))
            return false;
    }
    if (count > 0)
        new_line(out, indent, depth);
    tt_buf_add(out, "]", 1);
    return true;
}

static bool dump_object(struct tt_buf *out, const json_t *value, int indent, int depth)
{
    json_t *object = (json_t *)(uintptr_t)value; /* iterating does not change it */
    const char *between = "";
    tt_buf_add(out, "{", 1);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        tt_buf_text(out, between);
        between = ",";
        new_line(out, indent, depth + 1);
        tt_json_string(out, key, strlen(key));
        tt_buf_text(out, indent > 0 ? ": " : ":");
        if (!dump(out, json_object_iter_value(at), indent, depth + 1))
            return false;
    }
    if (*between)
        new_line(out, indent, depth);
    tt_buf_add(out, "}", 1);
    return true;
}

static bool dump(struct tt_buf *out, const json_t *value, int indent, int depth)
{
    if (depth > tt_json_depth)
        return false;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return dump_object(out, value, indent, depth);
    case JSON_ARRAY:
        return dump_array(out, value, indent, depth);
    case JSON_STRING:
        tt_json_string(out, json_string_value(value), json_string_length(value));
        return true;
    case JSON_INTEGER:
        tt_buf_format(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return true;
    case JSON_REAL:
        dump_real(out, json_real_value(value));
        return true;
    case JSON_TRUE:
        tt_buf_text(out, "true");
        return true;
    case JSON_FALSE:
        tt_buf_text(out, "false");
        return true;
    case JSON_NULL:
        break;
    }
    tt_buf_text(out, "null");
    return true;
}

int tt_json_dump(struct tt_buf *out, const json_t *value, int indent, struct tt_error **err)
{
    size_t before = out->length;
    if (!TT_FAULT("json.dump") && dump(out, value, indent, 0))
        return 0;
    tt_buf_add(out, "", 0);
    out->length = before;
    out->data[before] = 0;
    return tt_fail(err, TT_INVALID, "a value nested more than %d deep cannot be JSON",
                   tt_json_depth);
}
