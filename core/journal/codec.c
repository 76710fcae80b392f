#include "core/journal/codec.h"

#include "core/base/alloc.h"
#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/plan/data.h"

#include <stdlib.h>
#include <string.h>

/* Which parts of a yield are there. */
enum {
    HAS_YIELD = 1,
    HAS_RESULT = 2,
    HAS_VALUE = 4,
    HAS_ERROR = 8,
    HAS_ARTIFACTS = 16,
    HAS_ADDED = 32,
    CALLED = 64,
    ALL_PARTS = 127
};

enum { max_causes = 64, max_artifacts = 1 << 24 };

/* ---- writing --------------------------------------------------------------------------------- */

static void put_error(struct tt_buf *out, const struct tt_error *error)
{
    for (; error; error = error->cause) {
        tt_put_number(out, (uint64_t)error->kind);
        tt_put_signed(out, error->errnum);
        tt_put_text(out, error->message);
    }
    tt_put_number(out, TT_OK);
}

static void put_result(struct tt_buf *out, const struct tt_result *result)
{
    const struct tt_usage *usage = &result->usage;
    tt_put_number(out, (uint64_t)result->kind);
    tt_put_signed(out, result->code);
    tt_put_signed(out, result->signal);
    tt_put_bytes(out, result->out.data, result->out.length);
    tt_put_bytes(out, result->err.data, result->err.length);
    tt_put_number(out, result->truncated);
    tt_put_real(out, result->duration);
    tt_put_text(out, result->env);
    tt_put_real(out, usage->cpu_user_s);
    tt_put_real(out, usage->cpu_system_s);
    tt_put_signed(out, usage->max_rss_bytes);
    tt_put_signed(out, usage->io_read_bytes);
    tt_put_signed(out, usage->io_write_bytes);
    tt_put_text(out, result->message);
}

static void put_json(struct tt_buf *out, const json_t *value)
{
    struct tt_buf text = {0};
    tt_json_dump(&text, value, 0, NULL);
    tt_put_bytes(out, text.data, text.length);
    tt_buf_free(&text);
}

static void put_artifacts(struct tt_buf *out, const struct tt_artifacts *artifacts)
{
    tt_put_number(out, artifacts->count);
    for (size_t i = 0; i < artifacts->count; i++) {
        tt_put_text(out, artifacts->items[i].path);
        tt_put_number(out, artifacts->items[i].size);
        tt_put_text(out, artifacts->items[i].sha256);
        tt_put_number(out, artifacts->items[i].mode);
    }
}

static void put_yield(struct tt_buf *out, const struct tt_yield *yield,
                      const struct tt_masker *masker)
{
    unsigned parts = HAS_YIELD | (yield->result ? HAS_RESULT : 0) | (yield->value ? HAS_VALUE : 0) |
                     (yield->error ? HAS_ERROR : 0) | (yield->artifacts ? HAS_ARTIFACTS : 0) |
                     (yield->added ? HAS_ADDED : 0) | (yield->called ? CALLED : 0);
    tt_put_number(out, parts);
    tt_put_text(out, yield->environment);
    tt_put_text(out, yield->trace);
    if (yield->result)
        put_result(out, yield->result);
    if (yield->value)
        put_json(out, yield->value);
    if (yield->error)
        put_error(out, yield->error);
    if (yield->artifacts)
        put_artifacts(out, yield->artifacts);
    if (yield->added) {
        json_t *data = tt_plan_to_data(yield->added, masker);
        put_json(out, data);
        json_decref(data);
    }
}

