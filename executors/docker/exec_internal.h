/* What exec.c (the process) and launch.c (its start) share. */
#ifndef TX_DOCKER_EXEC_INTERNAL_H
#define TX_DOCKER_EXEC_INTERNAL_H

#include "executors/docker/events.h"
#include "executors/docker/exec.h"
#include "executors/docker/stream.h"
#include "executors/http/stream.h"
#include "executors/remote/held.h"
#include "executors/remote/shim.h"

struct tx_exec {
    struct tt_process p;
    struct tt_loop *loop;
    struct tx_docker *docker; /* held */
    struct tt_job discard;
    struct tt_scope *own; /* of what goes on by itself: pumping, inspecting */
    char *container;
    char *id;
    bool pty, direct; /* direct: without a shim */

    struct tx_stream *stream;
    struct tt_op *pump; /* the read under way */
    struct tx_docker_frames frames;
    struct tx_held held;

    struct tx_reports reports;
    int64_t group;

    struct tx_docker_watch watch;
    int64_t since;
    struct tt_op *inspect;
    struct tt_timer settle; /* an end by KILL waits for the container's own end */
    int settle_code;
    int rejoined;
    bool killed, we_kill;
    struct tx_end end;

    /* Called once it is known whether it started; NULL err: it runs. */
    void (*launched)(void *arg, struct tt_error *err);
    void *launched_arg;
};

/* An exec whose stream was opened. Takes stream; holds what it needs. */
struct tx_exec *tx_exec_new(struct tt_env *env, struct tx_docker *docker, const char *container,
                            const char *id, struct tx_stream *stream,
                            const struct tt_command *command, const char *nonce, int64_t since);
/* Begins to read the stream and to watch for the end. */
void tx_exec_go(struct tx_exec *exec);
/* Frees it, later: it may be on the stack. */
void tx_exec_discard(struct tx_exec *exec);

/* kill.c: a signal to its process group; and: finishes once the group is empty. */
struct tt_op *tx_exec_kill(struct tx_exec *exec, struct tt_scope *scope, int number);
struct tt_op *tx_exec_gone(struct tx_exec *exec, struct tt_scope *scope);

#endif
