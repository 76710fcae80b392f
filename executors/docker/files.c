#include "executors/docker/files.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "executors/docker/internal.h"
#include "executors/remote/shell_files.h"

#include <stdlib.h>
#include <string.h>

enum what { STAT, LIST, READ, WRITE, REMOVE, MKDIR, SYMLINK, DIGEST, GLOB };

/* An operation that is only chosen once it is known whether the image has a shell. */
struct choice {
    union {
        struct tt_op op;
        struct tt_stat_op stat;
        struct tt_entries_op entries;
        struct tt_file_op file;
        struct tt_digest_op digest;
    } is;
    struct tt_chain chain;
    struct tt_env *env; /* held */
    enum what what;
    char *path, *target, **patterns;
    size_t count;
    bool flag;
    int mode;
    struct tt_write_options options;
    struct tt_file *reading; /* for a digest */
    struct tt_digest *digest;
};

static struct choice *of(struct tt_op *op)
{
    return (struct choice *)(void *)op;
}

static struct tx_docker_rooms rooms_of(struct tt_env *env)
{
    struct tx_docker_env *docker = tx_docker_env_of(env);
    return (struct tx_docker_rooms){docker->docker, docker->container, &docker->shell};
}

static void choice_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void choice_free(struct tt_op *op)
{
    struct choice *choice = of(op);
    if (choice->reading)
        choice->reading->class_->free(choice->reading);
    tt_digest_free(choice->digest);
    for (size_t i = 0; i < choice->count; i++)
        free(choice->patterns[i]);
    free(choice->patterns);
    free(choice->path);
    free(choice->target);
    tt_env_release(choice->env);
    switch (choice->what) {
    case STAT:
        tt_stat_op_free(op);
        break;
    case LIST:
    case GLOB:
        tt_entries_op_free(op);
        break;
    case READ:
    case WRITE:
        tt_file_op_free(op);
        break;
    default:
        free(op);
    }
}

/* What the chosen one gave becomes ours. */
static void on_done(struct tt_op *op, struct tt_op *done)
{
    struct choice *choice = of(op);
    struct tt_stat_op *stat = (struct tt_stat_op *)(void *)done;
    struct tt_entries_op *entries = (struct tt_entries_op *)(void *)done;
    if (!done->error) {
        switch (choice->what) {
        case STAT:
            choice->is.stat.stat = stat->stat;
            choice->is.stat.exists = stat->exists;
            stat->stat.target = NULL;
            break;
        case LIST:
        case GLOB:
            choice->is.entries.entries = entries->entries;
            entries->entries = (struct tt_entries){0};
            break;
        case READ:
        case WRITE:
            choice->is.file.file = tt_file_of(done);
            break;
        case DIGEST:
            memcpy(choice->is.digest.hex, tt_digest_of(done), 65);
            break;
        default:
            break;
        }
    }
    tt_op_finish(op, tt_error_copy(done->error));
}

/* --- by the shell --- */

static struct tt_op *by_shell(struct choice *c, struct tt_scope *scope)
{
    const struct tt_file_class *files = &tx_shell_files;
    switch (c->what) {
    case STAT:
        return files->stat(c->env, scope, c->path, c->flag);
    case LIST:
        return files->list(c->env, scope, c->path);
    case READ:
        return files->open_read(c->env, scope, c->path);
    case WRITE:
        return files->open_write(c->env, scope, c->path, &c->options);
    case REMOVE:
        return files->remove(c->env, scope, c->path, c->flag);
    case MKDIR:
        return files->mkdir(c->env, scope, c->path, c->mode);
    case SYMLINK:
        return files->symlink(c->env, scope, c->target, c->path);
    case DIGEST:
        return files->digest(c->env, scope, c->path);
    default:
        return files->glob(c->env, scope, c->path, (const char *const *)c->patterns, c->count);
    }
}

/* --- by archives --- */

static void on_chunk(struct tt_op *op, struct tt_op *read)
{
    struct choice *choice = of(op);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    struct tt_error *err = tt_error_copy(read->error);
    if (!err && bytes->length) {
        tt_digest_add(choice->digest, bytes->data, bytes->length);
        tt_then(&choice->chain, op,
                choice->reading->class_->read(choice->reading, op->scope, 256 << 10), on_chunk);
        return;
    }
    if (!err)
        tt_digest_hex(choice->digest, choice->is.digest.hex, &err);
    tt_op_finish(op, err);
}

