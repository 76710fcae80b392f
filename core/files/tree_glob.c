/* Matching patterns against a tree of this machine, in one walk on a worker thread. */
#include "core/files/tree.h"

#include "core/async/work.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory still to be read: how far the patterns have got there, then its path below root. */
struct pending {
    struct pending *next;
    char *path; /* NULL for root itself */
    char place[];
};

struct walk {
    struct tt_glob *glob;
    struct pending *pending;
    struct tt_entries *entries;
    const char *root;
    int root_fd;
    const atomic_bool *stop;
};

static struct pending *pending_new(const struct walk *walk, char *path)
{
    struct pending *made = tt_alloc(sizeof *made + tt_glob_place_size(walk->glob));
    made->path = path;
    made->next = NULL;
    return made;
}

static void pending_free(struct pending *pending)
{
    free(pending->path);
    free(pending);
}

/* Notes a directory to be read later when something in it can match. */
static void note(struct walk *walk, const struct pending *in, const char *name, bool link)
{
    struct pending *below = pending_new(walk, tt_path_join(in->path, name));
    if (tt_glob_enter(walk->glob, in->place, name, link, below->place)) {
        below->next = walk->pending;
        walk->pending = below;
    } else {
        pending_free(below);
    }
}

static int visit(struct walk *walk, const struct pending *in, int dir, const struct dirent *entry,
                 struct tt_error **err)
{
    struct stat st;
    struct tt_stat stat;
    const char *name = entry->d_name;
    bool link = entry->d_type == DT_LNK, directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        link = S_ISLNK(st.st_mode);
        directory = S_ISDIR(st.st_mode);
    }
    if (link)
        directory = fstatat(dir, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
    if (directory)
        note(walk, in, name, link);
    if (!tt_glob_match_in(walk->glob, in->place, name, directory))
        return 0;
    char *path = tt_path_join(in->path, name), *full = tt_path_join(walk->root, path);
    bool exists;
    int rc = tt_tree_stat(full, false, &stat, &exists, err);
    if (rc == 0 && exists)
        tt_entries_add(walk->entries, path, &stat);
    else
        free(path);
    free(full);
    return rc;
}

static int read_directory(struct walk *walk, const struct pending *in, struct tt_error **err)
{
    const char *path = in->path ? in->path : ".";
    int fd = TT_FAULT("local_glob.open")
                 ? -1
                 : openat(walk->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = 0;
    if (!dir) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        /* one that was removed meanwhile holds nothing */
        return errnum == ENOENT || errnum == ENOTDIR
                   ? 0
                   : tt_fail_errno(err, errnum, "cannot list %s/%s", walk->root, path);
    }
    while (rc == 0 && (rc = tt_call_check(walk->stop, err)) == 0) {
        errno = 0;
        struct dirent *entry = TT_FAULT("local_glob.readdir") ? NULL : readdir(dir);
        if (!entry) {
            if (errno)
                rc = tt_fail_errno(err, errno, "cannot list %s/%s", walk->root, path);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = visit(walk, in, fd, entry, err);
    }
    closedir(dir);
    return rc;
}

int tt_tree_glob(const char *root, char *const *patterns, size_t count, struct tt_entries *entries,
                 const atomic_bool *stop, struct tt_error **err)
{
    struct walk walk = {.entries = entries, .root = root, .stop = stop};
    int rc = tt_glob_new(&walk.glob, (const char *const *)patterns, count, err);
    if (rc < 0)
        return rc;
    walk.root_fd =
        TT_FAULT("local_glob.root") ? -1 : open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (walk.root_fd < 0) {
        rc = tt_fail_errno(err, errno, "cannot list %s", root);
        goto out;
    }
    walk.pending = pending_new(&walk, NULL);
    walk.pending->path =
        tt_glob_start(walk.glob, (const char *const *)patterns, count, walk.pending->place);
    while (walk.pending) {
        struct pending *in = walk.pending;
        walk.pending = in->next;
        if (rc == 0)
            rc = read_directory(&walk, in, err);
        pending_free(in);
    }
    close(walk.root_fd);
    tt_entries_sort(entries);
out:
    tt_glob_free(walk.glob);
    return rc;
}
