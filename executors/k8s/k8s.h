/* Kubernetes pods as environments: `k8s://ns/pod/container?context=NAME`, or what a deployment or a
 * label selector names: one ready pod, the oldest, chosen by `resolve` (a command on an environment
 * that was not resolved chooses for itself). Every call goes to the named context's cluster. */
#ifndef TX_K8S_H
#define TX_K8S_H

#include "core/env/exec.h"
#include "executors/k8s/api.h"

/* One of pod, deployment and selector. All copied. */
struct tx_k8s_options {
    struct tx_kube_where where;
    const char *name_space; /* NULL: the context's own */
    const char *pod, *deployment, *selector;
    const char *container; /* NULL: the pod's only one */
};

int tx_k8s_env_new(struct tt_env **env, struct tt_loop *loop, const struct tx_k8s_options *options,
                   struct tt_error **err);
struct tx_kube *tx_k8s_env_cluster(const struct tt_env *env); /* borrowed */

#endif
