#include "executors/k8s/yaml.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/library.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { max_values = 1000000, max_depth = 200 };

#define FUNCTIONS(X)                                                                               \
    X(parser_initialize)                                                                           \
    X(parser_delete)                                                                               \
    X(parser_set_input_string)                                                                     \
    X(parser_load)                                                                                 \
    X(document_delete)                                                                             \
    X(document_get_root_node)                                                                      \
    X(document_get_node)

static struct {
#define X(name) __typeof__(yaml_##name) *name;
    FUNCTIONS(X)
#undef X
} yaml;
static const char *const names[] = {
#define X(name) "yaml_" #name,
    FUNCTIONS(X)
#undef X
        NULL};

static struct tt_library library = {.file = "libyaml-0.so.2",
                                    .needed = "YAML needs libyaml (Debian package libyaml-0-2)",
                                    .names = names,
                                    .table = &yaml,
                                    .fault = "yaml.dlopen"};

struct reading {
    yaml_document_t *document;
    const char *what;
    size_t values;
};

/* --- scalars --- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static json_t *integer(const char *text, size_t length)
{
    const char *from = text + (*text == '-' || *text == '+');
    int base = 10;
    if (from[0] == '0' && from[1]) { /* 0755 is octal, as YAML 1.1 has it */
        base = from[1] == 'x' ? 16 : 8;
        from += from[1] == 'x' || from[1] == 'o' ? 2 : 1;
    }
    const char *allowed = base == 16  ? "0123456789abcdefABCDEF"
                          : base == 8 ? "01234567"
                                      : "0123456789";
    if (!*from || from[strspn(from, allowed)] || length > 30)
        return NULL;
    errno = 0;
    long long value = strtoll(from, NULL, base);
    if (errno)
        return NULL;
    return json_integer(*text == '-' ? -value : value);
}

static json_t *real(const char *text)
{
    static const char *const infinite[] = {".inf", ".Inf", ".nan", ".NaN", NULL};
    if (is_one_of(text, infinite) || !strpbrk(text, "0123456789") ||
        text[strspn(text, "0123456789+-.eE")])
        return NULL;
    char *end;
    double value = strtod(text, &end);
    return *end || !isfinite(value) ? NULL : json_real(value);
}

static json_t *scalar(const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes",
                                        "YES",  "on",   "On",   "ON",  NULL};
    static const char *const falses[] = {"false", "False", "FALSE", "no",  "No",
                                         "NO",    "off",   "Off",   "OFF", NULL};
    const char *text = (const char *)node->data.scalar.value;
    size_t length = node->data.scalar.length;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strlen(text) == length &&
                 (!node->tag || strcmp((const char *)node->tag, YAML_STR_TAG) == 0);
    json_t *value = NULL;
    if (plain && is_one_of(text, nulls))
        return json_null();
    if (plain && is_one_of(text, trues))
        return json_true();
    if (plain && is_one_of(text, falses))
        return json_false();
    if (plain)
        value = integer(text, length);
    if (plain && !value)
        value = real(text);
    return value ? value : json_stringn(text, length);
}

/* --- nodes --- */

static int fail_at(const struct reading *reading, const yaml_node_t *node, const char *why,
                   struct tt_error **err)
{
    return tt_fail(err, TT_INVALID, "%s: line %zu, column %zu: %s", reading->what,
                   node->start_mark.line + 1, node->start_mark.column + 1, why);
}

static json_t *convert(struct reading *reading, int index, int depth, struct tt_error **err);

static json_t *sequence(struct reading *reading, const yaml_node_t *node, int depth,
                        struct tt_error **err)
{
    json_t *array = json_array();
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        json_t *value = convert(reading, *item, depth, err);
        if (!value) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, value);
    }
    return array;
}

/* What `<<` brings in does not replace what is there. */
static void merge(json_t *object, json_t *from)
{
    size_t index;
    json_t *part;
    if (json_is_object(from))
        json_object_update_missing(object, from);
    json_array_foreach(from, index, part) if (json_is_object(part))
        json_object_update_missing(object, part);
}

static json_t *mapping(struct reading *reading, const yaml_node_t *node, int depth,
                       struct tt_error **err)
{
    json_t *object = json_object(), *merged = json_array();
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml.document_get_node(reading->document, pair->key);
        json_t *value = NULL;
        if (key->type != YAML_SCALAR_NODE ||
            strlen((char *)key->data.scalar.value) != key->data.scalar.length)
            fail_at(reading, key, "a key that is not text", err);
        else
            value = convert(reading, pair->value, depth, err);
        const char *name = value ? (const char *)key->data.scalar.value : "";
        if (value && json_object_get(object, name))
            fail_at(reading, key, "a key that was there before", err);
        else if (value && strcmp(name, "<<") == 0 &&
                 key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
            json_array_append(merged, value);
        else if (value && json_object_set(object, name, value) < 0)
            fail_at(reading, key, "a key that is not UTF-8", err);
        json_decref(value);
        if (!value || (err && *err)) {
            json_decref(object);
            json_decref(merged);
            return NULL;
        }
    }
    size_t index;
    json_t *part;
    json_array_foreach(merged, index, part) merge(object, part);
    json_decref(merged);
    return object;
}

static json_t *convert(struct reading *reading, int index, int depth, struct tt_error **err)
{
    const yaml_node_t *node = yaml.document_get_node(reading->document, index);
    json_t *value = NULL;
    if (++reading->values > max_values || depth > max_depth)
        fail_at(reading, node, "too much inside one another", err);
    else if (node->type == YAML_SCALAR_NODE && !(value = scalar(node)))
        fail_at(reading, node, "text that is not UTF-8", err);
    else if (node->type == YAML_SEQUENCE_NODE)
        value = sequence(reading, node, depth + 1, err);
    else if (node->type == YAML_MAPPING_NODE)
        value = mapping(reading, node, depth + 1, err);
    return value;
}

int tx_yaml_parse(json_t **documents, const char *text, size_t length, const char *what,
                  struct tt_error **out)
{
    struct tt_error *err = NULL;
    yaml_parser_t parser;
    int rc = tt_library_load(&library, &err);
    if (rc < 0)
        goto out;
    if (TT_FAULT("yaml.parser") || !yaml.parser_initialize(&parser)) {
        rc = tt_fail(&err, TT_IO, "libyaml has no memory");
        goto out;
    }
    yaml.parser_set_input_string(&parser, (const unsigned char *)text, length);
    json_t *all = json_array();
    size_t values = 0;
    for (bool more = true; more && !err;) {
        yaml_document_t document;
        if (!yaml.parser_load(&parser, &document)) {
            tt_fail(&err, TT_INVALID, "%s: line %zu, column %zu: %s", what,
                    parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                    parser.problem ? parser.problem : "not YAML");
            break;
        }
        struct reading reading = {&document, what, values};
        more = yaml.document_get_root_node(&document) != NULL;
        json_t *value = more ? convert(&reading, 1, 0, &err) : NULL;
        if (value)
            json_array_append_new(all, value);
        values = reading.values;
        yaml.document_delete(&document);
    }
    yaml.parser_delete(&parser);
    rc = err ? -(int)err->kind : 0;
    if (err)
        json_decref(all);
    else
        *documents = all;
out:
    if (out)
        *out = err;
    else
        tt_error_free(err);
    return rc;
}
