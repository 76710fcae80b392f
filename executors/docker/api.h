/* A Docker daemon: finding it, and the connection to it. Loop thread.
 *
 * The daemon is, in this order: the host that the script names; DOCKER_HOST; the context of
 * DOCKER_CONTEXT or of the configuration (DOCKER_CONFIG, else ~/.docker); /var/run/docker.sock;
 * podman's socket where only that exists. */
#ifndef TX_DOCKER_API_H
#define TX_DOCKER_API_H

#include "executors/http/api.h"

/* Which daemon a script means; a NULL member is decided as above. */
struct tx_docker_where {
    const char *host;      /* "unix:///path", "tcp://host:port", "https://…" */
    const char *context;   /* a name */
    const char *cert_path; /* folder of ca.pem, cert.pem, key.pem for TLS */
};

/* Finds the daemon: fills config and *address (allocated: "unix:///path"). Contacts nothing. Kind
 * `invalid` for settings that make no sense, `unsupported` for ssh:// and npipe://. */
int tx_docker_find(const struct tx_docker_where *where, struct tx_http_config *config,
                   char **address, struct tt_error **err);

struct tx_docker;

/* The loop's object for that daemon, with its connections: the same one while somebody holds it.
 * Contacts nothing. */
int tx_docker_open(struct tx_docker **docker, struct tt_loop *loop,
                   const struct tx_docker_where *where, struct tt_error **err);
void tx_docker_retain(struct tx_docker *docker);
void tx_docker_release(struct tx_docker *docker);
struct tx_http *tx_docker_http(const struct tx_docker *docker);
/* "unix:///path" …, for messages. */
const char *tx_docker_address(const struct tx_docker *docker);
/* Names the daemon by its address and TLS files: the same in every process, and no secret. */
const char *tx_docker_identity(const struct tx_docker *docker);
/* Whether the daemon runs on this machine, as far as its address tells. */
bool tx_docker_is_local(const struct tx_docker *docker);
struct tx_docker_events;
/* The place where executors/docker/events.c keeps its subscription. */
struct tx_docker_events **tx_docker_events_place(struct tx_docker *docker);

#endif
