#include "executors/local/files.h"

#include "core/files/tree.h"
#include "executors/local/stream.h"

#include "core/async/work.h"
#include "core/base/alloc.h"

#include <stdlib.h>

/* One kind of operation for all: a call on a worker thread, with what it takes and what it gives.
 * The result comes first, where its accessor looks for it. */
struct local_op {
    union {
        struct tt_op op;
        struct tt_stat_op stat;
        struct tt_entries_op entries;
        struct tt_digest_op digest;
    } is;
    struct tt_call call;
    char *path, *target;
    char **patterns;
    size_t count;
    bool flag; /* follow, recursive */
    int mode;
};

static struct local_op *local_of(struct tt_op *op)
{
    return (struct local_op *)(void *)op;
}

static void local_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_call_cancel(&local_of(op)->call, why);
}

static void free_inputs(struct local_op *local)
{
    for (size_t i = 0; i < local->count; i++)
        free(local->patterns[i]);
    free(local->patterns);
    free(local->path);
    free(local->target);
}

static void local_free(struct tt_op *op)
{
    free_inputs(local_of(op));
    free(op);
}

static void local_stat_free(struct tt_op *op)
{
    free_inputs(local_of(op));
    tt_stat_op_free(op);
}

static void local_entries_free(struct tt_op *op)
{
    free_inputs(local_of(op));
    tt_entries_op_free(op);
}

static struct local_op *local_new(const char *path)
{
    struct local_op *local = tt_zalloc(sizeof *local);
    local->path = tt_strdup(path);
    return local;
}

static struct tt_op *local_start(struct local_op *local, const struct tt_op_class *class_,
                                 struct tt_scope *scope,
                                 int (*work)(struct tt_op *, struct tt_error **))
{
    struct tt_op *op = &local->is.op;
    tt_op_init(op, class_, scope);
    if (!tt_op_finished(op))
        tt_call_start(&local->call, op, class_->name, work);
    return op;
}

static int do_stat(struct tt_op *op, struct tt_error **err)
{
    struct local_op *local = local_of(op);
    struct tt_stat_op *result = &local->is.stat;
    return tt_tree_stat(local->path, local->flag, &result->stat, &result->exists, err);
}

static struct tt_op *files_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                                bool follow)
{
    static const struct tt_op_class class_ = {"stat", local_cancel, local_stat_free};
    struct local_op *local = local_new(path);
    (void)env;
    local->flag = follow;
    return local_start(local, &class_, scope, do_stat);
}

static int do_list(struct tt_op *op, struct tt_error **err)
{
    struct local_op *local = local_of(op);
    return tt_tree_list(local->path, &local->is.entries.entries, &local->call.stop, err);
}

static struct tt_op *files_list(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"list", local_cancel, local_entries_free};
    (void)env;
    return local_start(local_new(path), &class_, scope, do_list);
}

static int do_remove(struct tt_op *op, struct tt_error **err)
{
    struct local_op *local = local_of(op);
    return tt_tree_remove(local->path, local->flag, &local->call.stop, err);
}

static struct tt_op *files_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  bool recursive)
{
    static const struct tt_op_class class_ = {"remove", local_cancel, local_free};
    struct local_op *local = local_new(path);
    (void)env;
    local->flag = recursive;
    return local_start(local, &class_, scope, do_remove);
}

static int do_mkdir(struct tt_op *op, struct tt_error **err)
{
    return tt_tree_mkdir(local_of(op)->path, local_of(op)->mode, err);
}

static struct tt_op *files_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                                 int mode)
{
    static const struct tt_op_class class_ = {"mkdir", local_cancel, local_free};
    struct local_op *local = local_new(path);
    (void)env;
    local->mode = mode;
    return local_start(local, &class_, scope, do_mkdir);
}

static int do_symlink(struct tt_op *op, struct tt_error **err)
{
    return tt_tree_symlink(local_of(op)->target, local_of(op)->path, err);
}

static struct tt_op *files_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                   const char *path)
{
    static const struct tt_op_class class_ = {"symlink", local_cancel, local_free};
    struct local_op *local = local_new(path);
    (void)env;
    local->target = tt_strdup(target);
    return local_start(local, &class_, scope, do_symlink);
}

static int do_digest(struct tt_op *op, struct tt_error **err)
{
    struct local_op *local = local_of(op);
    return tt_tree_digest(local->path, local->is.digest.hex, &local->call.stop, err);
}

static struct tt_op *files_digest(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"digest", local_cancel, local_free};
    (void)env;
    return local_start(local_new(path), &class_, scope, do_digest);
}

static int do_glob(struct tt_op *op, struct tt_error **err)
{
    struct local_op *local = local_of(op);
    return tt_tree_glob(local->path, local->patterns, local->count, &local->is.entries.entries,
                        &local->call.stop, err);
}

static struct tt_op *files_glob(struct tt_env *env, struct tt_scope *scope, const char *root,
                                const char *const *patterns, size_t count)
{
    static const struct tt_op_class class_ = {"glob", local_cancel, local_entries_free};
    struct local_op *local = local_new(root && *root ? root : ".");
    (void)env;
    local->count = count;
    local->patterns = tt_reallocarray(NULL, count, sizeof *local->patterns);
    for (size_t i = 0; i < count; i++)
        local->patterns[i] = tt_strdup(patterns[i]);
    return local_start(local, &class_, scope, do_glob);
}

const struct tt_file_class tx_local_files = {
    .stat = files_stat,
    .list = files_list,
    .open_read = tx_local_open_read,
    .open_write = tx_local_open_write,
    .remove = files_remove,
    .mkdir = files_mkdir,
    .symlink = files_symlink,
    .digest = files_digest,
    .glob = files_glob,
    .put_tree = tt_no_put_tree,
    .get_tree = tt_no_get_tree,
};
