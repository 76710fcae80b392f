/* The kinds of environments that scripts can name. */
#include "lua/env/docker.h"
#include "lua/env/env.h"
#include "lua/env/k8s.h"
#include "lua/env/ssh.h"

static void local_from_text(lua_State *L, const char *text)
{
    (void)text;
    lt_push_env(L, lt_here(L), NULL);
}

static const struct lt_env_scheme local = {"local", local_from_text, NULL};

const struct lt_env_scheme *const lt_env_schemes[] = {
    &local,
    &lt_ssh_scheme,
    &lt_docker_scheme,
    &lt_docker_image_scheme,
    &lt_k8s_scheme,
    &lt_k8s_job_scheme,
    NULL,
};
