/* Kubernetes environments from their text. Pure but for what it makes. Loop thread.
 *
 *     k8s://NAMESPACE/POD/CONTAINER?context=NAME         the container may be missing
 *     k8s://NAMESPACE?deployment=NAME&container=NAME     or selector=LABELS
 *     POD, NAMESPACE/POD …                               without the scheme
 *     k8s-job://IMAGE?namespace=NAME&context=NAME
 *
 * Every one also takes kubeconfig=PATH; %XX in a value is a byte. */
#ifndef TX_K8S_TEXT_H
#define TX_K8S_TEXT_H

#include "core/env/exec.h"

/* As tt_env_scheme.from_text. */
int tx_k8s_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);
int tx_k8s_job_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                         struct tt_error **err);

#endif
