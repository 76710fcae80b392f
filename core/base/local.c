#include "core/base/local.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int tt_read_whole(const char *path, size_t max, struct tt_buf *into, struct tt_error **err)
{
    int fd = TT_FAULT("local.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return tt_fail_errno(err, errno, "%s", path);
    int rc = 0;
    while (into->length <= max) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = tt_fail_errno(err, errno, "%s", path);
        if (n <= 0)
            break;
        tt_buf_add(into, chunk, (size_t)n);
    }
    close(fd);
    if (into->length > max)
        rc = tt_fail(err, TT_IO, "%s is larger than %zu bytes", path, max);
    return rc;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int tt_make_directories(const char *path, struct tt_error **err)
{
    if (!*path)
        return tt_fail_errno(err, ENOENT, "cannot make a directory without a name");
    char *part = tt_strdup(path);
    int rc = 0;
    for (char *at = part + 1; rc == 0; at++) {
        char c = *at;
        if (c && c != '/')
            continue;
        *at = 0;
        bool made = !TT_FAULT("local.mkdir") && mkdir(part, 0777) == 0;
        int errnum = errno;
        /* an existing one is fine, whatever mkdir says first (a read-only file system, say) */
        if (!made && !is_directory(part))
            rc = tt_fail_errno(err, errnum == EEXIST ? ENOTDIR : errnum,
                               "cannot make the directory %s", part);
        *at = c;
        if (!c)
            break;
    }
    free(part);
    return rc;
}
