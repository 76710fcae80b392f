/* What the two kinds of docker environments share: a container of a daemon (docker.c: one that runs
 * already; image.c: one of tutti's own), which commands and files reach by the same API. */
#ifndef TX_DOCKER_INTERNAL_H
#define TX_DOCKER_INTERNAL_H

#include "core/env/exec.h"
#include "executors/docker/api.h"

/* Both kinds embed it first. */
struct tx_docker_env {
    struct tt_env env;
    struct tx_docker *docker; /* held */
    char *container;          /* its name or id; NULL: it does not run */
    bool no_shell;            /* an exec found no /bin/sh in it */
    int shell;                /* files: 0 nothing is known, 1 it has /bin/sh, -1 it has none */
    /* Finishes once the container runs, as far as tutti can make it run. */
    struct tt_op *(*ready)(struct tt_env *env, struct tt_scope *scope);
};

size_t tx_docker_env_parts(const struct tt_env *env, const char *parts[tt_env_part_count]);
extern const struct tt_env_class tx_docker_class, tx_docker_image_class;

static inline struct tx_docker_env *tx_docker_env_of(const struct tt_env *env)
{
    return (struct tx_docker_env *)(void *)(uintptr_t)env;
}

#endif
