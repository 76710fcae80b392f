/* The files of an environment that has none. */
#include "executors/remote/no_files.h"

static struct tt_op *no_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                             bool follow)
{
    (void)path, (void)follow;
    return tt_file_unsupported(env, scope, "files");
}

static struct tt_op *no_path(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    (void)path;
    return tt_file_unsupported(env, scope, "files");
}

static struct tt_op *no_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                              const struct tt_write_options *options)
{
    (void)path, (void)options;
    return tt_file_unsupported(env, scope, "files");
}

static struct tt_op *no_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                              int mode)
{
    (void)path, (void)mode;
    return tt_file_unsupported(env, scope, "files");
}

static struct tt_op *no_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                const char *path)
{
    (void)target, (void)path;
    return tt_file_unsupported(env, scope, "files");
}

static struct tt_op *no_glob(struct tt_env *env, struct tt_scope *scope, const char *root,
                             const char *const *patterns, size_t count)
{
    (void)root, (void)patterns, (void)count;
    return tt_file_unsupported(env, scope, "files");
}

const struct tt_file_class tx_no_files = {
    .stat = no_stat,
    .list = no_path,
    .open_read = no_path,
    .open_write = no_write,
    .remove = no_stat,
    .mkdir = no_mkdir,
    .symlink = no_symlink,
    .digest = no_path,
    .glob = no_glob,
    .put_tree = tt_no_put_tree,
    .get_tree = tt_no_get_tree,
};
