/* One remote command on a channel: the shim's line and header, its reports, the streams, the end.
 * process.c makes the contract's process of it. Loop thread. */
#ifndef TX_SSH_LAUNCH_H
#define TX_SSH_LAUNCH_H

#include "core/env/exec.h"
#include "executors/ssh/host/host.h"

struct tx_launch;

/* Takes the lease. `changed` is called from jobs when anything below may have changed. NULL: the
 * command cannot be sent (err), the lease was ended. */
struct tx_launch *tx_launch_new(struct tx_host *host, struct tx_lease *lease,
                                const struct tt_command *command, void (*changed)(void *arg),
                                void *arg, struct tt_error **err);
/* Closes the channel; what runs goes on. */
void tx_launch_free(struct tx_launch *launch);
struct tx_link *tx_launch_link(const struct tx_launch *launch);
struct tx_lease *tx_launch_lease(const struct tx_launch *launch);

/* The server accepted to run the line. */
bool tx_launch_accepted(const struct tx_launch *launch);
/* The command's process group, once the shim reported it; else 0. */
int64_t tx_launch_group(const struct tx_launch *launch);
/* The group to signal while there is no command yet: the launcher's; 0: not known. */
int64_t tx_launch_launcher(const struct tx_launch *launch);
/* How it ended, or NULL while that is not known. Borrowed. */
const struct tt_exit *tx_launch_exit(const struct tx_launch *launch);
/* The channel is closed on both sides: nobody holds the command's streams any more. */
bool tx_launch_closed(const struct tx_launch *launch);

/* Gives 1..max bytes of a stream: their number; 0 at its end; -EAGAIN; -EPIPE when it broke. */
ssize_t tx_launch_read(struct tx_launch *launch, enum tt_stream stream, size_t max,
                       struct tt_bytes *bytes);
/* Bytes taken for stdin, -EAGAIN, or -EPIPE when the command cannot read any more. */
ssize_t tx_launch_write(struct tx_launch *launch, const void *data, size_t length);
/* Stdin ends after what was written. 0, -EAGAIN, -EPIPE. */
int tx_launch_close_stdin(struct tx_launch *launch);

#endif
