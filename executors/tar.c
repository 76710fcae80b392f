#include "executors/tar.h"

#include "core/alloc.h"
#include "core/fault.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { piece = 64 << 10 };

#define FUNCTIONS(X)                                                                               \
    X(read_new)                                                                                    \
    X(read_support_format_tar)                                                                     \
    X(read_open_fd)                                                                                \
    X(read_next_header)                                                                            \
    X(read_data)                                                                                   \
    X(read_free)                                                                                   \
    X(read_disk_new)                                                                               \
    X(read_disk_open)                                                                              \
    X(read_disk_descend)                                                                           \
    X(read_disk_set_symlink_physical)                                                              \
    X(write_new)                                                                                   \
    X(write_set_format_pax_restricted)                                                             \
    X(write_set_bytes_in_last_block)                                                               \
    X(write_open_fd)                                                                               \
    X(write_header)                                                                                \
    X(write_data)                                                                                  \
    X(write_close)                                                                                 \
    X(write_free)                                                                                  \
    X(error_string)                                                                                \
    X(entry_new)                                                                                   \
    X(entry_free)                                                                                  \
    X(entry_pathname)                                                                              \
    X(entry_sourcepath)                                                                            \
    X(entry_filetype)                                                                              \
    X(entry_perm)                                                                                  \
    X(entry_size)                                                                                  \
    X(entry_mtime)                                                                                 \
    X(entry_uid)                                                                                   \
    X(entry_gid)                                                                                   \
    X(entry_symlink)                                                                               \
    X(entry_hardlink)                                                                              \
    X(entry_set_pathname)                                                                          \
    X(entry_set_filetype)                                                                          \
    X(entry_set_perm)                                                                              \
    X(entry_set_size)                                                                              \
    X(entry_set_symlink)                                                                           \
    X(entry_set_mtime)                                                                             \
    X(entry_set_uid)                                                                               \
    X(entry_set_gid)                                                                               \
    X(entry_set_uname)                                                                             \
    X(entry_set_gname)

static struct {
#define X(name) __typeof__(archive_##name) *name;
    FUNCTIONS(X)
#undef X
    bool complete;
    locale_t utf8;
} lib;

