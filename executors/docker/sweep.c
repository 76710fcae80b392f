/* Containers that a killed tutti left behind: their label names a process of this machine. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "executors/docker/image.h"
#include "executors/remote/owner.h"

#include <stdlib.h>

struct sweep {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker; /* held */
    json_t *dead;
    size_t at;
};

static struct sweep *of(struct tt_op *op)
{
    return (struct sweep *)(void *)op;
}

static void sweep_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void sweep_free(struct tt_op *op)
{
    json_decref(of(op)->dead);
    tx_docker_release(of(op)->docker);
    free(op);
}

static void next(struct tt_op *op, struct tt_op *removed)
{
    struct sweep *sweep = of(op);
    (void)removed; /* somebody else may have been faster */
    const char *id = json_string_value(json_array_get(sweep->dead, sweep->at++));
    if (!id) {
        tt_op_finish(op, NULL);
        return;
    }
    char *path = tt_format("/containers/%s?force=1&v=1", id);
    struct tx_api_options options = {.raw = true};
    tt_then(&sweep->chain, op,
            tx_api_call(tx_docker_http(sweep->docker), op->scope, "DELETE", path, NULL, &options),
            next);
    free(path);
}

static void on_listed(struct tt_op *op, struct tt_op *list)
{
    struct sweep *sweep = of(op);
    size_t index;
    const json_t *container;
    if (list->error) {
        tt_op_finish(op, tt_error_copy(list->error));
        return;
    }
    json_array_foreach(tx_api_json(list), index, container)
    {
        const json_t *labels = json_object_get(container, "Labels");
        if (tx_owner_is_dead(tx_json_text(labels, TX_DOCKER_OWNER_LABEL)))
            json_array_append(sweep->dead, json_object_get(container, "Id"));
    }
    next(op, NULL);
}

struct tt_op *tx_docker_sweep(struct tx_docker *docker, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"docker sweep", sweep_cancel, sweep_free};
    struct sweep *sweep = tt_zalloc(sizeof *sweep);
    sweep->docker = docker;
    tx_docker_retain(docker);
    sweep->dead = json_array();
    tt_op_init(&sweep->op, &class_, scope);
    if (tt_op_finished(&sweep->op))
        return &sweep->op;
    struct tt_buf path = {0};
    tt_buf_text(&path, "/containers/json?all=1&filters=");
    tx_url_escape(&path, "{\"label\":[\"" TX_DOCKER_OWNER_LABEL "\"]}");
    tt_then(&sweep->chain, &sweep->op,
            tx_api_call(tx_docker_http(docker), scope, "GET", path.data, NULL, NULL), on_listed);
    tt_buf_free(&path);
    return &sweep->op;
}
