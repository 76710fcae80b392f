/* A process of this machine as a struct tt_process: its streams, its group, its end. */
#ifndef TX_LOCAL_PROCESS_H
#define TX_LOCAL_PROCESS_H

#include "executors/local/spawn.h"
#include "executors/local/watch.h"

/* Our ends of its streams, each -1 where there is none. With a terminal, `in` and `out` are two
 * descriptors of it. */
struct tx_stdio {
    int in, out, err;
    bool terminal;
};

/* Takes what was spawned and the descriptors, also on failure (the process is killed then). */
int tx_process_new(struct tt_process **out, struct tt_env *env, struct tx_watcher *watcher,
                   const struct tx_spawned *spawned, const struct tx_stdio *stdio,
                   struct tt_error **err);
/* A process that we did not start, or an earlier life of ours did: without streams, and its end is
 * seen without its code. Takes pidfd. */
int tx_process_attach(struct tt_process **out, struct tt_env *env, struct tx_watcher *watcher,
                      pid_t pid, int pidfd, const char *ref, struct tt_error **err);

#endif
