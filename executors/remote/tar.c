#include "executors/remote/tar.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/library.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { piece = 64 << 10 };
/* What is not taken along is not looked for. */
enum {
    content_only = ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL |
                   ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE
};

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
    X(read_disk_set_behavior)                                                                      \
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
} lib;
static const char *const names[] = {
#define X(name) "archive_" #name,
    FUNCTIONS(X)
#undef X
        NULL};
static locale_t utf8;

static void make_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static struct tt_library library = {.file = "libarchive.so.13",
                                    .needed =
                                        "archives need libarchive (Debian package libarchive13)",
                                    .names = names,
                                    .table = &lib,
                                    .fault = "tar.dlopen",
                                    .loaded = make_locale};

static int need_library(struct tt_error **err)
{
    int rc = tt_library_load(&library, err);
    if (rc == 0 && utf8) /* of this worker thread: names pass through libarchive as they are */
        uselocale(utf8);
    return rc;
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

/* Begins, and ends, the digest of one file's content. */
static int begin_sum(struct tx_tar_sums *sums, struct tt_error **err)
{
    return sums && !sums->digest ? tt_digest_new(&sums->digest, err) : 0;
}

static int end_sum(struct tx_tar_sums *sums, struct tt_error **err)
{
    char hex[tt_digest_hex_size];
    int rc = sums ? tt_digest_hex(sums->digest, hex, err) : 0;
    if (sums && rc == 0)
        tt_buf_format(&sums->lines, "%s\n", hex);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, tt_digest_hex_size);
}

int tx_tar_sums_total(struct tx_tar_sums *sums, char hex[tt_digest_hex_size], struct tt_error **err)
{
    struct tt_buf *lines = &sums->lines;
    if (lines->length)
        qsort(lines->data, lines->length / tt_digest_hex_size, tt_digest_hex_size, by_bytes);
    return tt_digest_bytes(lines->length ? lines->data : "", lines->length, hex, err);
}

void tx_tar_sums_clear(struct tx_tar_sums *sums)
{
    tt_digest_free(sums->digest);
    tt_buf_free(&sums->lines);
    *sums = (struct tx_tar_sums){0};
}

/* Exactly `size` bytes: the archive's head has promised them. */
static int copy_content(struct archive *out, int content, int64_t size, const char *path,
                        struct tx_tar_sums *sums, struct tt_error **err)
{
    char *bytes = tt_alloc(piece);
    int64_t at = 0;
    int rc = begin_sum(sums, err);
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
        if (rc == 0 && sums)
            tt_digest_add(sums->digest, bytes, (size_t)got);
    }
    free(bytes);
    return rc < 0 ? rc : end_sum(sums, err);
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
        lib.entry_set_mtime(entry, time(NULL), 0); /* a file's time is the system's */
        lib.entry_set_size(entry, from->type == 'f' ? from->size : 0);
        if (from->type == 'l')
            lib.entry_set_symlink(entry, from->target);
        if (lib.write_header(out, entry) < ARCHIVE_WARN)
            rc = wrong(out, err, from->path);
        else if (from->type == 'f')
            rc = copy_content(out, from->content, from->size, from->path, NULL, err);
        lib.entry_free(entry);
    }
    return finish_writing(out, rc, err);
}

/* One entry of the tree that is being walked. */
static int add_entry(struct archive *out, struct archive_entry *entry, const char *path,
                     struct tx_tar_sums *sums, struct tt_error **err)
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
        rc = copy_content(out, content, info.st_size, path, sums, err);
    if (content >= 0)
        close(content);
    free(source);
    return rc;
}

static int add_tree(struct archive *out, struct archive *disk, const char *root,
                    tx_tar_wanted *wanted, void *arg, struct tx_tar_sums *sums,
                    struct tt_error **err)
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
        if (sums && !kept)
            sums->other = true;
        if (!*path || !kept || (wanted && !wanted(arg, path)))
            continue;
        char *name = tt_strdup(path);
        rc = add_entry(out, entry, name, sums, err);
        free(name);
    }
    return rc;
}