static void load(void)
{
    void *library =
        TT_FAULT("tar.dlopen") ? NULL : dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    lib.complete = library != NULL;
    lib.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
#define X(name)                                                                                    \
    lib.name = library ? (__typeof__(lib.name))dlsym(library, "archive_" #name) : NULL;            \
    lib.complete = lib.complete && lib.name;
    FUNCTIONS(X)
#undef X
}

static int need_library(struct tt_error **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (lib.utf8) /* of this worker thread: names pass through libarchive as they are */
        uselocale(lib.utf8);
    if (lib.complete)
        return 0;
    return tt_fail(err, TT_UNSUPPORTED,
                   "archives need libarchive (Debian package libarchive13), which could not be "
                   "loaded");
}

int tx_tar_file(struct tt_error **err)
{
    const char *folder = getenv("TMPDIR");
    int fd = TT_FAULT("tar.file")
                 ? -1
                 : open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return tt_fail_errno(err, errno, "a temporary file");
    return fd;
}

/* --- writing --- */

static int wrong(struct archive *a, struct tt_error **err, const char *what)
{
    const char *text = lib.error_string(a);
    return tt_fail(err, TT_IO, "%s: %s", what, text ? text : "libarchive failed");
}

static struct archive *start_writing(int fd, struct tt_error **err)
{
    struct archive *out = lib.write_new();
    if (!out || lib.write_set_format_pax_restricted(out) != ARCHIVE_OK ||
        lib.write_set_bytes_in_last_block(out, 1) != ARCHIVE_OK ||
        lib.write_open_fd(out, fd) != ARCHIVE_OK) {
        tt_fail(err, TT_IO, "libarchive could not begin an archive");
        lib.write_free(out);
        return NULL;
    }
    return out;
}

/* Exactly `size` bytes: the archive's head has promised them. */
static int copy_content(struct archive *out, int content, int64_t size, const char *path,
                        struct tt_error **err)
{
    char *bytes = tt_alloc(piece);
    int64_t at = 0;
    int rc = 0;
    while (rc == 0 && at < size) {
        size_t want = size - at < piece ? (size_t)(size - at) : piece;
        ssize_t got = TT_FAULT("tar.content") ? -1 : pread(content, bytes, want, at);
        if (got < 0)
            rc = tt_fail_errno(err, errno, "%s", path);
        else if (got == 0)
            rc = tt_fail(err, TT_IO, "%s became shorter while it was read", path);
        else if (lib.write_data(out, bytes, (size_t)got) != got)
            rc = wrong(out, err, path);
        else
            at += got;
    }
    free(bytes);
    return rc;
}

static int finish_writing(struct archive *out, int rc, struct tt_error **err)
{
    if (rc == 0 && (TT_FAULT("tar.close") || lib.write_close(out) != ARCHIVE_OK))
        rc = wrong(out, err, "the archive");
    lib.write_free(out);
    return rc;
}

int tx_tar_write(int fd, const struct tx_tar_entry *entries, unsigned count, struct tt_error **err)
{
    int rc = need_library(err);
    struct archive *out = rc == 0 ? start_writing(fd, err) : NULL;
    if (!out)
        return rc < 0 ? rc : -TT_IO;
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        const struct tx_tar_entry *from = &entries[i];
        struct archive_entry *entry = lib.entry_new();
        lib.entry_set_pathname(entry, from->path);
        lib.entry_set_filetype(entry, from->type == 'd'   ? AE_IFDIR
                                      : from->type == 'l' ? AE_IFLNK
                                                          : AE_IFREG);
        lib.entry_set_perm(entry, from->mode);
        lib.entry_set_mtime(entry, time(NULL), 0);
        lib.entry_set_size(entry, from->type == 'f' ? from->size : 0);
        if (from->type == 'l')
            lib.entry_set_symlink(entry, from->target);
        if (lib.write_header(out, entry) < ARCHIVE_WARN)
            rc = wrong(out, err, from->path);
        else if (from->type == 'f')
            rc = copy_content(out, from->content, from->size, from->path, err);
        lib.entry_free(entry);
    }
    return finish_writing(out, rc, err);
}

/* One entry of the tree that is being walked. */
static int add_entry(struct archive *out, struct archive_entry *entry, const char *path,
                     struct tt_error **err)
{
    char *source = tt_strdup(lib.entry_sourcepath(entry));
    bool regular = lib.entry_filetype(entry) == AE_IFREG;
    int content = -1, rc = 0;
    struct stat info = {0};
    if (regular) {
        content = TT_FAULT("tar.open") ? -1 : open(source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (content < 0 || fstat(content, &info) < 0)
            rc = tt_fail_errno(err, errno, "%s", source);
        else
            lib.entry_set_size(entry, info.st_size);
    }
    lib.entry_set_pathname(entry, path);
    lib.entry_set_uid(entry, 0);
    lib.entry_set_gid(entry, 0);
    lib.entry_set_uname(entry, NULL);
    lib.entry_set_gname(entry, NULL);
    if (rc == 0 && lib.write_header(out, entry) < ARCHIVE_WARN)
        rc = wrong(out, err, path);
    if (rc == 0 && regular)
        rc = copy_content(out, content, info.st_size, path, err);
    if (content >= 0)
        close(content);
    free(source);
    return rc;
}

static int add_tree(struct archive *out, struct archive *disk, const char *root,
                    tx_tar_wanted *wanted, void *arg, struct tt_error **err)
{
    size_t above = strlen(root);
    int rc = 0;
    while (rc == 0) {
        struct archive_entry *entry;
        int got = lib.read_next_header(disk, &entry);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got < ARCHIVE_WARN)
            return wrong(disk, err, root);
        lib.read_disk_descend(disk);
        const char *path = lib.entry_pathname(entry) + above;
        path += strspn(path, "/");
        mode_t type = lib.entry_filetype(entry);
        bool kept = type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK; /* no sockets */
        if (!*path || !kept || (wanted && !wanted(arg, path)))
            continue;
        char *name = tt_strdup(path);
        rc = add_entry(out, entry, name, err);
        free(name);
    }
    return rc;
}

