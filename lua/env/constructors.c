/* The kinds of environments that scripts can describe by options. */
#include "lua/env/docker.h"
#include "lua/env/env.h"
#include "lua/env/k8s.h"
#include "lua/env/ssh.h"

const struct lt_env_constructor *const lt_env_constructors[] = {&lt_ssh, &lt_docker, &lt_k8s, NULL};
