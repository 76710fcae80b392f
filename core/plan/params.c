/* Parameters: from text, by their declared types. */
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/suggest.h"
#include "core/plan/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *tt_param_type_name(enum tt_param_type type)
{
    static const char *const names[] = {"string", "number", "integer", "boolean"};
    return names[type];
}

char *tt_value_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return tt_strndup(json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return tt_format("%lld", (long long)json_integer_value(value));
    case JSON_REAL: {
        double number = json_real_value(value);
        char *text = tt_format("%.15g", number);
        if (strtod(text, NULL) == number)
            return text;
        free(text);
        return tt_format("%.17g", number);
    }
    default:
        return tt_strdup(json_is_true(value) ? "true" : "false");
    }
}

static const struct tt_param *find(const struct tt_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < tt_plan_param_count(plan); i++)
        if (strcmp(tt_plan_param(plan, i)->name, name) == 0)
            return tt_plan_param(plan, i);
    return NULL;
}

static json_t *parse(enum tt_param_type type, const char *text)
{
    char *end;
    errno = 0;
    switch (type) {
    case TT_PARAM_STRING:
        return json_string(text); /* NULL when it is not UTF-8 */
    case TT_PARAM_INTEGER: {
        long long integer = strtoll(text, &end, 10);
        bool good = *text && strspn(text, "+-0123456789") == strlen(text) && !*end && !errno;
        return good ? json_integer(integer) : NULL;
    }
    case TT_PARAM_NUMBER: {
        double number = strtod(text, &end);
        bool good = *text && strspn(text, "+-0123456789.eE") == strlen(text) && !*end;
        return good && isfinite(number) ? json_real(number) : NULL;
    }
    default:
        if (strcmp(text, "true") == 0)
            return json_true();
        return strcmp(text, "false") == 0 ? json_false() : NULL;
    }
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static int check_choice(const struct tt_param *param, const json_t *value, struct tt_error **err)
{
    if (!param->choices)
        return 0;
    struct tt_buf all = {0};
    for (size_t i = 0; i < json_array_size(param->choices); i++) {
        const json_t *choice = json_array_get(param->choices, i);
        if (same(choice, value)) {
            tt_buf_free(&all);
            return 0;
        }
        char *text = tt_value_text(choice);
        tt_buf_format(&all, "%s%s", i ? ", " : "", text);
        free(text);
    }
    char *text = tt_value_text(value);
    int rc = tt_fail(err, TT_INVALID, "parameter %s is one of %s, not \"%s\"", param->name,
                     all.data, text);
    free(text);
    tt_buf_free(&all);
    return rc;
}

static int unknown(const struct tt_plan *plan, const char *name, struct tt_error **err)
{
    struct tt_suggest suggest = {.wanted = name};
    for (uint32_t i = 0; i < tt_plan_param_count(plan); i++)
        tt_suggest_try(&suggest, tt_plan_param(plan, i)->name);
    return tt_fail(err, TT_INVALID, "workflow \"%s\" has no parameter \"%s\"%s%s%s",
                   tt_plan_name(plan), name, suggest.best ? "; did you mean \"" : "",
                   suggest.best ? suggest.best : "", suggest.best ? "\"?" : "");
}

static int set_given(const struct tt_plan *plan, const struct tt_given_param *given, json_t *params,
                     struct tt_error **err)
{
    const struct tt_param *param = find(plan, given->name);
    if (!param)
        return unknown(plan, given->name, err);
    json_t *value = parse(param->type, given->value);
    if (!value)
        return tt_fail(err, TT_INVALID, "parameter %s is %s %s%s, not \"%s\"", param->name,
                       param->type == TT_PARAM_INTEGER ? "an" : "a",
                       tt_param_type_name(param->type),
                       param->type == TT_PARAM_BOOLEAN  ? " (true or false)"
                       : param->type == TT_PARAM_STRING ? " of UTF-8 text"
                                                        : "",
                       given->value);
    int rc = check_choice(param, value, err);
    if (rc < 0)
        json_decref(value);
    else
        json_object_set_new(params, param->name, value);
    return rc;
}

int tt_plan_params(const struct tt_plan *plan, const struct tt_given_param *given, size_t count,
                   json_t **out, struct tt_error **err)
{
    json_t *params = json_object();
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = set_given(plan, &given[i], params, err);
    for (uint32_t i = 0; i < tt_plan_param_count(plan) && rc == 0; i++) {
        const struct tt_param *param = tt_plan_param(plan, i);
        if (json_object_get(params, param->name))
            continue;
        if (param->fallback)
            json_object_set(params, param->name, param->fallback);
        else if (param->required)
            rc = tt_fail(err, TT_INVALID, "parameter %s is missing: give it with -p %s=VALUE",
                         param->name, param->name);
    }
    if (rc < 0)
        json_decref(params);
    else
        *out = params;
    return rc;
}
