/* Writing to a container by PUT of /containers/ID/archive: a file, a directory, a symlink. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/docker/files.h"
#include "executors/docker/send.h"
#include "executors/remote/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- one entry is packed and sent --- */

struct put {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker; /* held */
    char *container, *folder, *name, *target;
    char type;
    unsigned mode;
    int content; /* borrowed */
    int64_t size;
    int archive;
};

static struct put *put_of(struct tt_op *op)
{
    return (struct put *)(void *)op;
}

static void put_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&put_of(op)->chain, why);
}

static void put_free(struct tt_op *op)
{
    struct put *put = put_of(op);
    if (put->archive >= 0)
        close(put->archive);
    tx_docker_release(put->docker);
    free(put->container);
    free(put->folder);
    free(put->name);
    free(put->target);
    free(put);
}

static int pack(void *arg, struct tt_error **err)
{
    struct put *put = arg;
    struct tx_tar_entry entry = {.path = put->name,
                                 .type = put->type,
                                 .mode = put->mode,
                                 .target = put->target,
                                 .content = put->content,
                                 .size = put->size};
    put->archive = tx_tar_file(err);
    return put->archive < 0 ? put->archive : tx_tar_write(put->archive, &entry, 1, err);
}

static void on_sent(struct tt_op *op, struct tt_op *sent)
{
    struct put *put = put_of(op);
    struct tt_error *err = tt_error_copy(sent->error);
    if (err)
        tt_fail(&err, err->kind, "%s/%s", put->folder, put->name);
    else
        tx_exchange_free(tx_docker_sent(sent));
    tt_op_finish(op, err);
}

static void on_packed(struct tt_op *op, struct tt_op *packed)
{
    struct put *put = put_of(op);
    if (packed->error) {
        tt_op_finish(op, tt_error_copy(packed->error));
        return;
    }
    struct tt_buf path = {0};
    tt_buf_text(&path, "/containers/");
    tx_url_escape(&path, put->container);
    tt_buf_text(&path, "/archive?noOverwriteDirNonDir=1&path=");
    tx_url_escape(&path, *put->folder ? put->folder : "/");
    struct tx_docker_request request = {.method = "PUT",
                                        .path = path.data,
                                        .content_type = "application/x-tar",
                                        .body = put->archive,
                                        .patience = TT_NEVER};
    put->archive = -1;
    tt_then(&put->chain, op, tx_docker_send(put->docker, op->scope, &request), on_sent);
    tt_buf_free(&path);
}

static struct put *put_new(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                           const char *path)
{
    static const struct tt_op_class class_ = {"archive", put_cancel, put_free};
    struct put *put = tt_zalloc(sizeof *put);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *trimmed = tt_strndup(path, length);
    char *slash = strrchr(trimmed, '/');
    put->docker = rooms->docker;
    tx_docker_retain(put->docker);
    put->container = tt_strdup(rooms->container);
    put->folder = tt_strndup(trimmed, slash ? (size_t)(slash - trimmed) : 0);
    put->name = tt_strdup(slash ? slash + 1 : trimmed);
    put->content = put->archive = -1;
    free(trimmed);
    tt_op_init(&put->op, &class_, scope);
    return put;
}

static struct tt_op *put_start(struct put *put)
{
    if (!tt_op_finished(&put->op))
        tt_then(&put->chain, &put->op, tt_work(put->op.scope, "pack", pack, put, NULL), on_packed);
    return &put->op;
}

struct tt_op *tx_archive_make(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path, char type, unsigned mode, const char *target)
{
    struct put *put = put_new(rooms, scope, path);
    put->type = type;
    put->mode = mode;
    put->target = target ? tt_strdup(target) : NULL;
    return put_start(put);
}

/* --- a file that is being written: kept here until it is committed --- */

struct draft {
    struct tt_file file;
    struct tx_docker_rooms rooms;
    char *container, *path;
    int fd;
    unsigned mode;
    int64_t size, written;
};

static struct draft *draft_of(struct tt_file *file)
{
    return (struct draft *)(void *)file;
}

static struct tt_op *draft_read(struct tt_file *file, struct tt_scope *scope, size_t max)
{
    (void)max;
    return tt_op_finished_new(
        scope, tt_error_new(TT_INVALID, "%s was opened for writing", draft_of(file)->path));
}

