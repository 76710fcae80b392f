/* The start of a command in a container: create the exec, open its stream, wait for the shim's
 * report. An image without /bin/sh is found out by the daemon's refusal to run it; a command given
 * as words is then run by the daemon alone.
 *
 * Once the exec may run, a cancelled start waits for the report and kills what it started. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/docker/exec_internal.h"
#include "executors/docker/once.h"
#include "executors/remote/shim_container.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct launch {
    struct tt_process_op base;
    struct tt_chain chain;
    struct tt_env *env; /* held */
    struct tx_docker *docker;
    char *container;
    bool *no_shell; /* in env */
    struct tt_command command;
    char nonce[tx_nonce_size];
    bool direct;
    char *id;
    int64_t since;
    struct tt_scope *own; /* of what must not be cut short */
    struct tx_exec *exec;
    struct tt_error *unwanted; /* cancelled while it may run */
    bool starting;
};

static struct launch *launch_of(struct tt_op *op)
{
    return (struct launch *)(void *)op;
}

static void create(struct launch *launch);

static void launch_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct launch *launch = launch_of(op);
    if (!launch->starting) {
        tt_chain_cancel(&launch->chain, why);
        return;
    }
    launch->unwanted = tt_error_copy(why);
    tt_scope_deadline(launch->own, tt_deadline_after(tt_loop_now(op->loop), 10000),
                      "ending a command that was just started");
}

static void launch_free(struct tt_op *op)
{
    struct launch *launch = launch_of(op);
    if (launch->exec)
        launch->exec->p.class_->free(&launch->exec->p);
    tt_command_clear(&launch->command);
    tt_scope_release(launch->own);
    tx_docker_release(launch->docker);
    tt_env_release(launch->env);
    tt_error_free(launch->unwanted);
    free(launch->container);
    free(launch->id);
    tt_process_op_free(op);
}

static void finish(struct launch *launch, struct tt_error *err)
{
    struct tt_error *unwanted = launch->unwanted;
    if (unwanted && err && err->kind != TT_LOST) { /* it did not start, or was ended */
        tt_error_free(err);
        err = unwanted;
        launch->unwanted = NULL;
    }
    tt_op_finish(&launch->base.op, err);
}

static void on_killed(struct tt_op *op, struct tt_op *killed)
{
    struct launch *launch = launch_of(op);
    if (killed->error && killed->error->kind != TT_NOT_FOUND)
        finish(launch, tt_error_new(TT_LOST, "%s: cancelled while it started; it may still run: %s",
                                    launch->env->text, killed->error->message));
    else
        finish(launch, tt_error_new(TT_CANCELLED, "cancelled while it started"));
}

static void on_launched(void *arg, struct tt_error *err)
{
    struct launch *launch = arg;
    struct tx_exec *exec = launch->exec;
    bool shell_missing = err && err->kind == TT_NOT_FOUND && strstr(err->message, "/bin/sh");
    if (!err && launch->unwanted) {
        tt_then(&launch->chain, &launch->base.op,
                exec->p.class_->signal(&exec->p, launch->own, SIGKILL), on_killed);
        return;
    }
    if (!err) {
        launch->base.process = &exec->p;
        launch->exec = NULL;
        finish(launch, NULL);
        return;
    }
    launch->exec = NULL;
    tx_exec_discard(exec);
    if (shell_missing && !launch->command.shell && !launch->unwanted) {
        *launch->no_shell = true;
        launch->starting = false;
        tt_error_free(err);
        create(launch);
        return;
    }
    if (shell_missing) {
        tt_error_free(err);
        err = tt_error_new(TT_NOT_FOUND, "the image has no /bin/sh; give the command as words");
    }
    finish(launch, err);
}

