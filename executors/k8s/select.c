#include "executors/k8s/select.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct selection {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_kube *kube; /* held */
    char *name_space, *what, *pod;
};

static struct selection *of(struct tt_op *op)
{
    return (struct selection *)(void *)op;
}

static void selection_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void selection_free(struct tt_op *op)
{
    struct selection *selection = of(op);
    tx_kube_release(selection->kube);
    free(selection->name_space);
    free(selection->what);
    free(selection->pod);
    free(selection);
}

/* --- pure --- */

static void add_requirement(struct tt_buf *out, const json_t *requirement)
{
    const char *key = tx_json_text(requirement, "key");
    const char *how = tx_json_text(requirement, "operator");
    size_t index;
    const json_t *value;
    if (out->length)
        tt_buf_text(out, ",");
    if (strcmp(how, "Exists") == 0) {
        tt_buf_text(out, key);
        return;
    }
    if (strcmp(how, "DoesNotExist") == 0) {
        tt_buf_format(out, "!%s", key);
        return;
    }
    tt_buf_format(out, "%s %s (", key, strcmp(how, "NotIn") == 0 ? "notin" : "in");
    json_array_foreach(json_object_get(requirement, "values"), index, value) tt_buf_format(
        out, "%s%s", index ? "," : "", json_is_string(value) ? json_string_value(value) : "");
    tt_buf_text(out, ")");
}

char *tx_k8s_selector_text(const json_t *selector)
{
    struct tt_buf out = {0};
    const char *key;
    json_t *value;
    size_t index;
    json_object_foreach(json_object_get(selector, "matchLabels"), key, value)
        tt_buf_format(&out, "%s%s=%s", out.length ? "," : "", key,
                      json_is_string(value) ? json_string_value(value) : "");
    json_array_foreach(json_object_get(selector, "matchExpressions"), index, value)
        add_requirement(&out, value);
    return tt_buf_take(&out);
}

bool tx_k8s_pod_is_ready(const json_t *pod)
{
    size_t index;
    const json_t *condition;
    if (tx_json_at(pod, "metadata.deletionTimestamp"))
        return false;
    json_array_foreach(tx_json_at(pod, "status.conditions"), index,
                       condition) if (strcmp(tx_json_text(condition, "type"), "Ready") ==
                                      0) return strcmp(tx_json_text(condition, "status"), "True") ==
        0;
    return false;
}

/* Creation times are RFC 3339 in UTC: as text in order. */
static bool is_older(const json_t *a, const json_t *b)
{
    const json_t *ma = json_object_get(a, "metadata"), *mb = json_object_get(b, "metadata");
    int order =
        strcmp(tx_json_text(ma, "creationTimestamp"), tx_json_text(mb, "creationTimestamp"));
    return order ? order < 0 : strcmp(tx_json_text(ma, "name"), tx_json_text(mb, "name")) < 0;
}

/* --- the operation --- */

static void on_pods(struct tt_op *op, struct tt_op *call)
{
    struct selection *selection = of(op);
    if (call->error) {
        tt_op_finish(op, tt_error_copy(call->error));
        return;
    }
    const json_t *pods = json_object_get(tx_kube_json(call), "items"), *best = NULL, *pod;
    size_t index;
    json_array_foreach(pods, index, pod) if (tx_k8s_pod_is_ready(pod) &&
                                             (!best || is_older(pod, best))) best = pod;
    struct tt_error *err = NULL;
    if (best)
        selection->pod = tt_strdup(tx_json_text(json_object_get(best, "metadata"), "name"));
    else if (!json_array_size(pods))
        err = tt_error_new(TT_NOT_FOUND, "no pod in namespace %s is matched by %s",
                           selection->name_space, selection->what);
    else
        err = tt_error_new(TT_CONNECT, "no pod is ready of the %zu in namespace %s matched by %s",
                           json_array_size(pods), selection->name_space, selection->what);
    tt_op_finish(op, err);
}

static void list_pods(struct selection *selection, const char *selector)
{
    struct tt_buf path = {0};
    tt_buf_format(&path, "/api/v1/namespaces/%s/pods?labelSelector=", selection->name_space);
    tx_url_escape(&path, selector);
    tt_then(&selection->chain, &selection->op,
            tx_kube_call(selection->kube, selection->op.scope, "GET", path.data, NULL, NULL),
            on_pods);
    tt_buf_free(&path);
}

static void on_deployment(struct tt_op *op, struct tt_op *call)
{
    struct selection *selection = of(op);
    if (call->error) {
        tt_op_finish(op, tt_error_copy(call->error));
        return;
    }
    char *selector = tx_k8s_selector_text(tx_json_at(tx_kube_json(call), "spec.selector"));
    if (*selector)
        list_pods(selection, selector);
    else
        tt_op_finish(op, tt_error_new(TT_INVALID, "%s selects nothing", selection->what));
    free(selector);
}

struct tt_op *tx_k8s_select(struct tx_kube *kube, struct tt_scope *scope, const char *name_space,
                            const char *deployment, const char *selector)
{
    static const struct tt_op_class class_ = {"select a pod", selection_cancel, selection_free};
    struct selection *selection = tt_zalloc(sizeof *selection);
    selection->kube = kube;
    tx_kube_retain(kube);
    selection->name_space = tt_strdup(name_space);
    selection->what =
        deployment ? tt_format("deployment %s", deployment) : tt_format("selector '%s'", selector);
    tt_op_init(&selection->op, &class_, scope);
    if (tt_op_finished(&selection->op))
        return &selection->op;
    if (deployment) {
        char *path =
            tt_format("/apis/apps/v1/namespaces/%s/deployments/%s", name_space, deployment);
        tt_then(&selection->chain, &selection->op,
                tx_kube_call(kube, scope, "GET", path, NULL, NULL), on_deployment);
        free(path);
    } else {
        list_pods(selection, selector);
    }
    return &selection->op;
}

const char *tx_k8s_selected(struct tt_op *op)
{
    return op->error ? NULL : of(op)->pod;
}
