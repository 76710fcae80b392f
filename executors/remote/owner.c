#include "executors/remote/owner.h"

#include "core/base/alloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line of a file of the kernel's; "" when it cannot be read. */
static void read_first(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0)
        close(fd);
    to[got > 0 ? got : 0] = 0;
    to[strcspn(to, "\n")] = 0;
}

/* When a process started, in ticks since boot; "" when there is none. */
static void started_at(long pid, char *to, size_t size)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_first(path, stat, sizeof stat);
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    snprintf(to, size, "%.*s", at ? (int)strcspn(at, " ") : 0, at ? at : "");
}

static void boot_id(char *to, size_t size)
{
    read_first("/proc/sys/kernel/random/boot_id", to, size);
}

char *tx_owner_here(void)
{
    char boot[64], start[32];
    boot_id(boot, sizeof boot);
    started_at(getpid(), start, sizeof start);
    return tt_format("%s/%ld/%s", boot, (long)getpid(), start);
}

bool tx_owner_is_dead(const char *owner)
{
    char boot[64], start[32];
    size_t length = strcspn(owner, "/");
    boot_id(boot, sizeof boot);
    if (!*boot || owner[length] != '/')
        return false;
    char *end;
    long pid = strtol(owner + length + 1, &end, 10);
    if (*end != '/' || pid <= 0)
        return false;
    if (strlen(boot) != length || strncmp(boot, owner, length) != 0)
        return false; /* another machine's, or of before a restart: a container in that case ended
                       */
    started_at(pid, start, sizeof start);
    return strcmp(start, end + 1) != 0;
}
