/* A small command of our own in a container, run to its end as root: signals, renames, checks. */
#ifndef TX_DOCKER_ONCE_H
#define TX_DOCKER_ONCE_H

#include "executors/docker/api.h"

/* argv (taken) is a JSON array of strings. Finishes when it ended; an error when that was not
 * observed or it could not be started (`not_found`: no such program in the image). */
struct tt_op *tx_docker_once(struct tx_docker *docker, struct tt_scope *scope,
                             const char *container, json_t *argv);
int tx_docker_once_code(struct tt_op *op);
const struct tt_buf *tx_docker_once_output(struct tt_op *op); /* both streams, at most 64 KiB */

/* --- shared with exec.c --- */

/* The body of POST /containers/NAME/exec and of POST /exec/ID/start. */
struct tt_op *tx_docker_exec_create(struct tx_docker *docker, struct tt_scope *scope,
                                    const char *container, json_t *config);
struct tt_op *tx_docker_exec_start(struct tx_docker *docker, struct tt_scope *scope, const char *id,
                                   bool tty);
struct tt_op *tx_docker_exec_inspect(struct tx_docker *docker, struct tt_scope *scope,
                                     const char *id);
/* The error of a create that failed: nothing ran, so `lost` becomes `connect`, and so does a
 * container that is not running. */
struct tt_error *tx_docker_create_error(struct tt_op *created);
/* What the daemon said when the launcher could not start the command, in the contract's kinds. */
struct tt_error *tx_docker_launch_error(const char *text, size_t length);

#endif
