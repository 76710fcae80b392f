#include "core/files/fd_file.h"

#include "core/async/work.h"
#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "core/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void tt_fd_file_retain(struct tt_fd_file *file)
{
    file->refs++;
}

void tt_fd_file_release(struct tt_fd_file *file)
{
    if (!file || --file->refs > 0)
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
    tt_fd_file_release((struct tt_fd_file *)(void *)file);
}

/* --- operations on an open file --- */

struct stream_op {
    union {
        struct tt_op op;
        struct tt_bytes_op bytes;
        struct tt_digest_op digest;
    } is;
    struct tt_call call;
    struct tt_fd_file *file;
    const char *data; /* to be written; borrowed */
    size_t length;
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
    tt_fd_file_release(stream_of(op)->file);
    free(op);
}

static void stream_read_free(struct tt_op *op)
{
    tt_fd_file_release(stream_of(op)->file);
    tt_bytes_op_free(op);
}

static struct tt_op *stream_start(struct stream_op *stream, struct tt_fd_file *file,
                                  const struct tt_op_class *class_, struct tt_scope *scope,
                                  int (*work)(struct tt_op *, struct tt_error **))
{
    struct tt_op *op = &stream->is.op;
    stream->file = file;
    tt_fd_file_retain(file);
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
        got = TT_FAULT("fd_file.read") ? -1 : read(stream->file->fd, bytes->data, stream->length);
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
    return stream_start(stream, (struct tt_fd_file *)(void *)file, &class_, scope, do_read);
}

/* Reads back what was just written at `offset`. */
static int compare(const struct tt_fd_file *file, const char *data, size_t length, off_t offset,
                   struct tt_error **err)
{
    enum { piece = 128 * 1024 };
    size_t room = length < piece ? length : piece;
    char *back = malloc(room);
    if (!back)
        return tt_fail_errno(err, ENOMEM, "cannot check %s", file->path);
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < length;) {
        size_t want = length - done < room ? length - done : room;
        ssize_t got =
            TT_FAULT("fd_file.compare") ? -1 : pread(file->fd, back, want, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = tt_fail_errno(err, errno, "cannot check %s", file->path);
        else if (got == 0 || memcmp(back, data + done, (size_t)got) != 0)
            rc = tt_fail(err, TT_IO, "%s does not hold what was written to it", file->path);
        else
            done += (size_t)got;
    }
    free(back);
    return rc;
}

static int do_write(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct tt_fd_file *file = stream->file;
    for (size_t done = 0; done < stream->length;) {
        ssize_t wrote = TT_FAULT("fd_file.write")
                            ? -1
                            : write(file->fd, stream->data + done, stream->length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return tt_fail_errno(err, errno, "cannot write %s", file->path);
        done += (size_t)wrote;
        file->written += wrote;
    }
    return !file->file.compares || !file->temporary
               ? 0
               : compare(file, stream->data, stream->length, file->written - (off_t)stream->length,
                         err);
}

static struct tt_op *stream_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                  size_t length)
{
    static const struct tt_op_class class_ = {"write", stream_cancel, stream_op_free};
    struct stream_op *stream = tt_zalloc(sizeof *stream);
    stream->data = data;
    stream->length = length;
    return stream_start(stream, (struct tt_fd_file *)(void *)file, &class_, scope, do_write);
}

int tt_fd_file_commit(struct tt_fd_file *file, struct tt_error **err)
{
    if (file->size >= 0 && file->written != file->size)
        return tt_fail(err, TT_IO, "%s: %lld bytes were to be written, %lld came", file->path,
                       (long long)file->size, (long long)file->written);
    if (file->mode >= 0 && (TT_FAULT("fd_file.chmod") || fchmod(file->fd, (mode_t)file->mode) < 0))
        return tt_fail_errno(err, errno, "cannot set the mode of %s", file->path);
    /* closing may be what tells of a full disk */
    int closed = close(file->fd);
    file->fd = -1;
    if (TT_FAULT("fd_file.close") || closed < 0)
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    if (!file->temporary)
        return 0;
    if (TT_FAULT("fd_file.rename") || rename(file->temporary, file->final) < 0)
        return tt_fail_errno(err, errno, "cannot write %s", file->path);
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}

static int digest_content(const struct tt_fd_file *file, struct tt_digest *digest,
                          const atomic_bool *stop, struct tt_error **err)
{
    enum { piece = 256 * 1024 };
    char *bytes = tt_alloc(piece);
    uint64_t done = 0, size = file->file.stat.size;
    int rc = 0;
    while (rc == 0 && done < size) {
        size_t want = size - done < piece ? (size_t)(size - done) : piece;
        ssize_t got = TT_FAULT("fd_file.digest") ? -1 : pread(file->fd, bytes, want, (off_t)done);
        if (got < 0 && errno != EINTR)
            rc = tt_fail_errno(err, errno, "cannot read %s", file->path);
        else if (got == 0)
            rc = tt_fail(err, TT_IO, "%s became shorter while it was copied", file->path);
        else if (got > 0)
            tt_digest_add(digest, bytes, (size_t)got);
        done += got > 0 ? (uint64_t)got : 0;
        if (rc == 0)
            rc = tt_call_check(stop, err);
    }
    free(bytes);
    return rc;
}

