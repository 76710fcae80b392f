#include "executors/local_stream.h"

#include "executors/local_tree.h"

#include "core/alloc.h"
#include "core/call.h"
#include "core/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct local_file {
    struct tt_file file;
    unsigned refs;   /* the owner's, and that of an operation at work */
    int fd;          /* -1 once committed */
    char *path;      /* as asked for, for messages */
    char *final;     /* what the rename will replace: path, symlinks followed; NULL for reading */
    char *temporary; /* NULL when a device is written in place, or once renamed */
    int mode;        /* to set at commit; -1: as made */
    int64_t size;    /* promised; -1: unknown */
    int64_t written;
};

static void file_unref(struct local_file *file)
{
    if (--file->refs > 0)
        return;
    struct tt_env *env = file->file.env;
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->final);
    free(file->path);
    free(file);
    tt_env_release(env);
}

static void stream_free(struct tt_file *file)
{
    file_unref((struct local_file *)(void *)file);
}

/* --- operations on an open file --- */

struct stream_op {
    union {
        struct tt_op op;
        struct tt_bytes_op bytes;
        struct tt_file_op file;
    } is;
    struct tt_call call;
    struct local_file *file;
    char *data;
    size_t length;
    bool opened; /* the file's first reference is the taker's */
};

static struct stream_op *stream_of(struct tt_op *op)
{
    return (struct stream_op *)(void *)op;
}

static void stream_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_call_cancel(&stream_of(op)->call, why);
}

static void stream_op_free(struct tt_op *op)
{
    struct stream_op *stream = stream_of(op);
    free(stream->data);
    file_unref(stream->file);
    free(op);
}

static void stream_read_free(struct tt_op *op)
{
    file_unref(stream_of(op)->file);
    tt_bytes_op_free(op);
}

static void stream_open_free(struct tt_op *op)
{
    struct stream_op *stream = stream_of(op);
    if (!stream->opened)
        file_unref(stream->file);
    file_unref(stream->file);
    tt_file_op_free(op);
}

static struct tt_op *stream_start(struct stream_op *stream, struct local_file *file,
                                  const struct tt_op_class *class_, struct tt_scope *scope,
                                  int (*work)(struct tt_op *, struct tt_error **))
{
    struct tt_op *op = &stream->is.op;
    stream->file = file;
    file->refs++;
    tt_op_init(op, class_, scope);
    if (!tt_op_finished(op))
        tt_call_start(&stream->call, op, class_->name, work);
    return op;
}

static int do_read(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct tt_bytes *bytes = &stream->is.bytes.bytes;
    ssize_t got;
    bytes->data = malloc(stream->length);
    if (!bytes->data)
        return tt_fail_errno(err, ENOMEM, "cannot read %s", stream->file->path);
    do
        got = TT_FAULT("local_stream.read") ? -1
                                            : read(stream->file->fd, bytes->data, stream->length);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return tt_fail_errno(err, errno, "cannot read %s", stream->file->path);
    bytes->length = (size_t)got;
    return 0;
}

static struct tt_op *stream_read(struct tt_file *file, struct tt_scope *scope, size_t max)
{
    static const struct tt_op_class class_ = {"read", stream_cancel, stream_read_free};
    struct stream_op *stream = tt_zalloc(sizeof *stream);
    stream->length = max ? max : 1;
    return stream_start(stream, (struct local_file *)(void *)file, &class_, scope, do_read);
}

static int do_write(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct local_file *file = stream->file;
    for (size_t done = 0; done < stream->length;) {
        ssize_t wrote = TT_FAULT("local_stream.write")
                            ? -1
                            : write(file->fd, stream->data + done, stream->length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return tt_fail_errno(err, errno, "cannot write %s", file->path);
        done += (size_t)wrote;
        file->written += wrote;
    }
    return 0;
}

static struct tt_op *stream_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                  size_t length)
{
    static const struct tt_op_class class_ = {"write", stream_cancel, stream_op_free};
    struct stream_op *stream = tt_zalloc(sizeof *stream);
    stream->length = length;
    stream->data = malloc(length ? length : 1);
    if (stream->data && length)
        memcpy(stream->data, data, length);
    struct local_file *local = (struct local_file *)(void *)file;
    if (stream->data)
        return stream_start(stream, local, &class_, scope, do_write);
    free(stream);
    return tt_op_finished_new(
        scope, tt_error_new(TT_IO, "cannot write %s: not enough memory", local->path));
}

static int do_commit(struct tt_op *op, struct tt_error **err)
{
    struct local_file *file = stream_of(op)->file;
    if (file->size >= 0 && file->written != file->size)
        return tt_fail(err, TT_IO, "%s: %lld bytes were to be written, %lld came", file->path,
                       (long long)file->size, (long long)file->written);
    if (file->mode >= 0 &&
        (TT_FAULT("local_stream.chmod") || fchmod(file->fd, (mode_t)file->mode) < 0))
        return tt_fail_errno(err, errno, "cannot set the mode of %s", file->path);
    /* closing may be what tells of a full disk */
    int closed = close(file->fd);
    file->fd = -1;
    if (TT_FAULT("local_stream.close") || closed < 0)
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    if (!file->temporary)
        return 0;
    if (TT_FAULT("local_stream.rename") || rename(file->temporary, file->final) < 0)
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}

