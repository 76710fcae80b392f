/* Kubernetes in Lua: the environments (k8s.c); what else a cluster does is client.c's. */
#ifndef LT_K8S_H
#define LT_K8S_H

#include "executors/k8s/api.h"
#include "lua/env/env.h"

extern const struct lt_env_constructor lt_k8s;

/* Reads context and kubeconfig; the strings are borrowed from the table. */
void lt_k8s_where(const struct lt_options *o, struct tx_kube_where *where);

#endif
