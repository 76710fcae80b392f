/* Who we are in a cluster: the Authorization header and the client certificate of a tx_http, from a
 * kubeconfig's user. Tokens in files are read again after a minute, plugins run again when what
 * they gave has expired or was refused. */
#ifndef TX_K8S_LOGIN_H
#define TX_K8S_LOGIN_H

#include "executors/k8s/kubeconfig.h"

struct tx_login;

/* Borrows config, which outlives it. Changes *http when a plugin gives another certificate. */
struct tx_login *tx_login_new(struct tt_loop *loop, struct tx_kube_config *config,
                              struct tx_http **http);
void tx_login_free(struct tx_login *login);
/* Finishes once the credentials are as fresh as they can be. `refused`: the API did not accept the
 * last ones. */
struct tt_op *tx_login_ready(struct tx_login *login, struct tt_scope *scope, bool refused);
/* Whether asking again after a refusal can help. */
bool tx_login_renewable(const struct tx_login *login);

#endif
