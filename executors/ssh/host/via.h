/* Wires that are no sockets: a channel through another host, and a program's stdin and stdout. */
#ifndef TX_SSH_VIA_H
#define TX_SSH_VIA_H

#include "executors/ssh/host/host.h"
#include "executors/ssh/wire/wire.h"

/* Both finish with tx_wire_of; kind `connect`. */
struct tt_op *tx_wire_through(struct tt_scope *scope, struct tx_host *jump, const char *target,
                              int port);
/* `line` is a shell line of this machine, run in the scope `life`; it ends when the wire is freed.
 */
struct tt_op *tx_wire_program(struct tt_scope *scope, struct tt_env *here, const char *line,
                              struct tt_scope *life);

/* ProxyCommand's tokens %h %p %r %n %%. Refuses (`invalid`) names that a shell would take apart.
 * Allocated. */
int tx_proxy_expand(char **line, const char *command, const struct tx_ssh_settings *settings,
                    const char *name, struct tt_error **err);

#endif
