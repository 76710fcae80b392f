/* The guardian of a connection: a shell on the far side that knows which process groups run there
 * for us, and kills them when its stdin ends, which is when the connection ends, however that came.
 * It also delivers our signals, without another channel. One for each user that commands become.
 * Loop thread. */
#ifndef TX_SSH_GUARD_H
#define TX_SSH_GUARD_H

#include "core/env/exec.h"
#include "executors/ssh/host/host.h"

struct tx_guard;

/* The guardian of that user on the connection, started when there is none. user and password NULL:
 * the login's own. The link owns it: not to be kept beyond a job. */
struct tx_guard *tx_guard_of(struct tx_link *link, const char *user, const char *password);
/* The one that exists, or NULL. */
struct tx_guard *tx_guard_find(struct tx_link *link, const char *user);
/* False when it could not be started: then nothing is watched or delivered. */
bool tx_guard_works(const struct tx_guard *guard);

void tx_guard_add(struct tx_guard *guard, int64_t group);
void tx_guard_remove(struct tx_guard *guard, int64_t group);
/* Delivers a signal (0: only looks); not_found when no living process of the group is left;
 * unsupported when the guardian does not work; lost when the connection ends first. */
struct tt_op *tx_guard_signal(struct tx_guard *guard, struct tt_scope *scope, int64_t group,
                              int signal);

#endif
