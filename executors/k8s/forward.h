/* A port of a pod as a port of this machine: each connection to it is one to the pod, through the
 * API (a WebSocket with the sub-protocol portforward.k8s.io). */
#ifndef TX_K8S_FORWARD_H
#define TX_K8S_FORWARD_H

#include "executors/k8s/api.h"

struct tx_forward;

/* Listens on 127.0.0.1; local_port 0: a free one. */
int tx_forward_new(struct tx_forward **forward, struct tx_kube *kube, const char *name_space,
                   const char *pod, int pod_port, int local_port, struct tt_error **err);
int tx_forward_port(const struct tx_forward *forward);
/* Why the last connection failed, or NULL. Borrowed. */
const struct tt_error *tx_forward_trouble(const struct tx_forward *forward);
/* Closes it and its connections. */
void tx_forward_free(struct tx_forward *forward);

#endif
