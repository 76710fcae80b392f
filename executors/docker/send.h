/* A request to the daemon whose body is a file's content, and whose reply is read as it comes:
 * builds, archives, pulls. */
#ifndef TX_DOCKER_SEND_H
#define TX_DOCKER_SEND_H

#include "core/env/exec.h"
#include "executors/docker/api.h"

struct tx_docker_request {
    const char *method, *path;
    const char *content_type; /* of the body; NULL: none */
    const char *header;       /* one more, "Name: value"; or NULL */
    int body;                 /* a descriptor, read from its start and taken; -1: none */
    int64_t patience;         /* as in tx_http_request */
};

/* Finishes when the body was sent and the reply begins; a refusal is an error (tx_api_refusal, with
 * the kind that its words tell). */
struct tt_op *tx_docker_send(struct tx_docker *docker, struct tt_scope *scope,
                             const struct tx_docker_request *request);
/* The reply; the caller's. NULL on error or when taken. */
struct tx_exchange *tx_docker_sent(struct tt_op *op);

#endif
