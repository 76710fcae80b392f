/* A Kubernetes cluster, as one user of it: calls of its API, with credentials kept fresh. Loop
 * thread.
 */
#ifndef TX_K8S_API_H
#define TX_K8S_API_H

#include "executors/http/api.h"
#include "executors/http/stream.h"
#include "executors/k8s/kubeconfig.h"

struct tx_kube;

/* The loop's object for that context of those kubeconfig files: the same one while somebody holds
 * it. Contacts nothing. */
int tx_kube_open(struct tx_kube **kube, struct tt_loop *loop, const struct tx_kube_where *where,
                 struct tt_error **err);
void tx_kube_retain(struct tx_kube *kube);
void tx_kube_release(struct tx_kube *kube);
struct tt_loop *tx_kube_loop(const struct tx_kube *kube);
/* Names the cluster by kubeconfig files, context and URL: the same in every process, no secret. */
const char *tx_kube_identity(const struct tx_kube *kube);
const char *tx_kube_context(const struct tx_kube *kube);   /* "" inside a cluster */
const char *tx_kube_namespace(const struct tx_kube *kube); /* the context's own */
/* Whether an exec can close stdin and keep its output: true once the API has chosen
 * v5.channel.k8s.io. */
bool tx_kube_half_closes(const struct tx_kube *kube);

/* As tx_api_call, with credentials. Expired ones are renewed before the call; when the API answers
 * 401, they are renewed and the call is made once more. Read its result with tx_kube_json and
 * tx_kube_status. */
struct tt_op *tx_kube_call(struct tx_kube *kube, struct tt_scope *scope, const char *method,
                           const char *path, json_t *body, const char *content_type);
const json_t *tx_kube_json(struct tt_op *op); /* borrowed */
int tx_kube_status(struct tt_op *op);

/* Begins an exchange whose reply the caller reads as a stream. Finishes once the status is known to
 * be 200, or with the error that another stands for. */
struct tt_op *tx_kube_open_exchange(struct tx_kube *kube, struct tt_scope *scope, const char *path);
struct tx_exchange *tx_kube_exchange_of(struct tt_op *op); /* takes it; NULL on error */

/* Opens a WebSocket with one of the sub-protocols ("v5.channel.k8s.io, v4.channel.k8s.io").
 * Finishes with its stream once the API answered 101, or with the error that another status stands
 * for. Kind `unsupported` when the API chooses none of them. */
struct tt_op *tx_kube_open_socket(struct tx_kube *kube, struct tt_scope *scope, const char *path,
                                  const char *protocols);
struct tx_stream *tx_kube_socket_of(struct tt_op *op); /* takes it; NULL on error */

/* Kind `invalid` when `name` cannot name an object of Kubernetes; `what` ("pod") is for the
 * message. */
int tx_kube_check_name(const char *what, const char *name, struct tt_error **err);

#endif
