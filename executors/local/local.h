/* This machine as an environment: "local:".
 *
 * Commands inherit this process's environment and directory, and are children of it in a process
 * group each. `user` needs root, and no password then; without root only one's own name is
 * accepted, others are refused (permission). With `pty`, stdin that is not asked for is /dev/null.
 * A reference is `local:PID:BORN`; after attaching, only waiting and signalling work. */
#ifndef TX_LOCAL_H
#define TX_LOCAL_H

#include "core/env/exec.h"

/* Once per loop. Also makes sure of what spawning needs from the process: descriptors 0-2 are open,
 * SIGPIPE is ignored, SIGCHLD is not. As process 1 of a container it reaps orphans. NULL on
 * failure. */
struct tt_env *tx_local_new(struct tt_loop *loop, struct tt_error **err);
/* As tt_env_scheme.from_text: the same environment for all texts of a loop. */
int tx_local_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                       struct tt_error **err);

#endif
