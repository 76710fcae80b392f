#include "executors/k8s/text.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/suggest.h"
#include "core/env/registry.h"
#include "executors/k8s/job.h"
#include "executors/k8s/k8s.h"

#include <stdlib.h>
#include <string.h>

/* What a text may say; a job knows the last three. */
enum field { POD, DEPLOYMENT, SELECTOR, CONTAINER, CONTEXT, KUBECONFIG, NAMESPACE, field_count };
static const char *const names[field_count] = {"pod",     "deployment", "selector", "container",
                                               "context", "kubeconfig", "namespace"};

struct fields {
    const char *whole; /* the text, for messages */
    const char *what;  /* who refuses an unknown option */
    enum field first;  /* of the fields that this kind knows */
    char *values[field_count];
};

static void clear(struct fields *fields)
{
    for (size_t i = 0; i < field_count; i++)
        free(fields->values[i]);
}

static void set(struct fields *fields, enum field field, char *value)
{
    free(fields->values[field]);
    fields->values[field] = value;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* With %XX undone; a byte of zero stays as it is written. */
static char *decoded(const char *text, size_t length)
{
    struct tt_buf out = {0};
    for (size_t i = 0; i < length; i++) {
        int a = text[i] == '%' && i + 2 < length ? hex(text[i + 1]) : -1;
        int b = a >= 0 ? hex(text[i + 2]) : -1;
        char byte = b >= 0 && (a || b) ? (char)(a * 16 + b) : text[i];
        tt_buf_add(&out, &byte, 1);
        i += b >= 0 && (a || b) ? 2 : 0;
    }
    return tt_buf_take(&out);
}

static int read_option(struct fields *fields, const char *name, size_t length, char *value,
                       struct tt_error **err)
{
    for (enum field i = fields->first; i < field_count; i++) {
        if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) {
            set(fields, i, value);
            return 0;
        }
    }
    char *unknown = tt_strndup(name, length);
    struct tt_suggest suggest = {.wanted = unknown};
    for (enum field i = fields->first; i < field_count; i++)
        tt_suggest_try(&suggest, names[i]);
    int rc = tt_fail(err, TT_INVALID, "%s: unknown option '%s'%s%s%s", fields->what, unknown,
                     suggest.best ? " (did you mean '" : "", suggest.best ? suggest.best : "",
                     suggest.best ? "'?)" : "");
    free(unknown);
    free(value);
    return rc;
}

/* The options after '?'. */
static int read_query(struct fields *fields, const char *query, struct tt_error **err)
{
    int rc = 0;
    while (rc == 0 && *query) {
        size_t length = strcspn(query, "&"), name = strcspn(query, "=&");
        if (name == 0 || name >= length)
            return tt_fail(err, TT_INVALID, "'%s': '%s' is not NAME=VALUE", fields->whole, query);
        rc = read_option(fields, query, name, decoded(query + name + 1, length - name - 1), err);
        query += length + (query[length] == '&');
    }
    return rc;
}

/* "ns/pod/container", "ns/pod"; one part alone is a namespace after the scheme, else a pod. */
static int read_path(struct fields *fields, const char *path, size_t length, bool has_scheme,
                     struct tt_error **err)
{
    static const enum field of_one[] = {POD}, of_scheme[] = {NAMESPACE},
                            of_more[] = {NAMESPACE, POD, CONTAINER};
    const char *parts[3];
    size_t lengths[3], count = 0;
    while (length) {
        size_t part = strcspn(path, "/") < length ? strcspn(path, "/") : length;
        if (count == 3)
            return tt_fail(err, TT_INVALID, "'%s' has more than NAMESPACE/POD/CONTAINER",
                           fields->whole);
        parts[count] = path;
        lengths[count++] = part;
        path += part + (part < length);
        length -= part + (part < length);
    }
    const enum field *which = count > 1 ? of_more : has_scheme ? of_scheme : of_one;
    for (size_t i = 0; i < count; i++)
        set(fields, which[i], tt_strndup(parts[i], lengths[i]));
    return 0;
}

int tx_k8s_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err)
{
    struct fields fields = {.whole = text, .what = "tutti.k8s", .first = POD};
    const char *path = tt_env_after_scheme(text, "k8s");
    size_t length = strcspn(path, "?");
    int rc = read_query(&fields, path[length] ? path + length + 1 : "", err);
    if (rc == 0)
        rc = read_path(&fields, path, length, path != text, err);
    char **values = fields.values;
    struct tx_k8s_options options = {
        .where = {.context = values[CONTEXT], .kubeconfig = values[KUBECONFIG]},
        .name_space = values[NAMESPACE],
        .pod = values[POD],
        .deployment = values[DEPLOYMENT],
        .selector = values[SELECTOR],
        .container = values[CONTAINER]};
    if (rc == 0)
        rc = tx_k8s_env_new(env, loop, &options, err);
    clear(&fields);
    return rc;
}

int tx_k8s_job_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                         struct tt_error **err)
{
    struct fields fields = {.whole = text, .what = "k8s-job", .first = CONTEXT};
    const char *path = tt_env_after_scheme(text, "k8s-job");
    size_t length = strcspn(path, "?");
    int rc = read_query(&fields, path[length] ? path + length + 1 : "", err);
    char *image = decoded(path, length);
    char **values = fields.values;
    struct tx_k8s_job_options options = {
        .where = {.context = values[CONTEXT], .kubeconfig = values[KUBECONFIG]},
        .name_space = values[NAMESPACE],
        .image = image};
    if (rc == 0)
        rc = tx_k8s_job_env_new(env, loop, &options, err);
    free(image);
    clear(&fields);
    return rc;
}
