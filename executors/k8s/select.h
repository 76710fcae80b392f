/* Which pod is meant: the oldest ready one that a selector matches. */
#ifndef TX_K8S_SELECT_H
#define TX_K8S_SELECT_H

#include "executors/k8s/api.h"

/* Finishes with the name of the pod. No match: `not_found`; matches of which none is ready:
 * `connect`. Either a deployment's name or a label selector. */
struct tt_op *tx_k8s_select(struct tx_kube *kube, struct tt_scope *scope, const char *name_space,
                            const char *deployment, const char *selector);
const char *tx_k8s_selected(struct tt_op *op); /* borrowed; NULL on error */

/* Pure parts. A label selector as text, from a LabelSelector object; allocated. */
char *tx_k8s_selector_text(const json_t *selector);
bool tx_k8s_pod_is_ready(const json_t *pod);

#endif
