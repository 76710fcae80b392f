/* A command in a running container: a Docker exec, its stream, its end.
 *
 * The end is the daemon's exec_die event, or what an inspection says after the stream ended. A
 * signal goes to the process group from a second exec (Docker cannot signal one), or, where the
 * image has no shell, from this machine when the daemon runs on it. */
#ifndef TX_DOCKER_EXEC_H
#define TX_DOCKER_EXEC_H

#include "executors/docker/api.h"

/* Where commands run. The strings are borrowed. */
struct tx_docker_place {
    struct tx_docker *docker;
    const char *container; /* name or id */
    bool *no_shell;        /* whether the image was found to have no /bin/sh; kept by the caller */
};

/* As tt_env_class.start: finishes with a process of `env`. */
struct tt_op *tx_docker_exec(struct tt_env *env, struct tt_scope *scope,
                             const struct tx_docker_place *place, const struct tt_command *command);

#endif