static struct tt_op *draft_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                 size_t length)
{
    struct draft *draft = draft_of(file);
    struct tt_error *err = NULL;
    for (size_t at = 0; at < length && !err;) {
        ssize_t n = TT_FAULT("docker_archive_put.write")
                        ? -1
                        : write(draft->fd, (const char *)data + at, length - at);
        if (n < 0)
            tt_fail_errno(&err, errno, "a temporary file");
        else
            at += (size_t)n;
    }
    draft->written += (int64_t)length;
    return tt_op_finished_new(scope, err);
}

static struct tt_op *draft_commit(struct tt_file *file, struct tt_scope *scope)
{
    struct draft *draft = draft_of(file);
    if (draft->size >= 0 && draft->size != draft->written)
        return tt_op_finished_new(scope,
                                  tt_error_new(TT_IO, "%s: %lld bytes came, not %lld", draft->path,
                                               (long long)draft->written, (long long)draft->size));
    struct put *put = put_new(&draft->rooms, scope, draft->path);
    put->type = 'f';
    put->mode = draft->mode;
    put->content = draft->fd;
    put->size = draft->written;
    return put_start(put);
}

static void draft_free(struct tt_file *file)
{
    struct draft *draft = draft_of(file);
    if (draft->fd >= 0)
        close(draft->fd);
    tx_docker_release(draft->rooms.docker);
    tt_env_release(draft->file.env);
    free(draft->container);
    free(draft->path);
    free(draft);
}

struct opening {
    struct tt_file_op file;
    struct tt_chain chain;
    struct draft *draft;
    bool keep_mode;
};

static struct opening *opening_of(struct tt_op *op)
{
    return (struct opening *)(void *)op;
}

static void opening_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&opening_of(op)->chain, why);
}

static void opening_free(struct tt_op *op)
{
    if (opening_of(op)->draft)
        draft_free(&opening_of(op)->draft->file);
    tt_file_op_free(op);
}

static void on_looked(struct tt_op *op, struct tt_op *looked)
{
    struct opening *opening = opening_of(op);
    struct draft *draft = opening->draft;
    const struct tt_stat *stat = tt_stat_of(looked);
    struct tt_error *err = tt_error_copy(looked->error);
    if (!err && stat && stat->type == TT_FILE_DIRECTORY)
        err = tt_error_new(TT_IO, "%s is a directory", draft->path);
    if (!err) {
        if (stat && opening->keep_mode)
            draft->mode = stat->mode;
        if (stat) { /* what a symlink leads to */
            free(draft->path);
            draft->path = tt_strdup(tx_archive_stat_path(looked));
        }
        draft->fd = tx_tar_file(&err);
    }
    if (!err) {
        opening->file.file = &draft->file;
        opening->draft = NULL;
    }
    tt_op_finish(op, err);
}

struct tt_op *tx_archive_open_write(struct tt_env *env, const struct tx_docker_rooms *rooms,
                                    struct tt_scope *scope, const char *path,
                                    const struct tt_write_options *options)
{
    static const struct tt_op_class class_ = {"open", opening_cancel, opening_free};
    static const struct tt_file_stream_class draft_class = {.read = draft_read,
                                                            .write = draft_write,
                                                            .digest = tt_file_no_digest,
                                                            .commit = draft_commit,
                                                            .free = draft_free};
    struct opening *opening = tt_zalloc(sizeof *opening);
    struct draft *draft = opening->draft = tt_zalloc(sizeof *draft);
    draft->file.class_ = &draft_class;
    draft->file.env = env;
    tt_env_retain(env);
    draft->rooms = *rooms;
    tx_docker_retain(rooms->docker);
    draft->rooms.container = draft->container = tt_strdup(rooms->container);
    draft->path = tt_strdup(path);
    draft->fd = -1;
    draft->mode = options->mode >= 0 ? (unsigned)options->mode : 0644;
    draft->size = options->size;
    opening->keep_mode = options->mode < 0;
    tt_op_init(&opening->file.op, &class_, scope);
    if (!tt_op_finished(&opening->file.op))
        tt_then(&opening->chain, &opening->file.op, tx_archive_stat(rooms, scope, path, true),
                on_looked);
    return &opening->file.op;
}
