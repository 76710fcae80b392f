/* A Kubernetes cluster as somebody: its API, with credentials kept fresh. */
#ifndef TX_K8S_API_H
#define TX_K8S_API_H

#include "executors/http/api.h"
#include "executors/http/stream.h"
#include "executors/k8s/kubeconfig.h"

struct tx_kube;

/* The cluster's shared connection: the same object for the same context of the same files while
 * somebody holds it. Nothing is contacted yet. */
int tx_kube_open(struct tx_kube **kube, struct tt_loop *loop, const struct tx_kube_where *where,
                 struct tt_error **err);
void tx_kube_retain(struct tx_kube *kube);
void tx_kube_release(struct tx_kube *kube);
struct tt_loop *tx_kube_loop(const struct tx_kube *kube);
/* Its kubeconfig files, context and URL: the same in every process, and no secret. */
const char *tx_kube_identity(const struct tx_kube *kube);
const char *tx_kube_context(const struct tx_kube *kube);   /* "" inside a cluster */
const char *tx_kube_namespace(const struct tx_kube *kube); /* the context's own */
/* Whether an exec can close stdin alone: the API was seen to speak v5.channel.k8s.io. */
bool tx_kube_half_closes(const struct tx_kube *kube);

/* As tx_api_call, with credentials: expired ones are renewed first, and once more when the API
 * answers 401. The results are read with tx_kube_json and so on. */
struct tt_op *tx_kube_call(struct tx_kube *kube, struct tt_scope *scope, const char *method,
                           const char *path, json_t *body, const char *content_type);
const json_t *tx_kube_json(struct tt_op *op); /* borrowed */
int tx_kube_status(struct tt_op *op);

/* An exchange whose reply streams: its head is known and its status 200, else it is the error. */
struct tt_op *tx_kube_open_exchange(struct tx_kube *kube, struct tt_scope *scope, const char *path);
struct tx_exchange *tx_kube_exchange_of(struct tt_op *op); /* takes it; NULL on error */

/* A WebSocket of one of those sub-protocols ("v5.channel.k8s.io, v4.channel.k8s.io"): its stream
 * after the handshake, whose status was 101, else it is the error. An API that chooses none of them
 * is `unsupported`. */
struct tt_op *tx_kube_open_socket(struct tx_kube *kube, struct tt_scope *scope, const char *path,
                                  const char *protocols);
struct tx_stream *tx_kube_socket_of(struct tt_op *op); /* takes it; NULL on error */

/* `invalid` unless it can name a namespace, a pod, a container or such. */
int tx_kube_check_name(const char *what, const char *name, struct tt_error **err);

#endif