int tx_tar_tree(int fd, const char *root, tx_tar_wanted *wanted, void *arg, struct tt_error **err)
{
    int rc = need_library(err);
    struct archive *out = rc == 0 ? start_writing(fd, err) : NULL;
    if (!out)
        return rc < 0 ? rc : -TT_IO;
    struct archive *disk = lib.read_disk_new();
    if (!disk || TT_FAULT("tar.disk") || lib.read_disk_set_symlink_physical(disk) != ARCHIVE_OK ||
        lib.read_disk_open(disk, root) != ARCHIVE_OK)
        rc = tt_fail(err, TT_IO, "%s can't be walked", root);
    else
        rc = add_tree(out, disk, root, wanted, arg, err);
    lib.read_free(disk);
    return finish_writing(out, rc, err);
}

/* --- reading --- */

static struct archive *start_reading(int fd, struct tt_error **err)
{
    struct archive *in = need_library(err) < 0 ? NULL : lib.read_new();
    if (!in)
        return NULL;
    if (lseek(fd, 0, SEEK_SET) < 0 || lib.read_support_format_tar(in) != ARCHIVE_OK ||
        lib.read_open_fd(in, fd, piece) != ARCHIVE_OK) {
        wrong(in, err, "the archive");
        lib.read_free(in);
        return NULL;
    }
    return in;
}

int tx_tar_extract(int fd, int to, struct tt_error **err)
{
    struct archive *in = start_reading(fd, err);
    struct archive_entry *entry;
    if (!in)
        return -TT_IO;
    int rc = 0;
    if (lib.read_next_header(in, &entry) < ARCHIVE_WARN)
        rc = wrong(in, err, "the archive");
    else if (lib.entry_filetype(entry) != AE_IFREG)
        rc = tt_fail(err, TT_IO, "it is no regular file");
    char *bytes = tt_alloc(piece);
    while (rc == 0) {
        la_ssize_t got = lib.read_data(in, bytes, piece);
        if (got == 0)
            break;
        if (got < 0)
            rc = wrong(in, err, "the archive");
        else if (TT_FAULT("tar.write") || write(to, bytes, (size_t)got) != got)
            rc = tt_fail_errno(err, errno, "a temporary file");
    }
    free(bytes);
    lib.read_free(in);
    return rc;
}

int tx_tar_list(int fd,
                void (*tell)(void *arg, const struct tx_tar_entry *entry, int64_t mtime,
                             unsigned uid, unsigned gid),
                void *arg, struct tt_error **err)
{
    struct archive *in = start_reading(fd, err);
    int rc = in ? 0 : -TT_IO;
    while (rc == 0) {
        struct archive_entry *entry;
        int got = lib.read_next_header(in, &entry);
        if (got == ARCHIVE_EOF)
            break;
        if (got < ARCHIVE_WARN || !lib.entry_pathname(entry)) {
            rc = wrong(in, err, "the archive");
            break;
        }
        mode_t type = lib.entry_filetype(entry);
        bool regular = type == AE_IFREG || lib.entry_hardlink(entry);
        struct tx_tar_entry told = {.path = lib.entry_pathname(entry),
                                    .type = regular            ? 'f'
                                            : type == AE_IFDIR ? 'd'
                                            : type == AE_IFLNK ? 'l'
                                                               : 'o',
                                    .mode = (unsigned)lib.entry_perm(entry),
                                    .target = lib.entry_symlink(entry),
                                    .content = -1,
                                    .size = lib.entry_size(entry)};
        tell(arg, &told, lib.entry_mtime(entry), (unsigned)lib.entry_uid(entry),
             (unsigned)lib.entry_gid(entry));
    }
    if (in)
        lib.read_free(in);
    return rc;
}