int tx_tar_tree(int fd, const char *root, tx_tar_wanted *wanted, void *arg,
                struct tx_tar_sums *sums, struct tt_error **err)
{
    int rc = need_library(err);
    struct archive *out = rc == 0 ? start_writing(fd, err) : NULL;
    if (!out)
        return rc < 0 ? rc : -TT_IO;
    struct archive *disk = lib.read_disk_new();
    if (!disk || TT_FAULT("tar.disk") || lib.read_disk_set_symlink_physical(disk) != ARCHIVE_OK ||
        lib.read_disk_set_behavior(disk, content_only) != ARCHIVE_OK ||
        lib.read_disk_open(disk, root) != ARCHIVE_OK)
        rc = tt_fail(err, TT_IO, "%s can't be walked", root);
    else
        rc = add_tree(out, disk, root, wanted, arg, sums, err);
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

/* --- unpacking --- */

/* A directory, whose mode is set when all is in it, or a symlink, which is made when nothing can go
 * through it any more. */
struct later {
    char *path, *target; /* target NULL: a directory */
    unsigned mode;
    struct later *next;
};

struct unpacking {
    struct archive *in;
    int folder;
    struct tx_tar_sums *sums;
    struct later *later; /* the last one first */
};

/* The path below the folder; NULL for one that leads elsewhere. "" is the folder. */
static char *inner_path(const char *path)
{
    struct tt_buf inner = {0};
    bool outside = *path == '/';
    while (*path && !outside) {
        size_t length = strcspn(path, "/");
        if (length == 2 && memcmp(path, "..", 2) == 0)
            outside = true;
        else if (length && !(length == 1 && *path == '.'))
            tt_buf_format(&inner, "%s%.*s", inner.length ? "/" : "", (int)length, path);
        path += length + (path[length] == '/');
    }
    if (outside) {
        tt_buf_free(&inner);
        return NULL;
    }
    return inner.length ? tt_buf_take(&inner) : tt_strdup("");
}

static void remember(struct unpacking *unpacking, const char *path, const char *target,
                     unsigned mode)
{
    struct later *later = tt_zalloc(sizeof *later);
    later->path = tt_strdup(path);
    later->target = target ? tt_strdup(target) : NULL;
    later->mode = mode;
    later->next = unpacking->later;
    unpacking->later = later;
}

/* The content of the entry, or of a file that was unpacked before, which it is a hard link to. */
static int unpack_file(struct unpacking *unpacking, const char *path, unsigned mode, int linked,
                       struct tt_error **err)
{
    int to = TT_FAULT("tar.create")
                 ? -1
                 : openat(unpacking->folder, path,
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return tt_fail_errno(err, errno, "%s", path);
    char *bytes = tt_alloc(piece);
    int rc = begin_sum(unpacking->sums, err);
    while (rc == 0) {
        la_ssize_t got =
            linked >= 0 ? read(linked, bytes, piece) : lib.read_data(unpacking->in, bytes, piece);
        if (got == 0)
            break;
        if (got < 0)
            rc = linked >= 0 ? tt_fail_errno(err, errno, "%s", path)
                             : wrong(unpacking->in, err, path);
        else if (TT_FAULT("tar.unpack") || write(to, bytes, (size_t)got) != got)
            rc = tt_fail_errno(err, errno, "%s", path);
        else if (unpacking->sums)
            tt_digest_add(unpacking->sums->digest, bytes, (size_t)got);
    }
    free(bytes);
    if (rc == 0 && fchmod(to, mode) < 0)
        rc = tt_fail_errno(err, errno, "%s", path);
    if (close(to) < 0 && rc == 0)
        rc = tt_fail_errno(err, errno, "%s", path);
    return rc < 0 ? rc : end_sum(unpacking->sums, err);
}

static int unpack_link(struct unpacking *unpacking, const char *path, const char *target,
                       struct tt_error **err)
{
    char *inner = inner_path(target);
    struct stat info;
    int from = inner ? openat(unpacking->folder, inner, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    int rc = from < 0 || fstat(from, &info) < 0
                 ? tt_fail(err, TT_IO, "%s is a link to %s, which is not there", path, target)
                 : unpack_file(unpacking, path, info.st_mode & 07777, from, err);
    if (from >= 0)
        close(from);
    free(inner);
    return rc;
}

static int unpack_entry(struct unpacking *unpacking, struct archive_entry *entry, const char *path,
                        struct tt_error **err)
{
    const char *linked = lib.entry_hardlink(entry);
    unsigned mode = (unsigned)lib.entry_perm(entry) & 07777;
    if (linked)
        return unpack_link(unpacking, path, linked, err);
    switch (lib.entry_filetype(entry)) {
    case AE_IFREG:
        return unpack_file(unpacking, path, mode, -1, err);
    case AE_IFLNK:
        remember(unpacking, path, lib.entry_symlink(entry), 0);
        return 0;
    case AE_IFDIR:
        if (!*path)
            return 0;
        if (mkdirat(unpacking->folder, path, 0700) < 0)
            return tt_fail_errno(err, errno, "%s", path);
        remember(unpacking, path, NULL, mode);
        return 0;
    default:
        return tt_fail(err, TT_IO, "%s is no file, directory or symlink", path);
    }
}

/* Symlinks first: their directories may not be writable afterwards. */
static int finish_unpacking(struct unpacking *unpacking, int rc, struct tt_error **err)
{
    for (const struct later *later = unpacking->later; later && rc == 0; later = later->next)
        if (later->target && symlinkat(later->target, unpacking->folder, later->path) < 0)
            rc = tt_fail_errno(err, errno, "%s", later->path);
    for (struct later *later; (later = unpacking->later);) {
        if (rc == 0 && !later->target &&
            fchmodat(unpacking->folder, later->path, later->mode, 0) < 0)
            rc = tt_fail_errno(err, errno, "%s", later->path);
        unpacking->later = later->next;
        free(later->path);
        free(later->target);
        free(later);
    }
    return rc;
}

int tx_tar_unpack(int fd, const char *folder, struct tx_tar_sums *sums, struct tt_error **err)
{
    struct unpacking unpacking = {.sums = sums};
    unpacking.in = start_reading(fd, err);
    if (!unpacking.in)
        return -TT_IO;
    unpacking.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = unpacking.folder < 0 ? tt_fail_errno(err, errno, "%s", folder) : 0;
    while (rc == 0) {
        struct archive_entry *entry;
        int got = lib.read_next_header(unpacking.in, &entry);
        if (got == ARCHIVE_EOF)
            break;
        const char *name = got < ARCHIVE_WARN ? NULL : lib.entry_pathname(entry);
        char *path = name ? inner_path(name) : NULL;
        if (!name)
            rc = wrong(unpacking.in, err, "the archive");
        else if (!path)
            rc = tt_fail(err, TT_IO, "the archive has '%s', which leads out of it", name);
        else
            rc = unpack_entry(&unpacking, entry, path, err);
        free(path);
    }
    rc = finish_unpacking(&unpacking, rc, err);
    if (unpacking.folder >= 0)
        close(unpacking.folder);
    lib.read_free(unpacking.in);
    return rc;
}
