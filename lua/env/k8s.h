/* Kubernetes in Lua: the environments (lk8s.c) and what else a cluster does (lk8s_ops.c). */
#ifndef LT_LK8S_H
#define LT_LK8S_H

#include "executors/k8s/api.h"
#include "lua/env/env.h"

extern const struct lt_env_scheme lt_k8s_scheme, lt_k8s_job_scheme;

/* Reads context and kubeconfig; the strings are borrowed from the table. */
void lt_k8s_where(const struct lt_options *o, struct tx_kube_where *where);
/* Lets credential plugins run on this machine; before the first environment is made. */
void lt_k8s_prepare(lua_State *L);

#endif