static struct tt_op *stream_commit(struct tt_file *file, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"commit", stream_cancel, stream_op_free};
    return stream_start(tt_zalloc(sizeof(struct stream_op)), (struct local_file *)(void *)file,
                        &class_, scope, do_commit);
}

static const struct tt_file_stream_class stream_class = {stream_read, stream_write, stream_commit,
                                                         stream_free};

/* --- opening --- */

static struct local_file *file_new(struct tt_env *env, const char *path)
{
    struct local_file *file = tt_zalloc(sizeof *file);
    file->file.class_ = &stream_class;
    file->file.env = env;
    tt_env_retain(env);
    file->refs = 1;
    file->fd = -1;
    file->path = tt_strdup(path);
    file->mode = -1;
    file->size = -1;
    return file;
}

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

static void give(struct stream_op *stream)
{
    stream->is.file.file = &stream->file->file;
    stream->opened = true;
}

static int do_open_read(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct local_file *file = stream->file;
    struct stat st;
    if (TT_FAULT("local_stream.stat") || stat(file->path, &st) < 0)
        return tt_fail_errno(err, errno, "cannot read %s", file->path);
    int rc = tx_tree_openable(file->path, &st, "read", err);
    if (rc < 0)
        return rc;
    file->fd = TT_FAULT("local_stream.open") ? -1 : open_now(file->path, O_RDONLY);
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return tt_fail_errno(err, errno, "cannot read %s", file->path);
    rc = tx_tree_openable(file->path, &st, "read", err);
    tx_tree_stat_from(&file->file.stat, &st);
    if (rc == 0)
        give(stream);
    return rc;
}

struct tt_op *tx_local_open_read(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"open", stream_cancel, stream_open_free};
    struct local_file *file = file_new(env, path);
    return stream_start(tt_zalloc(sizeof(struct stream_op)), file, &class_, scope, do_open_read);
}

/* Where writing to path really goes: symlinks at its end followed, also a dangling one's. */
static int follow(const char *path, char **final, struct tt_error **err)
{
    enum { max_links = 40 };
    char *at = tt_strdup(path);
    for (int links = 0; links < max_links; links++) {
        struct tt_stat stat = {0};
        bool exists;
        int rc = tx_tree_stat(at, false, &stat, &exists, err);
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
static int take_owner(struct local_file *file, const struct stat *old, struct tt_error **err)
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

static int open_temporary(struct local_file *file, const struct stat *old, struct tt_error **err)
{
    /* not readable by others before it has the mode that it shall have */
    mode_t mode = old || file->mode >= 0 ? 0600 : 0666;
    if (old &&
        (TT_FAULT("local_stream.access") || faccessat(AT_FDCWD, file->final, W_OK, AT_EACCESS) < 0))
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    if (old && file->mode < 0)
        file->mode = (int)(old->st_mode & 07777);
    for (int tries = 0; file->fd < 0 && tries < 100; tries++) {
        char *name = tx_tree_temporary(file->final);
        file->fd = TT_FAULT("local_stream.create")
                       ? -1
                       : open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (file->fd >= 0) {
            file->temporary = name;
            break;
        }
        int errnum = errno;
        free(name);
        if (errnum != EEXIST)
            return tt_fail_errno(err, errnum, "cannot write %s", file->path);
    }
    if (file->fd < 0)
        return tt_fail_errno(err, EEXIST, "cannot write %s", file->path);
    return old ? take_owner(file, old, err) : 0;
}

static int do_open_write(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct local_file *file = stream->file;
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
        rc = tx_tree_openable(file->path, &st, "written", err);
    if (rc < 0)
        return rc;
    if (exists && !S_ISREG(st.st_mode)) {
        file->mode = -1;
        file->fd = TT_FAULT("local_stream.device") ? -1 : open_now(file->final, O_WRONLY);
        if (file->fd < 0)
            return tt_fail_errno(err, errno, "cannot write %s", file->path);
    } else {
        rc = open_temporary(file, exists ? &st : NULL, err);
    }
    if (rc == 0)
        give(stream);
    return rc;
}

struct tt_op *tx_local_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  const struct tt_write_options *options)
{
    static const struct tt_op_class class_ = {"open", stream_cancel, stream_open_free};
    struct local_file *file = file_new(env, path);
    file->mode = options->mode >= 0 ? options->mode & 07777 : -1;
    file->size = options->size;
    return stream_start(tt_zalloc(sizeof(struct stream_op)), file, &class_, scope, do_open_write);
}
