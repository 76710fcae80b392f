/* Docker in Lua: the environments (docker.c); what else a daemon does is client.c's. */
#ifndef LT_DOCKER_H
#define LT_DOCKER_H

#include "executors/docker/api.h"
#include "lua/env/env.h"

extern const struct lt_env_constructor lt_docker;

/* Reads host, context and cert_path; the strings are borrowed from the table. */
void lt_docker_where(const struct lt_options *o, struct tx_docker_where *where);

#endif
