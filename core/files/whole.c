#include "core/files/whole.h"

#include "core/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int tt_read_whole(const char *path, size_t max, struct tt_buf *into, struct tt_error **err)
{
    int fd = TT_FAULT("whole.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
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
