#include "core/files/tree.h"

#include "core/async/work.h"
#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "core/base/fault.h"
#include "core/base/local.h"
#include "core/files/fd_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- looking --- */

void tt_tree_stat_from(struct tt_stat *to, const struct stat *from)
{
    *to = (struct tt_stat){
        .type = S_ISREG(from->st_mode)   ? TT_FILE_REGULAR
                : S_ISDIR(from->st_mode) ? TT_FILE_DIRECTORY
                : S_ISLNK(from->st_mode) ? TT_FILE_SYMLINK
                                         : TT_FILE_OTHER,
        .size = (uint64_t)from->st_size,
        .mode = from->st_mode & 07777,
        .mtime = from->st_mtim.tv_sec,
        .uid = from->st_uid,
        .gid = from->st_gid,
    };
}

/* A symlink's text, or NULL with errno. */
static char *read_link(int dir, const char *name)
{
    for (size_t room = 256;; room *= 2) {
        char *text = tt_alloc(room);
        ssize_t length = TT_FAULT("local_tree.readlink") ? -1 : readlinkat(dir, name, text, room);
        if (length >= 0 && (size_t)length < room) {
            text[length] = 0;
            return text;
        }
        int errnum = errno;
        free(text);
        errno = errnum;
        if (length < 0)
            return NULL;
    }
}

static bool is_gone(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR;
}