static void on_started(struct tt_op *op, struct tt_op *started)
{
    struct launch *launch = launch_of(op);
    if (started->error) { /* it may have been started */
        finish(launch, tt_error_copy(started->error));
        return;
    }
    struct tx_stream *stream = tx_stream_of(started);
    int status = tx_stream_status(stream);
    const struct tt_buf *body = tx_stream_body(stream);
    struct tt_error *err = tx_api_refusal(status == 101 ? 200 : status, body->data, body->length);
    if (err) {
        if (status == 409)
            err->kind = TT_CONNECT;
        tx_stream_free(stream);
        finish(launch, err);
        return;
    }
    launch->exec =
        tx_exec_new(launch->env, launch->docker, launch->container, launch->id, stream,
                    &launch->command, launch->direct ? NULL : launch->nonce, launch->since);
    struct tx_exec *exec = launch->exec;
    if (!launch->command.stdin_open)
        tx_stream_shutdown(stream, NULL);
    if (launch->direct) { /* whether it runs is only known when it ends or says something */
        tx_exec_go(exec);
        on_launched(launch, NULL);
        return;
    }
    exec->launched = on_launched;
    exec->launched_arg = launch;
    tx_exec_go(exec);
}

static void on_created(struct tt_op *op, struct tt_op *created)
{
    struct launch *launch = launch_of(op);
    if (created->error) {
        struct tt_error *err = tx_docker_create_error(created);
        tt_fail(&err, err->kind, "%s", launch->env->text);
        finish(launch, err);
        return;
    }
    free(launch->id);
    launch->id = tt_strdup(tx_json_text(tx_api_json(created), "Id"));
    launch->since = tx_docker_date(tx_api_date(created));
    launch->starting = true;
    tt_then(&launch->chain, op,
            tx_docker_exec_start(launch->docker, launch->own, launch->id, launch->command.pty),
            on_started);
}

static json_t *exec_config(struct launch *launch, struct tt_error **err)
{
    const struct tt_command *command = &launch->command;
    json_t *argv = NULL, *vars = NULL;
    if (launch->direct)
        tx_shim_none(command, &argv, &vars, err);
    else
        argv = tx_shim_container(command, launch->nonce, &vars);
    if (!argv)
        return NULL;
    json_t *config =
        json_pack("{s:o, s:o, s:b, s:b, s:b, s:b}", "Cmd", argv, "Env", vars, "AttachStdin",
                  command->stdin_open, "AttachStdout", 1, "AttachStderr", 1, "Tty", command->pty);
    if (command->cwd && !tx_shim_enters(command))
        json_object_set_new(config, "WorkingDir", json_string(command->cwd));
    if (command->user)
        json_object_set_new(config, "User", json_string(command->user));
    return config;
}

static void create(struct launch *launch)
{
    struct tt_error *err = NULL;
    launch->direct = *launch->no_shell && !launch->command.shell;
    json_t *config = exec_config(launch, &err);
    if (config)
        tt_then(
            &launch->chain, &launch->base.op,
            tx_docker_exec_create(launch->docker, launch->base.op.scope, launch->container, config),
            on_created);
    else
        finish(launch, err);
}

struct tt_op *tx_docker_exec(struct tt_env *env, struct tt_scope *scope,
                             const struct tx_docker_place *place, const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"start", launch_cancel, launch_free};
    struct launch *launch = tt_zalloc(sizeof *launch);
    launch->env = env;
    tt_env_retain(env);
    launch->docker = place->docker;
    tx_docker_retain(place->docker);
    launch->container = tt_strdup(place->container);
    launch->no_shell = place->no_shell;
    tt_command_copy(&launch->command, command);
    launch->own = tt_scope_new(tt_scope_loop(scope), NULL);
    tt_op_init(&launch->base.op, &class_, scope);
    if (tt_op_finished(&launch->base.op))
        return &launch->base.op;
    struct tt_error *err = NULL;
    if (tx_shim_nonce(launch->nonce, &err) < 0)
        tt_op_finish(&launch->base.op, err);
    else
        create(launch);
    return &launch->base.op;
}
