/* Getting an image from its registry, with progress and the credentials of the Docker
 * configuration. */
#ifndef TX_DOCKER_PULL_H
#define TX_DOCKER_PULL_H

#include "executors/docker/api.h"

/* One line of the daemon's progress: {"id": layer, "status": …, "progressDetail": {…}}. */
typedef void tx_docker_progress(void *arg, const json_t *line);

/* platform and progress may be NULL. `not_found` when the registry has no such image. */
struct tt_op *tx_docker_pull(struct tx_docker *docker, struct tt_scope *scope, const char *image,
                             const char *platform, tx_docker_progress *progress, void *arg);

/* The same as a request (send.h): the path to POST to, and *header with the registry's
 * credentials, or NULL. Both are the caller's. */
char *tx_docker_pull_request(const char *image, const char *platform, char **header);
/* What the daemon's own words for a failure stand for: `io` where nothing better is known. */
enum tt_kind tx_docker_progress_kind(const char *message);

/* A request whose reply is a stream of JSON lines, of which {"error": …} fails it: pull and build.
 * The body (borrowed until the end) is sent whole. */
struct tt_op *tx_docker_lines(struct tx_docker *docker, struct tt_scope *scope, const char *path,
                              const char *const *headers, const void *body, size_t length,
                              tx_docker_progress *progress, void *arg);

#endif
