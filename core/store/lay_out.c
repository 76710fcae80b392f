/* From the artifact store into an environment. */
#include "core/async/batch.h"
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/files/commit.h"
#include "core/files/confine.h"
#include "core/files/pump.h"
#include "core/store/parts.h"

#include <stdlib.h>
#include <string.h>

enum { at_once = 8, max_target = 65536 };

struct lay_out {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_store *store;
    struct tt_env *env;
    struct tt_confine *confine;
    struct tt_artifacts artifacts;
    char *root;
    size_t started;
};

/* One artifact on its way. */
struct item {
    struct tt_op op;
    struct tt_chain chain;
    struct lay_out *lay_out;
    const struct tt_artifact *artifact;
    char *path;           /* in the environment */
    char *parent;         /* its directory, relative to root; "" is root */
    char *target;         /* a symlink's, once read */
    struct tt_stat there; /* what stands at path now; target owned */
    bool exists;
    struct tt_file *object, *file;
};

static struct item *item_of(struct tt_op *op)
{
    return (struct item *)(void *)op;
}

static void lay_out_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct lay_out *)(void *)op)->chain, why);
}

static void lay_out_free(struct tt_op *op)
{
    struct lay_out *lay_out = (struct lay_out *)(void *)op;
    tt_artifacts_clear(&lay_out->artifacts);
    tt_confine_free(lay_out->confine);
    free(lay_out->root);
    tt_env_release(lay_out->env);
    free(lay_out);
}

/* --- one artifact --- */

static const struct tt_file_class *files_of(const struct item *item)
{
    return item->lay_out->env->class_->files;
}

static void then(struct item *item, struct tt_op *step, tt_chain_step *next)
{
    tt_then(&item->chain, &item->op, step, next);
}

static void item_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&item_of(op)->chain, why);
}

static void item_free(struct tt_op *op)
{
    struct item *item = item_of(op);
    if (item->object)
        item->object->class_->free(item->object);
    if (item->file)
        item->file->class_->free(item->file);
    free(item->path);
    free(item->parent);
    free(item->target);
    free(item->there.target);
    free(item);
}

static void on_last_step(struct tt_op *op, struct tt_op *step)
{
    if (!tt_chain_fails(op, step))
        tt_op_finish(op, NULL);
}

static void damaged(struct item *item, const char *where)
{
    tt_op_finish(&item->op, tt_error_new(TT_ARTIFACT, "the artifact %s is damaged in %s",
                                         item->artifact->path, where));
}

/* --- its content --- */

static void on_committed(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    bool is_damaged = !step->error && tt_commit_damaged(step);
    if (tt_chain_fails(op, step))
        return;
    if (is_damaged)
        damaged(item, item->path);
    else
        tt_op_finish(op, NULL);
}

/* Only what is right is made visible. */
static void on_pumped(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct tt_pump_op *pumped = (struct tt_pump_op *)(void *)step;
    bool same = strcmp(pumped->sha256, item->artifact->sha256) == 0;
    if (tt_chain_fails(op, step))
        return;
    if (same)
        then(item, tt_commit(item->file, item->path, item->artifact->sha256, NULL, item->op.scope),
             on_committed);
    else
        damaged(item, item->lay_out->store->dir);
}

static void on_file(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    item->file = tt_file_of(step);
    if (!tt_chain_fails(op, step))
        then(item, tt_pump(item->object, item->file, UINT64_MAX, true, item->op.scope), on_pumped);
}

static void on_object(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct lay_out *lay_out = item->lay_out;
    item->object = tt_file_of(step);
    if (tt_chain_fails(op, step))
        return;
    struct tt_write_options options = {.mode = (int)item->artifact->mode & 0777,
                                       .size = (int64_t)item->artifact->size};
    then(item, files_of(item)->open_write(lay_out->env, item->op.scope, item->path, &options),
         on_file);
}

static void write_file(struct item *item)
{
    then(item, tt_store_get(item->lay_out->store, item->op.scope, item->artifact), on_object);
}

static void on_removed(struct tt_op *op, struct tt_op *step)
{
    if (!tt_chain_fails(op, step))
        write_file(item_of(op));
}

static void on_there_digest(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    bool same = !step->error && strcmp(tt_digest_of(step), item->artifact->sha256) == 0;
    if (same)
        tt_op_finish(op, NULL);
    else
        write_file(item);
}

/* What is there already stays; a symlink there is replaced, never written through. */
static void lay_file(struct item *item)
{
    struct lay_out *lay_out = item->lay_out;
    bool file = item->exists && item->there.type == TT_FILE_REGULAR;
    if (item->exists && item->there.type == TT_FILE_SYMLINK)
        then(item, files_of(item)->remove(lay_out->env, item->op.scope, item->path, false),
             on_removed);
    else if (file && item->there.size == item->artifact->size &&
             item->there.mode == (item->artifact->mode & 0777))
        then(item, files_of(item)->digest(lay_out->env, item->op.scope, item->path),
             on_there_digest);
    else
        write_file(item);
}

/* --- a symlink --- */

