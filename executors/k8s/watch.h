/* Waiting for something in a cluster: a list, then its changes as the API tells of them. */
#ifndef TX_K8S_WATCH_H
#define TX_K8S_WATCH_H

#include "executors/k8s/api.h"

/* Looks at an object as it is now. 1: that was it; 0: go on; negative: it will never be, with *err
 * set. object is NULL once after each list, when nothing in it was it. type is "LIST", "ADDED",
 * "MODIFIED" or "DELETED". */
typedef int tx_k8s_look(void *arg, const char *type, const json_t *object, struct tt_error **err);

/* path is a collection's, its query too (with a selector, say). Connections that break are made
 * anew, for a minute; then it is `lost`. */
struct tt_op *tx_k8s_watch(struct tx_kube *kube, struct tt_scope *scope, const char *path,
                           tx_k8s_look *look, void *arg);

#endif