static int do_digest(struct tt_op *op, struct tt_error **err)
{
    struct stream_op *stream = stream_of(op);
    struct tt_digest *digest = NULL;
    int rc = tt_digest_new(&digest, err);
    if (rc == 0)
        rc = digest_content(stream->file, digest, &stream->call.stop, err);
    if (rc == 0)
        rc = tt_digest_hex(digest, stream->is.digest.hex, err);
    tt_digest_free(digest);
    return rc;
}

static struct tt_op *stream_digest(struct tt_file *file, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"hashing", stream_cancel, stream_op_free};
    if (!file->rereads)
        return tt_file_no_digest(file, scope);
    return stream_start(tt_zalloc(sizeof(struct stream_op)), (struct tt_fd_file *)(void *)file,
                        &class_, scope, do_digest);
}

static int do_commit(struct tt_op *op, struct tt_error **err)
{
    return tt_fd_file_commit(stream_of(op)->file, err);
}

static struct tt_op *stream_commit(struct tt_file *file, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"commit", stream_cancel, stream_op_free};
    return stream_start(tt_zalloc(sizeof(struct stream_op)), (struct tt_fd_file *)(void *)file,
                        &class_, scope, do_commit);
}

static const struct tt_file_stream_class stream_class = {stream_read, stream_write, stream_digest,
                                                         stream_commit, stream_free};

struct tt_fd_file *tt_fd_file_new(struct tt_env *env, const char *path)
{
    struct tt_fd_file *file = tt_zalloc(sizeof *file);
    file->file.class_ = &stream_class;
    file->file.env = env;
    if (env)
        tt_env_retain(env);
    file->refs = 1;
    file->fd = -1;
    file->path = tt_strdup(path);
    file->mode = -1;
    file->size = -1;
    return file;
}

/* --- opening --- */

struct open_op {
    struct tt_file_op is;
    struct tt_call call;
    struct tt_fd_file *file; /* held */
    int (*open)(struct tt_fd_file *file, struct tt_error **err);
    bool opened; /* its first reference is the taker's */
};

static int do_open(struct tt_op *op, struct tt_error **err)
{
    struct open_op *opening = (struct open_op *)(void *)op;
    int rc = opening->open(opening->file, err);
    if (rc == 0) {
        opening->is.file = &opening->file->file;
        opening->opened = true;
    }
    return rc;
}

static void open_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_call_cancel(&((struct open_op *)(void *)op)->call, why);
}

static void open_free(struct tt_op *op)
{
    struct open_op *opening = (struct open_op *)(void *)op;
    if (!opening->opened)
        tt_fd_file_release(opening->file);
    tt_fd_file_release(opening->file);
    tt_file_op_free(op);
}

struct tt_op *tt_fd_file_open(struct tt_fd_file *file, struct tt_scope *scope,
                              int (*open)(struct tt_fd_file *file, struct tt_error **err))
{
    static const struct tt_op_class class_ = {"open", open_cancel, open_free};
    struct open_op *opening = tt_zalloc(sizeof *opening);
    opening->file = file;
    opening->open = open;
    tt_fd_file_retain(file);
    tt_op_init(&opening->is.op, &class_, scope);
    if (!tt_op_finished(&opening->is.op))
        tt_call_start(&opening->call, &opening->is.op, class_.name, do_open);
    return &opening->is.op;
}

/* The system's numbers, not the loop's: another process with the same seed writes there, too, and
 * this runs on worker threads. */
char *tt_temporary_beside(const char *path)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random =
            (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&random; /* EEXIST tells the rest */
    const char *slash = strrchr(path, '/');
    return tt_format("%.*s.tutti-%016llx", slash ? (int)(slash + 1 - path) : 0, path,
                     (unsigned long long)random);
}

int tt_fd_file_create(struct tt_fd_file *file, unsigned mode, struct tt_error **err)
{
    for (int tries = 0; tries < 100; tries++) {
        char *name = tt_temporary_beside(file->final);
        file->fd = TT_FAULT("fd_file.create")
                       ? -1
                       : open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
        if (file->fd >= 0) {
            file->temporary = name;
            file->file.compares = true;
            return 0;
        }
        int errnum = errno;
        free(name);
        if (errnum != EEXIST)
            return tt_fail_errno(err, errnum, "cannot write %s", file->path);
    }
    return tt_fail_errno(err, EEXIST, "cannot write %s", file->path);
}
