#include "executors/local/guardian.h"

#include "core/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { slot_count = 16384, magic = 0x74756771, pipe_fd = 3, table_fd = 4, high_fd = 10 };

struct table {
    uint32_t magic;
    uint32_t used;       /* slots beyond were never taken */
    uint32_t first_free; /* index + 1 of a list through next_free */
    struct tx_slot slots[slot_count];
};

static const char name[] = "tutti-guardian";

static struct table *table; /* NULL until the first command */
static int memory = -1;     /* its descriptor */
static pid_t guardian;      /* 0: none runs */
static int life = -1;       /* the pipe's end that only this process holds */

int tx_signal_orphaned_group(int group, int signal)
{
    if (kill(group, 0) == 0 || errno != ESRCH) {
        errno = ESRCH;
        return -1;
    }
    return kill(-group, signal);
}

static void kill_listed(const struct table *listed)
{
    uint32_t used = __atomic_load_n(&listed->used, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < used && i < slot_count; i++) {
        int32_t group = __atomic_load_n(&listed->slots[i].group, __ATOMIC_ACQUIRE);
        if (group > 0)
            kill(-group, SIGKILL);
        else if (group < 0)
            tx_signal_orphaned_group(-group, SIGKILL);
    }
}

/* --- in the guardian --- */

/* Runs before main in every program that links this file, and returns at once in all but the
 * guardian: so it works whatever main does, and for test programs too. */
__attribute__((constructor)) static void become_guardian(int argc, char **argv)
{
    if (argc != 1 || strcmp(argv[0], name) != 0)
        return;
    const struct table *listed = mmap(NULL, sizeof *listed, PROT_READ, MAP_SHARED, table_fd, 0);
    if (listed == MAP_FAILED || listed->magic != magic)
        return;
    prctl(PR_SET_NAME, name);
    char byte;
    while (read(pipe_fd, &byte, 1) < 0 && errno == EINTR)
        continue;
    kill_listed(listed);
    _exit(0);
}

/* --- here --- */

static int make_table(struct tt_error **err)
{
    memory = TT_FAULT("guardian.memfd") ? -1 : memfd_create(name, MFD_CLOEXEC);
    if (memory < 0)
        return tt_fail_errno(err, errno, "no shared memory for the guardian");
    void *at = MAP_FAILED;
    if (!TT_FAULT("guardian.map") && ftruncate(memory, sizeof *table) == 0)
        at = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (at == MAP_FAILED) {
        int errnum = errno;
        close(memory);
        return tt_fail_errno(err, errnum, "no shared memory for the guardian");
    }
    table = at;
    table->magic = magic;
    return 0;
}

/* Both are descriptors above those that the guardian has them under. */
static int spawn_guardian(int pipe_end, int shared)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all;
    char *argv[] = {(char[]){"tutti-guardian"}, NULL};
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_end, pipe_fd);
    posix_spawn_file_actions_adddup2(&actions, shared, table_fd);
    posix_spawn_file_actions_addclosefrom_np(&actions, table_fd + 1);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &all);
    int rc = TT_FAULT("guardian.spawn")
                 ? EIO
                 : posix_spawn(&guardian, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int start(struct tt_error **err)
{
    int ends[2];
    guardian = 0;
    close_fd(&life);
    if (TT_FAULT("guardian.pipe") || pipe2(ends, O_CLOEXEC) < 0)
        return tt_fail_errno(err, errno, "no pipe for the guardian");
    int high_end = fcntl(ends[0], F_DUPFD_CLOEXEC, high_fd);
    int high_memory = fcntl(memory, F_DUPFD_CLOEXEC, high_fd);
    int errnum = high_end < 0 || high_memory < 0 ? errno : spawn_guardian(high_end, high_memory);
    close_fd(&ends[0]);
    close_fd(&high_end);
    close_fd(&high_memory);
    if (errnum) {
        close_fd(&ends[1]);
        guardian = 0;
        return tt_fail_errno(err, errnum, "the guardian does not start");
    }
    life = ends[1];
    return 0;
}

/* One that was killed itself is replaced: the table is still there. */
static int ensure(struct tt_error **err)
{
    if (!table && make_table(err) < 0)
        return -TT_IO;
    if (guardian && waitpid(guardian, NULL, WNOHANG) == 0)
        return 0;
    return start(err);
}

int tx_guardian_take(struct tx_slot **slot, struct tt_error **err)
{
    if (ensure(err) < 0)
        return -TT_IO;
    if (table->first_free) {
        *slot = &table->slots[table->first_free - 1];
        table->first_free = (*slot)->next_free;
    } else if (table->used < slot_count) {
        *slot = &table->slots[table->used];
        __atomic_store_n(&table->used, table->used + 1, __ATOMIC_RELEASE);
    } else {
        return tt_fail(err, TT_IO, "more than %d commands at once", (int)slot_count);
    }
    **slot = (struct tx_slot){0};
    return 0;
}

void tx_guardian_release(struct tx_slot *slot)
{
    __atomic_store_n(&slot->group, 0, __ATOMIC_RELEASE);
    slot->next_free = table->first_free;
    table->first_free = (uint32_t)(slot - table->slots) + 1;
}

void tx_guardian_kill_all(void)
{
    int errnum = errno;
    if (table)
        kill_listed(table);
    errno = errnum;
}

void tx_guardian_stop(void)
{
    if (!table)
        return;
    close_fd(&life);
    while (guardian && waitpid(guardian, NULL, 0) < 0 && errno == EINTR)
        continue;
    guardian = 0;
    munmap(table, sizeof *table);
    table = NULL;
    close_fd(&memory);
}

bool tx_guardian_knows(pid_t pid)
{
    for (uint32_t i = 0; table && i < table->used; i++)
        if (table->slots[i].group == pid)
            return true;
    return false;
}

void tx_guardian_reaped(pid_t pid)
{
    if (pid == guardian)
        guardian = 0;
}
