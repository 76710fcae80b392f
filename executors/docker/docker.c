#include "executors/docker/docker.h"

#include "core/base/alloc.h"
#include "core/files/files.h"
#include "executors/docker/events.h"
#include "executors/docker/exec.h"
#include "executors/docker/files.h"
#include "executors/remote/image_name.h"
#include "executors/remote/shell_agent.h"

#include <stdlib.h>

struct docker_env {
    struct tt_env env;
    struct tx_docker *docker;
    char *container;
    bool no_shell;
    int shell; /* as in tx_docker_rooms */
};

static struct docker_env *of(const struct tt_env *env)
{
    return (struct docker_env *)(void *)env;
}

static struct tt_op *start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    struct docker_env *docker = of(env);
    struct tx_docker_place place = {docker->docker, docker->container, &docker->no_shell};
    return tx_docker_exec(env, scope, &place, command);
}

static struct tt_op *close_env(struct tt_env *env, struct tt_scope *scope)
{
    tx_agent_end(env);
    tx_docker_events_rest(of(env)->docker);
    return tt_op_finished_new(scope, NULL);
}

static void docker_env_free(struct tt_env *env)
{
    struct docker_env *docker = of(env);
    tx_docker_release(docker->docker);
    free(docker->container);
    free(docker);
}

static const struct tt_env_class class_ = {
    .kind = "docker",
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
    struct docker_env *made = tt_zalloc(sizeof *made);
    char *text = tt_format("docker://%s", container);
    char *identity = tt_format("docker:%s:%s", tx_docker_address(daemon), container);
    tt_env_init(&made->env, &class_, text, identity);
    free(text);
    free(identity);
    made->docker = daemon;
    made->container = tt_strdup(container);
    *out = &made->env;
    return 0;
}

struct tx_docker *tx_docker_env_daemon(const struct tt_env *env)
{
    return of(env)->docker;
}

const char *tx_docker_env_container(const struct tt_env *env)
{
    return of(env)->container;
}

struct tx_docker_rooms tx_docker_env_rooms(struct tt_env *env)
{
    return (struct tx_docker_rooms){of(env)->docker, of(env)->container, &of(env)->shell};
}
