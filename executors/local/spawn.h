/* Starting a process here, without copying this one.
 *
 * The child shares our memory until its exec (as after vfork), so what it needs is prepared before.
 * In the child: its own process group (or session, with a terminal), its pid into the guardian's
 * slot, default signals, descriptors 0-2, user, directory, exec. A failing step is told through the
 * slot, so a bad directory is told from a bad command. The calling thread is suspended meanwhile.
 */
#ifndef TX_LOCAL_SPAWN_H
#define TX_LOCAL_SPAWN_H

#include "core/env/exec.h"
#include "executors/local/guardian.h"
#include "executors/local/user.h"

struct tx_spawned {
    pid_t pid;
    int pidfd;
    struct tx_slot *slot; /* group set; to be released */
    int64_t born_ms;      /* CLOCK_BOOTTIME just before the start, rounded down */
};

/* Starts the command with stdio as descriptors 0-2 (above 2 and close-on-exec themselves; they stay
 * the caller's). `terminal`: stdio[1] is a terminal to control the command's new session. user may
 * be NULL. Errors: not_found, permission, cwd, invalid (arguments too long), io. */
int tx_spawn(struct tx_spawned *out, const struct tt_command *command, const struct tx_user *user,
             const int stdio[3], bool terminal, struct tt_error **err);

/* When that process was born (CLOCK_BOOTTIME ms, in steps of 10), or -1 when there is none. */
int64_t tx_born_ms(pid_t pid);

#endif
