#include "core/store/tasklog.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/fault.h"
#include "core/base/hash.h"
#include "core/base/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { longest_name = 180 };

char *tt_file_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-=,[]+@";
    struct tt_buf text = {0};
    for (const char *c = name; *c; c++) {
        if (strchr(plain, *c) || (*c == '.' && c != name))
            tt_buf_add(&text, c, 1);
        else
            tt_buf_format(&text, "%%%02X", (unsigned)(unsigned char)*c);
    }
    char *full = tt_buf_take(&text);
    if (strlen(full) <= longest_name)
        return full;
    /* '~' is never plain, so no short name looks like this. */
    char *cut = tt_format("%.*s~%016llx", longest_name, full, (unsigned long long)tt_hash(name));
    free(full);
    return cut;
}

static int open_log(struct tt_tasklog *log, const char *dir, const char *name,
                    struct tt_error **err)
{
    if (!log->path) {
        char *file = tt_file_name(name);
        log->path = tt_format("%s/%s.log", dir, file);
        free(file);
    }
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    log->fd = TT_FAULT("tasklog.open") ? -1 : open(log->path, flags, 0666);
    if (log->fd < 0 && errno == ENOENT && dir) {
        int rc = tt_make_directories(dir, err);
        if (rc < 0)
            return rc;
        log->fd = open(log->path, flags, 0666);
    }
    return log->fd < 0 ? tt_fail_errno(err, errno, "%s cannot be opened", log->path) : 0;
}

int tt_tasklog_write(struct tt_tasklog *log, const char *dir, const char *name, const void *bytes,
                     size_t length, struct tt_error **err)
{
    if (!log->path || log->fd < 0) {
        int rc = open_log(log, dir, name, err);
        if (rc < 0)
            return rc;
    }
    for (const char *at = bytes; length > 0;) {
        ssize_t wrote = TT_FAULT("tasklog.write") ? -1 : write(log->fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return tt_fail_errno(err, errno, "%s cannot be written", log->path);
        at += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

void tt_tasklog_close(struct tt_tasklog *log)
{
    if (log->path && log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

void tt_tasklog_clear(struct tt_tasklog *log)
{
    tt_tasklog_close(log);
    free(log->path);
    log->path = NULL;
}
