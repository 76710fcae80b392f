/* Containers that a killed tutti left behind: their label names a process of this machine. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "executors/docker/image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line of a file of the kernel's; "" when it cannot be read. */
static void read_first(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0)
        close(fd);
    to[got > 0 ? got : 0] = 0;
    to[strcspn(to, "\n")] = 0;
}

/* When a process started, in ticks since boot; "" when there is none. */
static void started_at(long pid, char *to, size_t size)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_first(path, stat, sizeof stat);
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    snprintf(to, size, "%.*s", at ? (int)strcspn(at, " ") : 0, at ? at : "");
}

static void boot_id(char *to, size_t size)
{
    read_first("/proc/sys/kernel/random/boot_id", to, size);
}

char *tx_docker_owner(void)
{
    char boot[64], start[32];
    boot_id(boot, sizeof boot);
    started_at(getpid(), start, sizeof start);
    return tt_format("%s/%ld/%s", boot, (long)getpid(), start);
}

bool tx_docker_owner_is_dead(const char *owner)
{
    char boot[64], start[32];
    size_t length = strcspn(owner, "/");
    boot_id(boot, sizeof boot);
    if (!*boot || owner[length] != '/')
        return false;
    char *end;
    long pid = strtol(owner + length + 1, &end, 10);
    if (*end != '/' || pid <= 0)
        return false;
    if (strlen(boot) != length || strncmp(boot, owner, length) != 0)
        return false; /* another machine's, or of before a restart: a container in that case ended
                       */
    started_at(pid, start, sizeof start);
    return strcmp(start, end + 1) != 0;
}

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
        if (tx_docker_owner_is_dead(tx_json_text(labels, TX_DOCKER_OWNER_LABEL)))
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
