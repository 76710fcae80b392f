/* The build of an image from a folder of this machine. */
#ifndef TX_DOCKER_BUILD_H
#define TX_DOCKER_BUILD_H

#include "executors/docker/send.h"

/* Sends the folder `context`, without what its .dockerignore names, to POST `path` ("/build?t=…").
 * Finishes with the daemon's progress, lines of JSON: tx_docker_built, the caller's. `dockerfile`
 * (relative to context) is sent even when ignored. */
struct tt_op *tx_docker_build(struct tx_docker *docker, struct tt_scope *scope, const char *context,
                              const char *dockerfile, const char *path);
struct tx_exchange *tx_docker_built(struct tt_op *op);

/* What a .dockerignore says. Pure. */
struct tx_ignore;
int tx_ignore_new(struct tx_ignore **ignore, const char *text, struct tt_error **err);
bool tx_ignored(struct tx_ignore *ignore, const char *path);
void tx_ignore_free(struct tx_ignore *ignore);

#endif