static void on_opened(struct tt_op *op, struct tt_op *opened)
{
    struct choice *choice = of(op);
    struct tt_error *err = tt_error_copy(opened->error);
    choice->reading = err ? NULL : tt_file_of(opened);
    if (err || tt_digest_new(&choice->digest, &err) < 0)
        tt_op_finish(op, err);
    else
        tt_then(&choice->chain, op,
                choice->reading->class_->read(choice->reading, op->scope, 256 << 10), on_chunk);
}

static void on_there(struct tt_op *op, struct tt_op *looked)
{
    struct choice *choice = of(op);
    const struct tt_stat *stat = tt_stat_of(looked);
    struct tx_docker_rooms rooms = rooms_of(choice->env);
    if (looked->error)
        tt_op_finish(op, tt_error_copy(looked->error));
    else if (stat && choice->what == MKDIR && stat->type == TT_FILE_DIRECTORY && choice->mode < 0)
        tt_op_finish(op, NULL);
    else if (stat && choice->what == MKDIR && stat->type != TT_FILE_DIRECTORY)
        tt_op_finish(op, tt_error_new(TT_IO, "%s is no directory", choice->path));
    else
        tt_then(&choice->chain, op,
                tx_archive_make(&rooms, op->scope, choice->path, 'd',
                                choice->mode >= 0 ? (unsigned)choice->mode : 0755, NULL),
                on_done);
}

static void by_archive(struct choice *c, struct tt_op *op)
{
    struct tx_docker_rooms rooms = rooms_of(c->env);
    struct tt_op *chosen = NULL;
    if (*c->path != '/' && c->what != GLOB) {
        char *absolute = tt_format("/%s", c->path); /* an image's directory is not known here */
        free(c->path);
        c->path = absolute;
    }
    switch (c->what) {
    case STAT:
        chosen = tx_archive_stat(&rooms, op->scope, c->path, c->flag);
        break;
    case LIST:
        chosen = tx_archive_list(&rooms, op->scope, c->path);
        break;
    case READ:
        chosen = tx_archive_open_read(c->env, &rooms, op->scope, c->path);
        break;
    case WRITE:
        chosen = tx_archive_open_write(c->env, &rooms, op->scope, c->path, &c->options);
        break;
    case REMOVE:
        chosen = tt_file_unsupported(c->env, op->scope, "removing files without a shell");
        break;
    case SYMLINK:
        chosen = tx_archive_make(&rooms, op->scope, c->path, 'l', 0777, c->target);
        break;
    case GLOB:
        chosen = tt_glob_by_listing(c->env, op->scope, c->path, (const char *const *)c->patterns,
                                    c->count);
        break;
    case MKDIR:
        tt_then(&c->chain, op, tx_archive_stat(&rooms, op->scope, c->path, true), on_there);
        return;
    case DIGEST:
        tt_then(&c->chain, op, tx_archive_open_read(c->env, &rooms, op->scope, c->path), on_opened);
        return;
    }
    tt_then(&c->chain, op, chosen, on_done);
}

/* --- choosing --- */

static void choose(struct choice *choice, struct tt_op *op)
{
    if (*rooms_of(choice->env).shell > 0)
        tt_then(&choice->chain, op, by_shell(choice, op->scope), on_done);
    else
        by_archive(choice, op);
}

static void on_shell(struct tt_op *op, struct tt_op *looked)
{
    struct choice *choice = of(op);
    if (looked->error) {
        tt_op_finish(op, tt_error_copy(looked->error));
        return;
    }
    *rooms_of(choice->env).shell = tt_stat_of(looked) ? 1 : -1;
    choose(choice, op);
}

static void on_ready(struct tt_op *op, struct tt_op *ready)
{
    struct choice *choice = of(op);
    struct tx_docker_rooms rooms = rooms_of(choice->env);
    if (ready->error) {
        tt_op_finish(op, tt_error_copy(ready->error));
    } else if (!rooms.container) {
        tt_op_finish(op, tt_error_new(TT_CONNECT, "%s was closed", choice->env->text));
    } else if (*rooms.shell) {
        choose(choice, op);
    } else {
        tt_then(&choice->chain, op, tx_archive_stat(&rooms, op->scope, "/bin/sh", false), on_shell);
    }
}