static void on_target(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct lay_out *lay_out = item->lay_out;
    const struct tt_bytes *bytes = tt_bytes_of(step);
    char hex[tt_digest_hex_size] = "";
    struct tt_error *err = NULL;
    if (!step->error) {
        item->target = tt_strndup(bytes->data ? bytes->data : "", bytes->length);
        tt_digest_bytes(bytes->data, bytes->length, hex, &err);
    }
    if (tt_chain_fails(op, step)) {
        tt_error_free(err);
        return;
    }
    if (err)
        tt_op_finish(op, err);
    else if (strcmp(hex, item->artifact->sha256) != 0 || *item->target == '/')
        damaged(item, lay_out->store->dir);
    else if (item->exists && item->there.target && strcmp(item->there.target, item->target) == 0)
        tt_op_finish(op, NULL);
    else
        then(item, files_of(item)->symlink(lay_out->env, item->op.scope, item->target, item->path),
             on_last_step);
}

static void on_link_object(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    item->object = tt_file_of(step);
    if (!tt_chain_fails(op, step))
        then(item, item->object->class_->read(item->object, item->op.scope, max_target), on_target);
}

/* --- its place: a directory that is there and below root --- */

static void on_stat(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct lay_out *lay_out = item->lay_out;
    const struct tt_stat *stat = tt_stat_of(step);
    item->exists = stat != NULL;
    if (stat) {
        item->there = *stat;
        item->there.target = stat->target ? tt_strdup(stat->target) : NULL;
    }
    if (tt_chain_fails(op, step))
        return;
    if (tt_artifact_is_link(item->artifact))
        then(item, tt_store_get(lay_out->store, item->op.scope, item->artifact), on_link_object);
    else
        lay_file(item);
}

static void look(struct item *item)
{
    struct lay_out *lay_out = item->lay_out;
    then(item, files_of(item)->stat(lay_out->env, item->op.scope, item->path, false), on_stat);
}

static void on_parent_made(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    if (!tt_chain_fails(op, step))
        look(item);
}

static void on_confined(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct lay_out *lay_out = item->lay_out;
    if (tt_chain_fails(op, step))
        return;
    if (tt_confine_known(lay_out->confine, item->parent)) {
        look(item);
        return;
    }
    char *path = tt_path_join(lay_out->root, item->parent);
    then(item, files_of(item)->mkdir(lay_out->env, item->op.scope, path, -1), on_parent_made);
    free(path);
}

static struct tt_op *start(struct lay_out *lay_out, struct tt_scope *scope,
                           const struct tt_artifact *artifact)
{
    static const struct tt_op_class class_ = {"laying out an artifact", item_cancel, item_free};
    struct item *item = tt_zalloc(sizeof *item);
    const char *slash = strrchr(artifact->path, '/');
    item->lay_out = lay_out;
    item->artifact = artifact;
    item->path = tt_path_join(lay_out->root, artifact->path);
    item->parent = tt_strndup(artifact->path, slash ? (size_t)(slash - artifact->path) : 0);
    tt_op_init(&item->op, &class_, scope);
    if (tt_op_finished(&item->op))
        return &item->op;
    if (tt_confine_known(lay_out->confine, item->parent))
        look(item);
    else
        then(item, tt_confine_check(lay_out->confine, scope, item->parent), on_confined);
    return &item->op;
}

/* --- all of them --- */

static struct tt_op *next(void *arg, struct tt_scope *scope)
{
    struct lay_out *lay_out = arg;
    return lay_out->started < lay_out->artifacts.count
               ? start(lay_out, scope, &lay_out->artifacts.items[lay_out->started++])
               : NULL;
}

static void lay_all(struct lay_out *lay_out)
{
    tt_then(&lay_out->chain, &lay_out->op, tt_batch(lay_out->op.scope, at_once, next, lay_out),
            on_last_step);
}

static void on_root_made(struct tt_op *op, struct tt_op *step)
{
    if (!tt_chain_fails(op, step))
        lay_all((struct lay_out *)(void *)op);
}

static int check_artifacts(const struct tt_artifacts *artifacts, struct tt_error **err)
{
    for (size_t i = 0; i < artifacts->count; i++) {
        const struct tt_artifact *artifact = &artifacts->items[i];
        if (!tt_path_is_plain(artifact->path))
            return tt_fail(err, TT_INVALID, "\"%s\" is no path of an artifact", artifact->path);
        if (!tt_digest_valid(artifact->sha256))
            return tt_fail(err, TT_INVALID, "%s: \"%.70s\" is no SHA-256", artifact->path,
                           artifact->sha256);
    }
    return 0;
}

struct tt_op *tt_store_lay_out(struct tt_store *store, struct tt_scope *scope, struct tt_env *env,
                               const char *root, const struct tt_artifacts *artifacts)
{
    static const struct tt_op_class class_ = {"laying out artifacts", lay_out_cancel, lay_out_free};
    struct lay_out *lay_out = tt_zalloc(sizeof *lay_out);
    struct tt_error *err = NULL;
    lay_out->store = store;
    lay_out->env = env;
    tt_env_retain(env);
    lay_out->root = tt_strdup(root ? root : "");
    lay_out->confine = tt_confine_new(env, root);
    tt_artifacts_copy(&lay_out->artifacts, artifacts);
    tt_op_init(&lay_out->op, &class_, scope);
    if (tt_op_finished(&lay_out->op))
        return &lay_out->op;
    if (check_artifacts(artifacts, &err) < 0)
        tt_op_finish(&lay_out->op, err);
    else if (*lay_out->root)
        tt_then(&lay_out->chain, &lay_out->op,
                env->class_->files->mkdir(env, scope, lay_out->root, -1), on_root_made);
    else
        lay_all(lay_out);
    return &lay_out->op;
}
