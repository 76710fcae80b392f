/* A command in a container of a pod: the API's exec over a WebSocket.
 *
 * The shim in the pod (executors/remote/shim_pod.h) reports the process group and the exit code,
 * and ends the command when the connection breaks. A signal goes to the group from a second exec.
 */
#ifndef TX_K8S_EXEC_H
#define TX_K8S_EXEC_H

#include "executors/k8s/api.h"

/* One container. The strings are borrowed. */
struct tx_pod {
    struct tx_kube *kube;
    const char *name_space, *name;
    const char *container; /* NULL: the pod's only one */
    const char *where;     /* what results name */
    bool *no_shell;        /* whether the image was found to have no /bin/sh; kept by the caller */
};

/* As tt_env_class.start. */
struct tt_op *tx_pod_exec(struct tt_env *env, struct tt_scope *scope, const struct tx_pod *pod,
                          const struct tt_command *command);

/* "/api/v1/namespaces/NS/pods/NAME" + suffix, allocated. */
char *tx_pod_path(const struct tx_pod *pod, const char *suffix);
/* The exec's path with its query; argv is NULL-terminated. */
char *tx_pod_exec_path(const struct tx_pod *pod, const char *const *argv, bool in, bool pty);
extern const char tx_pod_protocols[];

/* A small command of our own to its end, without a shim and stdin. An error when that was not
 * observed. */
struct tt_op *tx_pod_once(const struct tx_pod *pod, struct tt_scope *scope,
                          const char *const *argv);
int tx_pod_once_code(struct tt_op *op);

/* What the API says of an exec's end on its error channel. */
struct tx_pod_status {
    int code;               /* -1: there was no exit code, see error */
    struct tt_error *error; /* owned */
};
void tx_pod_status_read(struct tx_pod_status *status, const char *text, size_t length);

#endif
