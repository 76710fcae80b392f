#include "executors/docker/docker.h"

#include "core/base/alloc.h"
#include "core/env/registry.h"
#include "core/files/files.h"
#include "executors/docker/events.h"
#include "executors/docker/exec.h"
#include "executors/docker/files.h"
#include "executors/docker/internal.h"
#include "executors/remote/image_name.h"
#include "executors/remote/shell_agent.h"

#include <stdlib.h>

static struct tt_op *start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    struct tx_docker_env *docker = tx_docker_env_of(env);
    struct tx_docker_place place = {docker->docker, docker->container, &docker->no_shell};
    return tx_docker_exec(env, scope, &place, command);
}

static struct tt_op *close_env(struct tt_env *env, struct tt_scope *scope)
{
    tx_agent_end(tt_scope_loop(scope), env);
    tx_docker_events_rest(tx_docker_env_of(env)->docker);
    return tt_op_finished_new(scope, NULL);
}

static void docker_env_free(struct tt_env *env)
{
    struct tx_docker_env *docker = tx_docker_env_of(env);
    tx_docker_release(docker->docker);
    free(docker->container);
    free(docker);
}

/* It runs already. */
static struct tt_op *ready(struct tt_env *env, struct tt_scope *scope)
{
    (void)env;
    return tt_op_finished_new(scope, NULL);
}

size_t tx_docker_env_parts(const struct tt_env *env, const char *parts[tt_env_part_count])
{
    parts[0] = tx_docker_env_of(env)->container;
    return 1;
}

const struct tt_env_class tx_docker_class = {
    .kind = "docker",
    .parts = tx_docker_env_parts,
    .start = start,
    .attach = tt_env_no_attach,
    .files = &tx_docker_files,
    .resolve = tt_env_resolve_self,
    .close = close_env,
    .free = docker_env_free,
};

int tx_docker_env_new(struct tt_env **out, struct tt_loop *loop, const char *container,
                      const struct tx_docker_where *where, struct tt_error **err)
{
    struct tx_docker *daemon = NULL;
    int rc = tx_check_container_name(container, err);
    if (rc == 0)
        rc = tx_docker_open(&daemon, loop, where, err);
    if (rc < 0)
        return rc;
    struct tx_docker_env *made = tt_zalloc(sizeof *made);
    char *text = tt_format("docker://%s", container);
    char *identity = tt_format("docker:%s:%s", tx_docker_identity(daemon), container);
    tt_env_init(&made->env, &tx_docker_class, text, identity);
    free(text);
    free(identity);
    made->docker = daemon;
    made->container = tt_strdup(container);
    made->ready = ready;
    *out = &made->env;
    return 0;
}

int tx_docker_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                        struct tt_error **err)
{
    struct tx_docker_where where = {0};
    return tx_docker_env_new(env, loop, tt_env_after_scheme(text, "docker"), &where, err);
}

struct tx_docker *tx_docker_env_daemon(const struct tt_env *env)
{
    bool is_docker = env->class_ == &tx_docker_class || env->class_ == &tx_docker_image_class;
    return is_docker ? tx_docker_env_of(env)->docker : NULL;
}