void tt_input_put(struct tt_buf *out, const struct tt_input *input, const struct tt_masker *masker)
{
    tt_put_number(out, (uint64_t)input->type);
    tt_put_signed(out, input->now);
    tt_put_number(out, input->op);
    tt_put_number(out, (uint64_t)input->outcome.kind);
    tt_put_number(out, input->outcome.refused);
    tt_put_signed(out, input->outcome.code);
    tt_put_number(out, input->outcome.value);
    if (input->yield)
        put_yield(out, input->yield, masker);
    else
        tt_put_number(out, 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum tt_kind get_kind(struct tt_bytes_reader *in)
{
    return (enum tt_kind)tt_get_number_to(in, TT_KIND_COUNT - 1);
}

static int get_int(struct tt_bytes_reader *in)
{
    int64_t number = tt_get_signed(in);
    if (number < INT32_MIN || number > INT32_MAX)
        in->broken = true;
    return (int)number;
}

static struct tt_error *get_error(struct tt_bytes_reader *in)
{
    struct tt_error *first = NULL, **at = &first;
    for (int depth = 0; depth <= max_causes; depth++) {
        enum tt_kind kind = get_kind(in);
        if (kind == TT_OK)
            return first;
        int errnum = get_int(in);
        char *message = tt_get_text(in);
        *at = tt_error_new(kind, "%s", message ? message : "");
        (*at)->errnum = errnum;
        at = &(*at)->cause;
        free(message);
    }
    in->broken = true;
    return first;
}

static void get_buffer(struct tt_bytes_reader *in, struct tt_buf *buf)
{
    size_t length;
    const char *bytes = tt_get_bytes(in, &length);
    if (length)
        tt_buf_add(buf, bytes, length);
}

static struct tt_result *get_result(struct tt_bytes_reader *in)
{
    struct tt_result *result = tt_result_new();
    result->kind = get_kind(in);
    result->code = get_int(in);
    result->signal = get_int(in);
    get_buffer(in, &result->out);
    get_buffer(in, &result->err);
    result->truncated = tt_get_number_to(in, 1);
    result->duration = tt_get_real(in);
    result->env = tt_get_text(in);
    result->usage.cpu_user_s = tt_get_real(in);
    result->usage.cpu_system_s = tt_get_real(in);
    result->usage.max_rss_bytes = tt_get_signed(in);
    result->usage.io_read_bytes = tt_get_signed(in);
    result->usage.io_write_bytes = tt_get_signed(in);
    result->message = tt_get_text(in);
    return result;
}

static json_t *get_json(struct tt_bytes_reader *in)
{
    size_t length;
    const char *bytes = tt_get_bytes(in, &length);
    json_t *value = NULL;
    if (!bytes || tt_json_parse(&value, bytes, length, "a value", NULL) < 0)
        in->broken = true;
    return value;
}

static struct tt_artifacts *get_artifacts(struct tt_bytes_reader *in)
{
    struct tt_artifacts *list = tt_zalloc(sizeof *list);
    uint64_t count = tt_get_number_to(in, max_artifacts);
    for (uint64_t i = 0; i < count && !in->broken; i++) {
        struct tt_artifact one = {0};
        one.path = tt_get_text(in);
        one.size = tt_get_number(in);
        char *hex = tt_get_text(in);
        one.mode = (unsigned)tt_get_number_to(in, UINT32_MAX);
        if (!one.path || !hex || strlen(hex) != sizeof one.sha256 - 1)
            in->broken = true;
        else
            memcpy(one.sha256, hex, sizeof one.sha256);
        if (!in->broken)
            tt_artifacts_add(list, &one);
        free(one.path);
        free(hex);
    }
    return list;
}

static int get_added(struct tt_bytes_reader *in, const struct tt_revival *revival,
                     struct tt_yield *yield, struct tt_error **err)
{
    json_t *data = get_json(in);
    int rc = data ? tt_plan_from_data(&yield->added, revival->loop, revival->host, revival->plan,
                                      data, err)
                  : 0;
    json_decref(data);
    return rc;
}

static int get_yield(struct tt_bytes_reader *in, unsigned parts, const struct tt_revival *revival,
                     struct tt_yield *yield, struct tt_error **err)
{
    yield->called = parts & CALLED;
    yield->environment = tt_get_text(in);
    yield->trace = tt_get_text(in);
    if (parts & HAS_RESULT)
        yield->result = get_result(in);
    if (parts & HAS_VALUE)
        yield->value = get_json(in);
    if (parts & HAS_ERROR)
        yield->error = get_error(in);
    if (parts & HAS_ARTIFACTS)
        yield->artifacts = get_artifacts(in);
    return parts & HAS_ADDED && !in->broken ? get_added(in, revival, yield, err) : 0;
}

int tt_input_get(const void *bytes, size_t length, const struct tt_revival *revival,
                 struct tt_input *input, struct tt_yield *yield, struct tt_error **err)
{
    struct tt_bytes_reader in = {.at = bytes, .end = (const char *)bytes + length};
    *yield = (struct tt_yield){0};
    *input = (struct tt_input){0};
    input->type = (enum tt_input_type)tt_get_number_to(&in, TT_IN_CANCELLED);
    input->now = tt_get_signed(&in);
    input->op = tt_get_number(&in);
    input->outcome.kind = get_kind(&in);
    input->outcome.refused = tt_get_number_to(&in, 1);
    input->outcome.code = get_int(&in);
    input->outcome.value = tt_get_number(&in);
    unsigned parts = (unsigned)tt_get_number_to(&in, ALL_PARTS);
    int rc = parts ? get_yield(&in, parts, revival, yield, err) : 0;
    if (rc == 0 && (in.broken || in.at != in.end))
        rc = tt_fail(err, TT_INVALID, "these bytes are no input of a run");
    if (rc < 0)
        tt_yield_clear(yield);
    else if (parts)
        input->yield = yield;
    return rc;
}
