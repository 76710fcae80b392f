/* Docker in Lua: the environments (ldocker.c) and what else a daemon does (ldocker_ops.c). */
#ifndef LT_LDOCKER_H
#define LT_LDOCKER_H

#include "executors/docker/api.h"
#include "lua/env/env.h"

extern const struct lt_env_scheme lt_docker_scheme, lt_docker_image_scheme;

/* Reads host, context and cert_path; the strings are borrowed from the table. */
void lt_docker_where(const struct lt_options *o, struct tx_docker_where *where);

#endif
