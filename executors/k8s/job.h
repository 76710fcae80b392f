/* Kubernetes Jobs as an environment: `k8s-job://IMAGE?context=…`, tutti.k8s{ job = { image = … } }.
 *
 * Each command is a Job of its own, with one pod that is tried once: made, watched until it runs,
 * attached to, its end observed, deleted. The pod runs the shim (executors/remote/shim_pod.h), so
 * that the command, its environment and its input go through the connection and not through the
 * API's objects, and the streams stay apart. There are no files: nothing outlives a command. */
#ifndef TX_K8S_JOB_H
#define TX_K8S_JOB_H

#include "core/env/exec.h"
#include "executors/k8s/api.h"

struct tx_k8s_job_options {
    struct tx_kube_where where;
    const char *name_space; /* NULL: the context's own */
    const char *image;
    const char *service_account;
    const char *cpu, *memory; /* requests and limits as Kubernetes writes them: "500m", "1Gi" */
    const char *pull;         /* "missing", "always", "never"; NULL: the cluster's rule */
    /* JSON, borrowed; NULL: none */
    const json_t *vars;   /* {"NAME": "value"} */
    const json_t *labels; /* {"name": "value"} */
    const json_t *pod;    /* more members of the pod's spec */
};

int tx_k8s_job_env_new(struct tt_env **env, struct tt_loop *loop,
                       const struct tx_k8s_job_options *options, struct tt_error **err);

#endif
