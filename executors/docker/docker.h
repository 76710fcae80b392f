/* Docker containers as environments: `docker://NAME`, a container that runs already. The daemon is
 * spoken to by its own API (executors/docker/api.h). */
#ifndef TX_DOCKER_H
#define TX_DOCKER_H

#include "core/env/exec.h"
#include "executors/docker/api.h"

/* An environment for a running container, by its name or id (checked, copied). The daemon is
 * looked for at once, and contacted by the first operation. */
int tx_docker_env_new(struct tt_env **env, struct tt_loop *loop, const char *container,
                      const struct tx_docker_where *where, struct tt_error **err);
/* As tt_env_scheme.from_text: "docker://NAME". */
int tx_docker_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                        struct tt_error **err);
/* The daemon of an environment, of this kind or of image.h's; borrowed. NULL: of another kind. */
struct tx_docker *tx_docker_env_daemon(const struct tt_env *env);

#endif
