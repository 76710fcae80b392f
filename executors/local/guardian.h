/* The guardian: when this process dies, however it dies, the commands that it runs are killed.
 *
 * Running process groups stand in a table in shared memory. The guardian is a second, small process
 * in a session of its own (this same executable, started again under another name); it waits for
 * the end of a pipe whose other end only tutti holds, then kills the groups in the table. It
 * inherits no other descriptor and shares no memory but the table. It is started before the first
 * command, and again when somebody killed it. Loop thread, unless said otherwise. */
#ifndef TX_GUARDIAN_H
#define TX_GUARDIAN_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One command's place in the table, in shared memory: the child writes it before its exec. */
struct tx_slot {
    int32_t group;  /* process group; 0: none; negative: its leader was reaped, others may live */
    int32_t step;   /* what failed before the exec (spawn.c), or 0 */
    int32_t errnum; /* and why */
    uint32_t next_free;
};

/* *slot: a free place in the table, all zero. Starts the guardian unless it runs. */
int tx_guardian_take(struct tx_slot **slot, struct tt_error **err);
/* Frees the place: the group needs no guardian any more. Call it before the group's leader is
 * reaped, since the number may then be given to another process; or make slot->group negative
 * before, and call it later. */
void tx_guardian_release(struct tx_slot *slot);
/* SIGKILL to all listed groups. Async-signal-safe. */
void tx_guardian_kill_all(void);
/* Sends a signal to a group whose leader was reaped: 0, or -1 with errno ESRCH when the group is
 * gone. While any member of the group lives, no new process gets the group's number. So if a
 * process has that number, it is a stranger, and nothing is sent. Async-signal-safe. */
int tx_signal_orphaned_group(int group, int signal);
/* Whether pid is the leader of a group in the table. */
bool tx_guardian_knows(pid_t pid);
/* To be told of a child that somebody else has reaped: it may have been the guardian. */
void tx_guardian_reaped(pid_t pid);
/* Ends the guardian and forgets the table; for a clean exit. No command may be running. */
void tx_guardian_stop(void);

#endif