static struct choice *choice_new(struct tt_env *env, struct tt_scope *scope, enum what what,
                                 const char *path)
{
    static const struct tt_op_class class_ = {"file", choice_cancel, choice_free};
    struct choice *choice = tt_zalloc(sizeof *choice);
    choice->env = env;
    tt_env_retain(env);
    choice->what = what;
    choice->path = tt_strdup(path);
    tt_op_init(&choice->is.op, &class_, scope);
    return choice;
}

static struct tt_op *start(struct choice *choice)
{
    struct tt_op *op = &choice->is.op;
    if (tt_op_finished(op))
        return op;
    tt_then(&choice->chain, op, tx_docker_env_of(choice->env)->ready(choice->env, op->scope),
            on_ready);
    return op;
}

/* With a shell, nothing stands between the caller and its files. */
static bool has_shell(struct tt_env *env)
{
    struct tx_docker_rooms rooms = rooms_of(env);
    return rooms.container && *rooms.shell > 0;
}

static struct tt_op *file_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                               bool follow)
{
    if (has_shell(env))
        return tx_shell_files.stat(env, scope, path, follow);
    struct choice *choice = choice_new(env, scope, STAT, path);
    choice->flag = follow;
    return start(choice);
}

static struct tt_op *file_list(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    return has_shell(env) ? tx_shell_files.list(env, scope, path)
                          : start(choice_new(env, scope, LIST, path));
}

static struct tt_op *file_open_read(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    return has_shell(env) ? tx_shell_files.open_read(env, scope, path)
                          : start(choice_new(env, scope, READ, path));
}

static struct tt_op *file_open_write(struct tt_env *env, struct tt_scope *scope, const char *path,
                                     const struct tt_write_options *options)
{
    if (has_shell(env))
        return tx_shell_files.open_write(env, scope, path, options);
    struct choice *choice = choice_new(env, scope, WRITE, path);
    choice->options = *options;
    return start(choice);
}

static struct tt_op *file_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                                 bool recursive)
{
    if (has_shell(env))
        return tx_shell_files.remove(env, scope, path, recursive);
    struct choice *choice = choice_new(env, scope, REMOVE, path);
    choice->flag = recursive;
    return start(choice);
}

static struct tt_op *file_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                                int mode)
{
    if (has_shell(env))
        return tx_shell_files.mkdir(env, scope, path, mode);
    struct choice *choice = choice_new(env, scope, MKDIR, path);
    choice->mode = mode;
    return start(choice);
}

static struct tt_op *file_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                  const char *path)
{
    if (has_shell(env))
        return tx_shell_files.symlink(env, scope, target, path);
    struct choice *choice = choice_new(env, scope, SYMLINK, path);
    choice->target = tt_strdup(target);
    return start(choice);
}

static struct tt_op *file_digest(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    return has_shell(env) ? tx_shell_files.digest(env, scope, path)
                          : start(choice_new(env, scope, DIGEST, path));
}

static struct tt_op *file_glob(struct tt_env *env, struct tt_scope *scope, const char *root,
                               const char *const *patterns, size_t count)
{
    if (has_shell(env))
        return tx_shell_files.glob(env, scope, root, patterns, count);
    struct choice *choice = choice_new(env, scope, GLOB, root);
    choice->patterns = tt_reallocarray(NULL, count, sizeof *choice->patterns);
    for (; choice->count < count; choice->count++)
        choice->patterns[choice->count] = tt_strdup(patterns[choice->count]);
    return start(choice);
}

/* The copy has looked at the place before: whether there is a shell is known. */
static struct tt_op *file_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                                   const char *there)
{
    return has_shell(env) ? tx_shell_files.put_tree(env, scope, here, there)
                          : tt_no_put_tree(env, scope, here, there);
}

static struct tt_op *file_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                                   const char *here)
{
    return has_shell(env) ? tx_shell_files.get_tree(env, scope, there, here)
                          : tt_no_get_tree(env, scope, there, here);
}

const struct tt_file_class tx_docker_files = {
    .stat = file_stat,
    .list = file_list,
    .open_read = file_open_read,
    .open_write = file_open_write,
    .remove = file_remove,
    .mkdir = file_mkdir,
    .symlink = file_symlink,
    .digest = file_digest,
    .glob = file_glob,
    .put_tree = file_put_tree,
    .get_tree = file_get_tree,
};
