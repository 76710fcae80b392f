#include "executors/local/stream.h"

#include "core/files/tree.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/files/fd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without O_NONBLOCK an open of a pipe would wait for its other end. */
static int open_now(const char *path, int flags)
{
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && fcntl(fd, F_SETFL, flags & O_ACCMODE) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int do_open_read(struct tt_fd_file *file, struct tt_error **err)
{
    struct stat st;
    if (TT_FAULT("local_stream.stat") || stat(file->path, &st) < 0)
        return tt_fail_errno(err, errno, "cannot read %s", file->path);
    int rc = tt_tree_openable(file->path, &st, "read", err);
    if (rc < 0)
        return rc;
    file->fd = TT_FAULT("local_stream.open") ? -1 : open_now(file->path, O_RDONLY);
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return tt_fail_errno(err, errno, "cannot read %s", file->path);
    rc = tt_tree_openable(file->path, &st, "read", err);
    tt_tree_stat_from(&file->file.stat, &st);
    file->file.rereads = S_ISREG(st.st_mode);
    return rc;
}

struct tt_op *tx_local_open_read(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    return tt_fd_file_open(tt_fd_file_new(env, path), scope, do_open_read);
}

/* Where writing to path really goes: symlinks at its end followed, also a dangling one's. */
static int follow(const char *path, char **final, struct tt_error **err)
{
    enum { max_links = 40 };
    char *at = tt_strdup(path);
    for (int links = 0; links < max_links; links++) {
        struct tt_stat stat = {0};
        bool exists;
        int rc = tt_tree_stat(at, false, &stat, &exists, err);
        if (rc < 0 || !exists || stat.type != TT_FILE_SYMLINK) {
            *final = at;
            return rc;
        }
        const char *slash = strrchr(at, '/');
        char *to = stat.target[0] == '/' || !slash
                       ? tt_strdup(stat.target)
                       : tt_format("%.*s/%s", (int)(slash - at), at, stat.target);
        free(stat.target);
        free(at);
        at = to;
    }
    *final = at;
    return tt_fail_errno(err, ELOOP, "cannot write %s", path);
}

/* The temporary takes on the owner of what it will replace. */
static int take_owner(struct tt_fd_file *file, const struct stat *old, struct tt_error **err)
{
    struct stat made;
    if (TT_FAULT("local_stream.fstat") || fstat(file->fd, &made) < 0)
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    if (made.st_uid == old->st_uid && made.st_gid == old->st_gid)
        return 0;
    if (TT_FAULT("local_stream.chown") || fchown(file->fd, old->st_uid, old->st_gid) < 0)
        return tt_fail_errno(err, errno, "cannot keep the owner of %s when replacing it",
                             file->path);
    return 0;
}

static int open_temporary(struct tt_fd_file *file, const struct stat *old, struct tt_error **err)
{
    /* not readable by others before it has the mode that it shall have */
    unsigned mode = old || file->mode >= 0 ? 0600 : 0666;
    if (old &&
        (TT_FAULT("local_stream.access") || faccessat(AT_FDCWD, file->final, W_OK, AT_EACCESS) < 0))
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    if (old && file->mode < 0)
        file->mode = (int)(old->st_mode & 07777);
    int rc = tt_fd_file_create(file, mode, err);
    return rc < 0 || !old ? rc : take_owner(file, old, err);
}

static int do_open_write(struct tt_fd_file *file, struct tt_error **err)
{
    struct stat st;
    int rc = follow(file->path, &file->final, err);
    if (rc < 0)
        return rc;
    size_t length = strlen(file->final);
    bool exists = stat(file->final, &st) == 0;
    if (length == 0 || file->final[length - 1] == '/')
        return tt_fail_errno(err, exists || length == 0 ? EISDIR : ENOENT, "%s cannot be written",
                             length ? file->path : "an empty path");
    if (exists)
        rc = tt_tree_openable(file->path, &st, "written", err);
    if (rc < 0)
        return rc;
    if (exists && !S_ISREG(st.st_mode)) {
        file->mode = -1;
        file->file.compares = true;
        file->fd = TT_FAULT("local_stream.device") ? -1 : open_now(file->final, O_WRONLY);
        if (file->fd < 0)
            return tt_fail_errno(err, errno, "cannot write %s", file->path);
    } else {
        rc = open_temporary(file, exists ? &st : NULL, err);
    }
    return rc;
}

struct tt_op *tx_local_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  const struct tt_write_options *options)
{
    struct tt_fd_file *file = tt_fd_file_new(env, path);
    file->mode = options->mode >= 0 ? options->mode & 07777 : -1;
    file->size = options->size;
    return tt_fd_file_open(file, scope, do_open_write);
}
