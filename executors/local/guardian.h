/* No orphans: when this process dies, however it dies, the commands that it runs are killed.
 *
 * Running process groups stand in a table in shared memory. The guardian is a second, small process
 * in a session of its own (this same executable, started again under another name); it waits for
 * the end of a pipe that only we hold, then kills the groups that the table lists. It has no other
 * descriptor of ours and shares no memory but the table. It starts with the first command, and
 * again when somebody killed it. */
#ifndef TX_GUARDIAN_H
#define TX_GUARDIAN_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One command's place in the table, in shared memory: the child writes it before its exec. */
struct tx_slot {
    int32_t group;  /* the group; 0: none; negative: its leader was reaped, others may live */
    int32_t step;   /* what failed before the exec (spawn.c), or 0 */
    int32_t errnum; /* and why */
    uint32_t next_free;
};

/* A slot with all zero, the guardian running. */
int tx_guardian_take(struct tx_slot **slot, struct tt_error **err);
/* The group no longer needs watching. To be called before its leader is reaped, because the
 * number is then given to others; or mark it (`group` negative) and call this later. */
void tx_guardian_release(struct tx_slot *slot);
/* SIGKILL to all listed groups. Async-signal-safe. */
void tx_guardian_kill_all(void);
/* Sends a signal to a group whose leader was reaped: 0, or -1 with errno ESRCH when the group is
 * gone. While any member lives its number is not given to a new process, so a process of that
 * number is a stranger and its group is spared. Async-signal-safe. */
int tx_signal_orphaned_group(int group, int signal);
/* Is it a child that stands in the table? */
bool tx_guardian_knows(pid_t pid);
/* Somebody else reaped that child, which may have been the guardian. */
void tx_guardian_reaped(pid_t pid);
/* Ends the guardian and forgets the table; for a clean exit. No command may be running. */
void tx_guardian_stop(void);

#endif
