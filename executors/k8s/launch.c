/* The start of a command in a pod: open the exec's WebSocket, wait for the shim's report. An image
 * without /bin/sh is found out by the runtime's refusal; a command given as words is then run
 * without a shim, which cannot enter a directory or set variables.
 *
 * A start that is cancelled lets go of the connection, which ends the shim and with it the command.
 */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/k8s/exec_internal.h"
#include "executors/remote/shim_pod.h"

#include <stdlib.h>
#include <string.h>

struct launch {
    struct tt_process_op base;
    struct tt_chain chain;
    struct tt_env *env; /* held */
    struct tx_pod pod;  /* with copies of its strings */
    struct tt_command command;
    char nonce[tx_nonce_size];
    bool direct;
    struct tx_pod_process *process;
};

static struct launch *launch_of(struct tt_op *op)
{
    return (struct launch *)(void *)op;
}

static void dial(struct launch *launch);

static void launch_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct launch *launch = launch_of(op);
    if (launch->chain.waiting) {
        tt_chain_cancel(&launch->chain, why);
        return;
    }
    struct tx_pod_process *process = launch->process;
    launch->process = NULL;
    if (process)
        tx_pod_process_discard(process);
    tt_op_finish(op, tt_error_copy(why));
}

static void launch_free(struct tt_op *op)
{
    struct launch *launch = launch_of(op);
    tt_command_clear(&launch->command);
    tx_kube_release(launch->pod.kube);
    free((char *)(uintptr_t)launch->pod.name_space);
    free((char *)(uintptr_t)launch->pod.name);
    free((char *)(uintptr_t)launch->pod.container);
    free((char *)(uintptr_t)launch->pod.where);
    tt_env_release(launch->env);
    tt_process_op_free(op);
}

static void on_launched(void *arg, struct tt_error *err)
{
    struct launch *launch = arg;
    struct tx_pod_process *process = launch->process;
    bool no_shell = err && err->kind == TT_NOT_FOUND && !launch->direct;
    launch->process = NULL;
    if (!err) {
        launch->base.process = &process->p;
        tt_op_finish(&launch->base.op, NULL);
        return;
    }
    launch->command = process->command;
    process->command = (struct tt_command){0};
    tx_pod_process_discard(process);
    if (no_shell && !launch->command.shell) {
        *launch->pod.no_shell = true;
        tt_error_free(err);
        dial(launch);
        return;
    }
    if (no_shell) {
        tt_error_free(err);
        err = tt_error_new(TT_NOT_FOUND, "the image has no /bin/sh; give the command as words");
    }
    tt_op_finish(&launch->base.op, err);
}

static void on_open(struct tt_op *op, struct tt_op *opened)
{
    struct launch *launch = launch_of(op);
    struct tt_error *err = tt_error_copy(opened->error);
    struct tx_stream *stream = tx_kube_socket_of(opened);
    if (err && (err->kind == TT_LOST || err->kind == TT_IO))
        err->kind = TT_CONNECT; /* the shim waits for its header: nothing ran */
    if (!err)
        tx_pod_process_new(&launch->process, launch->env, &launch->pod, stream, &launch->command,
                           launch->direct ? NULL : launch->nonce, &err);
    if (err) {
        tt_fail(&err, err->kind, "%s", launch->pod.where);
        tt_op_finish(op, err);
        return;
    }
    struct tx_pod_process *process = launch->process;
    if (launch->direct) { /* whether it runs is only known when it ends or says something */
        tx_pod_process_go(process);
        on_launched(launch, NULL);
        return;
    }
    process->launched = on_launched;
    process->launched_arg = launch;
    tx_pod_process_go(process);
}

static struct tt_error *direct_refusal(const struct launch *launch)
{
    const struct tt_command *command = &launch->command;
    if (command->cwd || command->var_count)
        return tt_error_new(TT_UNSUPPORTED,
                            "the image has no /bin/sh: cwd and environment need one");
    if (command->stdin_open && !tx_kube_half_closes(launch->pod.kube))
        return tt_error_new(TT_UNSUPPORTED,
                            "the image has no /bin/sh: stdin needs one, or a cluster that speaks "
                            "v5.channel.k8s.io");
    return NULL;
}

static void dial(struct launch *launch)
{
    launch->direct = *launch->pod.no_shell && !launch->command.shell;
    struct tt_error *err = launch->direct ? direct_refusal(launch) : NULL;
    if (err) {
        tt_op_finish(&launch->base.op, err);
        return;
    }
    char *line = launch->direct ? NULL : tx_shim_pod_line(launch->nonce, &launch->command, false);
    const char *const shim[] = {"/bin/sh", "-c", line, NULL};
    const char *const *argv = launch->direct ? (const char *const *)launch->command.argv : shim;
    bool in = !launch->direct || launch->command.stdin_open;
    char *path = tx_pod_exec_path(&launch->pod, argv, in, launch->command.pty);
    tt_then(&launch->chain, &launch->base.op,
            tx_kube_open_socket(launch->pod.kube, launch->base.op.scope, path, tx_pod_protocols),
            on_open);
    free(path);
    free(line);
}

struct tt_op *tx_pod_exec(struct tt_env *env, struct tt_scope *scope, const struct tx_pod *pod,
                          const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"start", launch_cancel, launch_free};
    struct launch *launch = tt_zalloc(sizeof *launch);
    launch->env = env;
    tt_env_retain(env);
    launch->pod = *pod;
    tx_kube_retain(pod->kube);
    launch->pod.name_space = tt_strdup(pod->name_space);
    launch->pod.name = tt_strdup(pod->name);
    launch->pod.container = pod->container ? tt_strdup(pod->container) : NULL;
    launch->pod.where = tt_strdup(pod->where);
    tt_command_copy(&launch->command, command);
    tt_op_init(&launch->base.op, &class_, scope);
    if (tt_op_finished(&launch->base.op))
        return &launch->base.op;
    struct tt_error *err = NULL;
    if (command->user)
        err = tt_error_new(TT_UNSUPPORTED, "%s: `user`: a pod's user is set where it is made",
                           pod->where);
    if (!err)
        tx_shim_nonce(launch->nonce, &err);
    if (err)
        tt_op_finish(&launch->base.op, err);
    else
        dial(launch);
    return &launch->base.op;
}
