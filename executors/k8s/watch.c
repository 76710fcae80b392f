#include "executors/k8s/watch.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { piece = 64 << 10, longest_line = 8 << 20, pause_ms = 500, give_up_ms = 60000 };

struct watch {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_kube *kube; /* held */
    char *path, *version;
    tx_k8s_look *look;
    void *arg;
    struct tx_exchange *exchange;
    struct tt_buf lines;
    int64_t broken_since; /* 0: it is not */
};

static struct watch *of(struct tt_op *op)
{
    return (struct watch *)(void *)op;
}

static void list(struct tt_op *op, struct tt_op *before);

static void watch_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void watch_free(struct tt_op *op)
{
    struct watch *watch = of(op);
    tx_exchange_free(watch->exchange);
    tx_kube_release(watch->kube);
    tt_buf_free(&watch->lines);
    free(watch->path);
    free(watch->version);
    free(watch);
}

/* Starts over after a pause, unless that goes on for too long. */
static void start_over(struct watch *watch, const struct tt_error *why)
{
    int64_t now = tt_loop_now(watch->op.loop);
    tx_exchange_free(watch->exchange);
    watch->exchange = NULL;
    watch->lines.length = 0;
    if (why && !watch->broken_since)
        watch->broken_since = now;
    bool passing = !why || why->kind == TT_CONNECT || why->kind == TT_LOST || why->kind == TT_IO;
    if (!passing || (watch->broken_since && now - watch->broken_since > give_up_ms))
        tt_op_finish(&watch->op, tt_error_copy(why));
    else
        tt_then(&watch->chain, &watch->op, tt_sleep(watch->op.scope, pause_ms), list);
}

/* True when it is over. */
static bool looked(struct watch *watch, const char *type, const json_t *object)
{
    struct tt_error *err = NULL;
    int rc = watch->look(watch->arg, type, object, &err);
    if (rc != 0)
        tt_op_finish(&watch->op, err);
    return rc != 0;
}

/* 1: over, 0: go on, -1: list again. */
static int read_line(struct watch *watch, const char *text, size_t length)
{
    json_t *event = NULL;
    if (tt_json_parse(&event, text, length, "event", NULL) < 0)
        return -1;
    const char *type = tx_json_text(event, "type");
    int rc = 0;
    if (strcmp(type, "ERROR") == 0)
        rc = -1;
    else if (strcmp(type, "BOOKMARK") != 0)
        rc = looked(watch, type, json_object_get(event, "object")) ? 1 : 0;
    json_decref(event);
    return rc;
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct watch *watch = of(op);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    if (read->error || !bytes->length || watch->lines.length > longest_line) {
        start_over(watch, read->error);
        return;
    }
    watch->broken_since = 0;
    tt_buf_add(&watch->lines, bytes->data, bytes->length);
    for (char *stop;
         watch->lines.length && (stop = memchr(watch->lines.data, '\n', watch->lines.length));) {
        size_t length = (size_t)(stop - watch->lines.data);
        int rc = read_line(watch, watch->lines.data, length);
        if (rc < 0)
            start_over(watch, NULL);
        if (rc != 0)
            return;
        tt_buf_drop(&watch->lines, length + 1);
    }
    tt_then(&watch->chain, op, tx_exchange_read(watch->exchange, op->scope, piece), on_bytes);
}

static void on_open(struct tt_op *op, struct tt_op *opened)
{
    struct watch *watch = of(op);
    if (opened->error) {
        start_over(watch, opened->error);
        return;
    }
    watch->exchange = tx_kube_exchange_of(opened);
    tt_then(&watch->chain, op, tx_exchange_read(watch->exchange, op->scope, piece), on_bytes);
}

static void on_list(struct tt_op *op, struct tt_op *call)
{
    struct watch *watch = of(op);
    size_t index;
    const json_t *item;
    if (call->error) {
        start_over(watch, call->error);
        return;
    }
    const json_t *reply = tx_kube_json(call);
    free(watch->version);
    watch->version = tt_strdup(tx_json_text(json_object_get(reply, "metadata"), "resourceVersion"));
    json_array_foreach(json_object_get(reply, "items"), index,
                       item) if (looked(watch, "LIST", item)) return;
    if (looked(watch, "LIST", NULL))
        return;
    char *path = tt_format("%s%cwatch=1&allowWatchBookmarks=true&resourceVersion=%s", watch->path,
                           strchr(watch->path, '?') ? '&' : '?', watch->version);
    tt_then(&watch->chain, op, tx_kube_open_exchange(watch->kube, op->scope, path), on_open);
    free(path);
}

static void list(struct tt_op *op, struct tt_op *before)
{
    struct watch *watch = of(op);
    if (before && before->error)
        tt_op_finish(op, tt_error_copy(before->error));
    else
        tt_then(&watch->chain, op,
                tx_kube_call(watch->kube, op->scope, "GET", watch->path, NULL, NULL), on_list);
}

struct tt_op *tx_k8s_watch(struct tx_kube *kube, struct tt_scope *scope, const char *path,
                           tx_k8s_look *look, void *arg)
{
    static const struct tt_op_class class_ = {"watch", watch_cancel, watch_free};
    struct watch *watch = tt_zalloc(sizeof *watch);
    watch->kube = kube;
    tx_kube_retain(kube);
    watch->path = tt_strdup(path);
    watch->look = look;
    watch->arg = arg;
    tt_op_init(&watch->op, &class_, scope);
    if (!tt_op_finished(&watch->op))
        list(&watch->op, NULL);
    return &watch->op;
}
