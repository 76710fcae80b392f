/* What a tar archive holds is the same to all who read it: the first entry's content is as long as
 * the list says, and unpacking stays below the folder that it was given. */
#include "core/base/buf.h"
#include "executors/remote/tar.h"

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct first {
    size_t entries;
    char type;
    int64_t size;
};

static void tell(void *arg, const struct tx_tar_entry *entry, int64_t mtime, unsigned uid,
                 unsigned gid)
{
    struct first *first = arg;
    (void)mtime, (void)uid, (void)gid;
    if (!entry->path || (entry->type == 'l' && !entry->target))
        abort();
    if (first->entries++ == 0) {
        first->type = entry->type;
        first->size = entry->size;
    }
}

static int memory_file(const void *data, size_t size)
{
    int fd = memfd_create("tar", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        exit(2);
    return fd;
}

static int drop(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void unpack(int fd)
{
    char above[] = "/dev/shm/tutti-fuzz-XXXXXX";
    if (!mkdtemp(above))
        exit(2);
    char folder[64];
    struct stat info;
    snprintf(folder, sizeof folder, "%s/in", above);
    mkdir(folder, 0700);
    lseek(fd, 0, SEEK_SET);
    tx_tar_unpack(fd, folder, NULL, NULL);
    /* a folder has a link of its own, one from above and one from each folder in it */
    if (stat(above, &info) < 0 || info.st_nlink != 3 || rmdir(above) == 0)
        abort();
    if (lstat(folder, &info) < 0 || !S_ISDIR(info.st_mode) || (info.st_mode & 07777) != 0700)
        abort();
    chmod(folder, 0700);
    nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
    if (rmdir(above) < 0) /* something lies beside the folder */
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct first first = {0};
    int fd = memory_file(data, size), to = memory_file("", 0);
    int listed = tx_tar_list(fd, tell, &first, NULL);
    lseek(fd, 0, SEEK_SET);
    int extracted = tx_tar_extract(fd, to, NULL);
    struct stat info;
    fstat(to, &info);
    if (listed >= 0 && first.entries && first.type == 'f' && extracted >= 0 &&
        info.st_size != first.size)
        abort();
    if (extracted >= 0 && first.entries && first.type != 'f')
        abort();
    if (first.entries)
        unpack(fd);
    close(fd);
    close(to);
    return 0;
}