int tt_tree_stat(const char *path, bool follow, struct tt_stat *stat, bool *exists,
                 struct tt_error **err)
{
    struct stat st;
    *exists = false;
    if (TT_FAULT("local_tree.stat") ||
        fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return is_gone(errno) ? 0 : tt_fail_errno(err, errno, "cannot look at %s", path);
    tt_tree_stat_from(stat, &st);
    if (S_ISLNK(st.st_mode)) {
        stat->target = read_link(AT_FDCWD, path);
        if (!stat->target)
            return is_gone(errno) ? 0 : tt_fail_errno(err, errno, "cannot read the link %s", path);
    }
    *exists = true;
    return 0;
}

/* Adds one entry of an open directory; one that has just gone is none. */
static int add_entry(struct tt_entries *entries, int dir, const char *name, const char *path,
                     struct tt_error **err)
{
    struct stat st;
    struct tt_stat stat;
    if (TT_FAULT("local_tree.entry") || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : tt_fail_errno(err, errno, "cannot look at %s", path);
    tt_tree_stat_from(&stat, &st);
    if (S_ISLNK(st.st_mode)) {
        stat.target = read_link(dir, name);
        if (!stat.target)
            return errno == ENOENT ? 0 : tt_fail_errno(err, errno, "cannot read the link %s", path);
    }
    tt_entries_add(entries, tt_strdup(path), &stat);
    return 0;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* The next entry, NULL at the end; *rc is then the error, or 0. */
static struct dirent *next_entry(DIR *dir, const char *path, const atomic_bool *stop, int *rc,
                                 struct tt_error **err)
{
    struct dirent *entry;
    *rc = tt_call_check(stop, err);
    if (*rc < 0)
        return NULL;
    do {
        errno = 0;
        entry = TT_FAULT("local_tree.readdir") ? NULL : readdir(dir);
    } while (entry && is_dots(entry->d_name));
    if (!entry && errno)
        *rc = tt_fail_errno(err, errno, "cannot list %s", path);
    return entry;
}

static DIR *open_dir(int at, const char *name, int flags)
{
    int fd = TT_FAULT("local_tree.opendir")
                 ? -1
                 : openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

int tt_tree_list(const char *path, struct tt_entries *entries, const atomic_bool *stop,
                 struct tt_error **err)
{
    int rc = 0;
    DIR *dir = open_dir(AT_FDCWD, path, 0);
    if (!dir)
        return tt_fail_errno(err, errno, "cannot list %s", path);
    for (struct dirent *entry; rc == 0 && (entry = next_entry(dir, path, stop, &rc, err));)
        rc = add_entry(entries, dirfd(dir), entry->d_name, entry->d_name, err);
    closedir(dir);
    tt_entries_sort(entries);
    return rc;
}

/* --- removing --- */

/* Removes what dir holds under name, which is `path` for messages. */
static int remove_at(int dir, const char *name, const char *path, bool recursive,
                     const atomic_bool *stop, struct tt_error **err);

/* Empties an open directory. Removing while reading may hide an entry, so it is read again until
 * a whole pass finds nothing. */
static int empty(DIR *dir, const char *path, const atomic_bool *stop, struct tt_error **err)
{
    int rc = 0;
    bool any;
    do {
        any = false;
        rewinddir(dir);
        for (struct dirent *entry; rc == 0 && (entry = next_entry(dir, path, stop, &rc, err));) {
            char *inner = tt_path_join(path, entry->d_name);
            rc = remove_at(dirfd(dir), entry->d_name, inner, true, stop, err);
            free(inner);
            any = true;
        }
    } while (any && rc == 0);
    return rc;
}

static int remove_at(int dir, const char *name, const char *path, bool recursive,
                     const atomic_bool *stop, struct tt_error **err)
{
    if (!TT_FAULT("local_tree.unlink") && unlinkat(dir, name, 0) == 0)
        return 0;
    int errnum = errno;
    /* for a directory Linux says EISDIR, POSIX EPERM */
    if (errnum != EISDIR && errnum != EPERM)
        return tt_fail_errno(err, errnum, "cannot remove %s", path);
    DIR *inner = open_dir(dir, name, O_NOFOLLOW);
    if (!inner)
        return tt_fail_errno(err, errno == ENOTDIR || errno == ELOOP ? errnum : errno,
                             "cannot remove %s", path);
    int rc = 0;
    if (recursive)
        rc = empty(inner, path, stop, err);
    else
        rc = tt_fail(err, TT_INVALID, "%s is a directory, which only a recursive remove removes",
                     path);
    closedir(inner);
    if (rc < 0)
        return rc;
    if (TT_FAULT("local_tree.rmdir") || unlinkat(dir, name, AT_REMOVEDIR) < 0)
        return tt_fail_errno(err, errno, "cannot remove %s", path);
    return 0;
}

int tt_tree_remove(const char *path, bool recursive, const atomic_bool *stop, struct tt_error **err)
{
    /* "link/" means the link, never what it points to */
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *plain = tt_strndup(path, length);
    const char *slash = strrchr(plain, '/'), *last = slash ? slash + 1 : plain;
    int rc;
    if (!*last || is_dots(last))
        rc = tt_fail(err, TT_INVALID, "%s cannot be removed: it names no entry of a directory",
                     *path ? path : "an empty path");
    else
        rc = remove_at(AT_FDCWD, plain, plain, recursive, stop, err);
    free(plain);
    return rc;
}

/* --- making --- */

int tt_tree_mkdir(const char *path, int mode, struct tt_error **err)
{
    int rc = tt_make_directories(path, err);
    if (rc == 0 && mode >= 0 && (TT_FAULT("local_tree.chmod") || chmod(path, (mode_t)mode) < 0))
        rc = tt_fail_errno(err, errno, "cannot set the mode of %s", path);
    return rc;
}

int tt_tree_symlink(const char *target, const char *path, struct tt_error **err)
{
    char *temporary = tt_temporary_beside(path);
    int rc = 0;
    if (TT_FAULT("local_tree.symlink") || symlink(target, temporary) < 0) {
        rc = tt_fail_errno(err, errno, "cannot make the link %s", path);
    } else if (TT_FAULT("local_tree.rename_link") || rename(temporary, path) < 0) {
        rc = tt_fail_errno(err, errno, "cannot make the link %s", path);
        unlink(temporary);
    }
    free(temporary);
    return rc;
}

/* --- reading all --- */

int tt_tree_openable(const char *path, const struct stat *stat, const char *verb,
                     struct tt_error **err)
{
    if (S_ISDIR(stat->st_mode))
        return tt_fail_errno(err, EISDIR, "%s cannot be %s", path, verb);
    if (S_ISFIFO(stat->st_mode) || S_ISSOCK(stat->st_mode))
        return tt_fail(err, TT_UNSUPPORTED, "%s cannot be %s: it is a pipe or socket, not a file",
                       path, verb);
    return 0;
}

int tt_tree_digest(const char *path, char hex[65], const atomic_bool *stop, struct tt_error **err)
{
    enum { chunk = 256 * 1024 };
    struct tt_digest *digest = NULL;
    struct stat st;
    char *bytes = NULL;
    int rc = 0;
    int fd =
        TT_FAULT("local_tree.digest_open") ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = tt_fail_errno(err, errno, "cannot read %s", path);
        goto out;
    }
    rc = tt_tree_openable(path, &st, "read", err);
    if (rc == 0)
        rc = tt_digest_new(&digest, err);
    if (rc < 0)
        goto out;
    bytes = tt_alloc(chunk);
    for (;;) {
        rc = tt_call_check(stop, err);
        if (rc < 0)
            goto out;
        ssize_t got = TT_FAULT("local_tree.digest_read") ? -1 : read(fd, bytes, chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = tt_fail_errno(err, errno, "cannot read %s", path);
            goto out;
        }
        if (got == 0)
            break;
        tt_digest_add(digest, bytes, (size_t)got);
    }
    rc = tt_digest_hex(digest, hex, err);
out:
    if (fd >= 0)
        close(fd);
    tt_digest_free(digest);
    free(bytes);
    return rc;
}
