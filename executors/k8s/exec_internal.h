/* What exec.c (the process) and launch.c (its start) share. */
#ifndef TX_K8S_EXEC_INTERNAL_H
#define TX_K8S_EXEC_INTERNAL_H

#include "executors/http/ws.h"
#include "executors/k8s/exec.h"
#include "executors/remote/held.h"
#include "executors/remote/shim.h"

struct pod_write;

struct tx_pod_process {
    struct tt_process p;
    struct tt_loop *loop;
    struct tx_kube *kube; /* held */
    char *name_space, *name, *container;
    struct tt_scope *own;
    struct tt_command command;
    bool direct; /* without a shim */

    struct tx_stream *stream;
    struct tx_ws *ws;
    struct tt_op *pump, *flush; /* the read and the write under way */
    struct tt_buf status;       /* of the error channel */
    struct tx_held held;
    struct tx_reports reports;
    bool coded, closed_in, we_kill; /* coded: X was reported */
    int64_t group;
    struct pod_write *writing;
    struct tt_op *asking; /* what became of the pod */
    struct tx_end end;
    struct tt_job discard;
    bool header_sent;
    int code;                 /* of the pod's container */
    bool listed;              /* the pod was in the list that is being looked through */
    void (*freed)(void *arg); /* when it goes; NULL: nothing is to be done */
    void *freed_arg;

    /* Called once it is known whether it started; NULL err: it runs. */
    void (*launched)(void *arg, struct tt_error *err);
    void *launched_arg;
};

/* Takes stream and *command. nonce NULL: without a shim. */
int tx_pod_process_new(struct tx_pod_process **process, struct tt_env *env,
                       const struct tx_pod *pod, struct tx_stream *stream,
                       struct tt_command *command, const char *nonce, struct tt_error **err);
void tx_pod_process_go(struct tx_pod_process *process);
/* Frees it, later: it may be on the stack. */
void tx_pod_process_discard(struct tx_pod_process *process);

#endif
