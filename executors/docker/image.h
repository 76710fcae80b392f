/* A container of one's own as an environment: `docker-image://NAME`, tutti.docker{ image = … }. It
 * is started when first used and removed when the environment is closed, or, if tutti was killed,
 * by the next tutti on this machine that starts one (its label names its owner). Its main process
 * is the image's own, with stdin held open, so that a shell stays, and ends with tutti where it
 * reads its stdin. */
#ifndef TX_DOCKER_IMAGE_H
#define TX_DOCKER_IMAGE_H

#include "core/env/exec.h"
#include "executors/docker/api.h"

enum tx_pull { TX_PULL_MISSING, TX_PULL_ALWAYS, TX_PULL_NEVER };

struct tx_docker_image_options {
    struct tx_docker_where where;
    const char *image;
    const char *name;    /* of the container; NULL: the daemon's choice */
    const char *network; /* NULL: the daemon's default */
    const char *user, *workdir, *platform;
    /* JSON, borrowed; NULL: none */
    const json_t *vars;       /* ["NAME=value", …] */
    const json_t *volumes;    /* ["/here:/there:ro", "volume:/there", …] */
    const json_t *ports;      /* ["8080:80", "127.0.0.1:53:53/udp", …] */
    const json_t *entrypoint; /* ["program", …]: in place of the image's own command */
    const json_t *labels;     /* {"name": "value"} */
    int64_t memory;           /* bytes; 0: no limit */
    double cpus;              /* 0: no limit */
    enum tx_pull pull;
    bool keep; /* leave it when the environment is closed */
};

int tx_docker_image_env_new(struct tt_env **env, struct tt_loop *loop,
                            const struct tx_docker_image_options *options, struct tt_error **err);
/* As tt_env_scheme.from_text: "docker-image://NAME:TAG". */
int tx_docker_image_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                              struct tt_error **err);
/* Finishes once the container runs (it is started if it does not); its id. */
struct tt_op *tx_docker_image_ready(struct tt_env *env, struct tt_scope *scope);

/* Removes the containers whose owner, a tutti on this machine, is no more. */
struct tt_op *tx_docker_sweep(struct tx_docker *docker, struct tt_scope *scope);
/* Names the process that made a container (executors/remote/owner.h). */
#define TX_DOCKER_OWNER_LABEL "tutti.owner"

/* The body of POST /containers/create; `invalid` for ports and volumes that can't be understood. */
json_t *tx_docker_image_config(const struct tx_docker_image_options *options,
                               struct tt_error **err);

#endif
