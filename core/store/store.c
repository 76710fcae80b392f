/* Objects of the artifact store: made, kept under their digest, read. */
#include "core/async/work.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/local.h"
#include "core/files/fd_file.h"
#include "core/store/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tt_store_open(struct tt_store **out, const char *dir, struct tt_error **err)
{
    int rc = tt_make_directories(dir, err);
    if (rc < 0)
        return tt_context(err, "no artifact store");
    struct tt_store *store = tt_zalloc(sizeof *store);
    store->dir = tt_strdup(dir);
    *out = store;
    return 0;
}

void tt_store_free(struct tt_store *store)
{
    if (!store)
        return;
    free(store->dir);
    free(store);
}

const char *tt_store_dir(const struct tt_store *store)
{
    return store->dir;
}

/* --- making --- */

enum { object_mode = 0444 };

static int create(struct tt_fd_file *file, struct tt_error **err)
{
    return tt_fd_file_create(file, 0600, err);
}

static struct tt_fd_file *new_object(const struct tt_store *store, const char *what)
{
    char *path = tt_format("the artifact %s in the store %s", what, store->dir);
    struct tt_fd_file *file = tt_fd_file_new(NULL, path);
    free(path);
    file->final = tt_path_join(store->dir, "new"); /* the digest will be its name */
    file->mode = object_mode;
    return file;
}

struct tt_op *tt_store_create(struct tt_store *store, struct tt_scope *scope, const char *what)
{
    return tt_fd_file_open(new_object(store, what), scope, create);
}

static void name_object(struct tt_fd_file *file, const char *dir, const char *sha256)
{
    free(file->final);
    file->final = tt_path_join(dir, sha256);
}

struct tt_op *tt_store_keep(struct tt_store *store, struct tt_scope *scope, struct tt_file *file,
                            const char *sha256)
{
    name_object((struct tt_fd_file *)(void *)file, store->dir, sha256);
    return file->class_->commit(file, scope);
}

/* --- a short text at once --- */

struct put_op {
    struct tt_digest_op is;
    struct tt_call call;
    struct tt_fd_file *file;
    char *dir, *text;
};

static int do_put(struct tt_op *op, struct tt_error **err)
{
    struct put_op *put = (struct put_op *)(void *)op;
    struct tt_fd_file *file = put->file;
    size_t length = strlen(put->text);
    int rc = tt_digest_bytes(put->text, length, put->is.hex, err);
    if (rc == 0)
        rc = create(file, err);
    if (rc == 0 && (TT_FAULT("store.put") || write(file->fd, put->text, length) != (ssize_t)length))
        rc = tt_fail_errno(err, errno, "cannot write %s", file->path);
    name_object(file, put->dir, put->is.hex);
    return rc == 0 ? tt_fd_file_commit(file, err) : rc;
}

static void put_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_call_cancel(&((struct put_op *)(void *)op)->call, why);
}

static void put_free(struct tt_op *op)
{
    struct put_op *put = (struct put_op *)(void *)op;
    tt_fd_file_release(put->file);
    free(put->dir);
    free(put->text);
    free(put);
}

struct tt_op *tt_store_put(struct tt_store *store, struct tt_scope *scope, const char *text,
                           const char *what)
{
    static const struct tt_op_class class_ = {"storing an artifact", put_cancel, put_free};
    struct put_op *put = tt_zalloc(sizeof *put);
    put->file = new_object(store, what);
    put->dir = tt_strdup(store->dir);
    put->text = tt_strdup(text);
    tt_op_init(&put->is.op, &class_, scope);
    if (!tt_op_finished(&put->is.op))
        tt_call_start(&put->call, &put->is.op, class_.name, do_put);
    return &put->is.op;
}

/* --- reading --- */

static int open_object(struct tt_fd_file *file, struct tt_error **err)
{
    file->fd = TT_FAULT("store.open") ? -1 : open(file->final, O_RDONLY | O_CLOEXEC);
    if (file->fd >= 0)
        return 0;
    return tt_fail(err, errno == ENOENT ? TT_ARTIFACT : TT_IO, "%s cannot be read: %s", file->path,
                   strerror(errno));
}

struct tt_op *tt_store_get(struct tt_store *store, struct tt_scope *scope,
                           const struct tt_artifact *artifact)
{
    struct tt_fd_file *file = new_object(store, artifact->path);
    name_object(file, store->dir, artifact->sha256);
    return tt_fd_file_open(file, scope, open_object);
}
