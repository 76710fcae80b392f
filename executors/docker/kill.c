/* Signals to a command in a container. Docker has none for an exec: a second exec sends it to the
 * process group that the shim reported. Without a shell in the image, the daemon names the process
 * of this machine, which is signalled from here when the daemon runs here and the process is seen
 * to belong to that container. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/docker/exec_internal.h"
#include "executors/docker/once.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct killing {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker;
    int number;
    bool watching; /* for the group's end */
};

static struct killing *killing_of(struct tt_op *op)
{
    return (struct killing *)(void *)op;
}

static void killing_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct killing *killing = killing_of(op);
    if (killing->chain.waiting)
        tt_chain_cancel(&killing->chain, why);
    else
        tt_op_finish(op, tt_error_copy(why));
}

static void killing_free(struct tt_op *op)
{
    tx_docker_release(killing_of(op)->docker);
    free(op);
}

static struct killing *new_killing(struct tx_exec *exec, struct tt_scope *scope, int number)
{
    static const struct tt_op_class signal_class = {"a signal", killing_cancel, killing_free};
    static const struct tt_op_class gone_class = {"the end of a process group", killing_cancel,
                                                  killing_free};
    struct killing *killing = tt_zalloc(sizeof *killing);
    killing->docker = exec->docker;
    tx_docker_retain(exec->docker);
    killing->number = number;
    tt_op_init(&killing->op, number ? &signal_class : &gone_class, scope);
    return killing;
}

static void on_signalled(struct tt_op *op, struct tt_op *once)
{
    struct killing *killing = killing_of(op);
    bool done = !once->error && tx_docker_once_code(once) == 0;
    if (killing->watching) {
        bool over = once->error ? once->error->kind == TT_NOT_FOUND : !done;
        if (over)
            tt_op_finish(op, NULL);
        else if (op->cancelled)
            tt_op_finish(op, once->error ? tt_error_copy(once->error)
                                         : tt_error_new(TT_CANCELLED, "nobody waits any more"));
        return; /* the group lives, and nothing would tell of its end: until cancelled */
    }
    if (once->error)
        tt_op_finish(op, tt_error_copy(once->error));
    else
        tt_op_finish(op,
                     done ? NULL : tt_error_new(TT_NOT_FOUND, "no process of the command is left"));
}

static struct tt_op *send_inside(struct tx_exec *exec, struct killing *killing)
{
    char *line = tt_format("kill -%d -%lld", killing->number, (long long)exec->group);
    json_t *argv = json_pack("[s, s, s]", "/bin/sh", "-c", line);
    tt_then(&killing->chain, &killing->op,
            tx_docker_once(exec->docker, killing->op.scope, exec->container, argv), on_signalled);
    free(line);
    return &killing->op;
}

/* Whether that process of this machine belongs to the container. */
static bool is_of_container(long long pid, const char *container)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%lld/cgroup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0 || strlen(container) < 12)
        return false;
    text[got] = 0;
    return strstr(text, container) != NULL;
}

static void on_located(struct tt_op *op, struct tt_op *inspected)
{
    struct killing *killing = killing_of(op);
    if (inspected->error) {
        tt_op_finish(op, tt_error_copy(inspected->error));
        return;
    }
    const json_t *exec = tx_api_json(inspected);
    long long pid = json_integer_value(json_object_get(exec, "Pid"));
    if (!json_is_true(json_object_get(exec, "Running")) || pid <= 1) {
        tt_op_finish(op, tt_error_new(TT_NOT_FOUND, "no process of the command is left"));
    } else if (!tx_docker_is_local(killing->docker) ||
               !is_of_container(pid, tx_json_text(exec, "ContainerID"))) {
        tt_op_finish(op,
                     tt_error_new(TT_UNSUPPORTED, "the image has no /bin/sh to send a signal "
                                                  "with, and the daemon is not on this machine"));
    } else if (TT_FAULT("docker_kill.kill") || kill((pid_t)-pid, killing->number) < 0) {
        int errnum = errno;
        struct tt_error *err = NULL;
        if (errnum == ESRCH)
            err = tt_error_new(TT_NOT_FOUND, "no process of the command is left");
        else
            tt_fail_errno(&err, errnum, "signal to the container's process %lld", pid);
        tt_op_finish(op, err);
    } else {
        tt_op_finish(op, NULL);
    }
}

struct tt_op *tx_exec_kill(struct tx_exec *exec, struct tt_scope *scope, int number)
{
    struct killing *killing = new_killing(exec, scope, number);
    if (tt_op_finished(&killing->op))
        return &killing->op;
    if (exec->group)
        return send_inside(exec, killing);
    tt_then(&killing->chain, &killing->op, tx_docker_exec_inspect(exec->docker, scope, exec->id),
            on_located);
    return &killing->op;
}

struct tt_op *tx_exec_gone(struct tx_exec *exec, struct tt_scope *scope)
{
    struct killing *killing = new_killing(exec, scope, 0);
    killing->watching = true;
    if (tt_op_finished(&killing->op))
        return &killing->op;
    return send_inside(exec, killing);
}
