/* From the artifact store into an environment. */
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
    struct tt_scope *steps; /* cancelled with the operation, and by its first error */
    struct tt_store *store;
    struct tt_env *env;
    struct tt_confine *confine;
    struct tt_artifacts artifacts;
    char *root;
    size_t started;
    unsigned running;
    struct tt_error *error;
};

/* One artifact on its way. */
struct item {
    struct lay_out *lay_out;
    const struct tt_artifact *artifact;
    char *path;           /* in the environment */
    char *parent;         /* its directory, relative to root; "" is root */
    char *target;         /* a symlink's, once read */
    struct tt_stat there; /* what stands at path now; target owned */
    bool exists;
    struct tt_file *object, *file;
};

static void lay_out_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct lay_out *)(void *)op)->steps, why);
}

static void lay_out_free(struct tt_op *op)
{
    struct lay_out *lay_out = (struct lay_out *)(void *)op;
    tt_artifacts_clear(&lay_out->artifacts);
    tt_confine_free(lay_out->confine);
    tt_error_free(lay_out->error);
    free(lay_out->root);
    tt_env_release(lay_out->env);
    tt_scope_release(lay_out->steps);
    free(lay_out);
}

/* --- one artifact --- */

static void go_on(struct lay_out *lay_out);

static const struct tt_file_class *files_of(const struct item *item)
{
    return item->lay_out->env->class_->files;
}

static void close_files(struct item *item)
{
    if (item->object)
        item->object->class_->free(item->object);
    if (item->file)
        item->file->class_->free(item->file);
    item->object = item->file = NULL;
}

/* Takes err, which is NULL when all went well. */
static void item_ends(struct item *item, struct tt_error *err)
{
    struct lay_out *lay_out = item->lay_out;
    if (err && !lay_out->error) {
        lay_out->error = err;
        tt_scope_cancel(lay_out->steps, err);
    } else {
        tt_error_free(err);
    }
    close_files(item);
    free(item->path);
    free(item->parent);
    free(item->target);
    free(item->there.target);
    free(item);
    lay_out->running--;
    go_on(lay_out);
}

/* True when the step went well; else the item has ended. Releases the step. */
static bool went_well(struct item *item, struct tt_op *step)
{
    struct tt_error *err = step->error;
    step->error = NULL;
    tt_op_release(step);
    if (err)
        item_ends(item, err);
    return !err;
}

static void on_last_step(struct tt_op *step, void *arg)
{
    if (went_well(arg, step))
        item_ends(arg, NULL);
}

static void damaged(struct item *item, const char *where)
{
    item_ends(item, tt_error_new(TT_ARTIFACT, "the artifact %s is damaged in %s",
                                 item->artifact->path, where));
}

/* --- its content --- */

static void on_committed(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    bool is_damaged = !step->error && tt_commit_damaged(step);
    if (!went_well(item, step))
        return;
    if (is_damaged)
        damaged(item, item->path);
    else
        item_ends(item, NULL);
}

/* Only what is right is made visible. */
static void on_pumped(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct tt_pump_op *pumped = (struct tt_pump_op *)(void *)step;
    bool same = strcmp(pumped->sha256, item->artifact->sha256) == 0;
    if (!went_well(item, step))
        return;
    if (same)
        tt_op_await(
            tt_commit(item->file, item->path, item->artifact->sha256, NULL, item->lay_out->steps),
            on_committed, item);
    else
        damaged(item, item->lay_out->store->dir);
}

static void on_file(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    item->file = tt_file_of(step);
    if (went_well(item, step))
        tt_op_await(tt_pump(item->object, item->file, UINT64_MAX, true, item->lay_out->steps),
                    on_pumped, item);
}

static void on_object(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct lay_out *lay_out = item->lay_out;
    item->object = tt_file_of(step);
    if (!went_well(item, step))
        return;
    struct tt_write_options options = {.mode = (int)item->artifact->mode & 0777,
                                       .size = (int64_t)item->artifact->size};
    tt_op_await(files_of(item)->open_write(lay_out->env, lay_out->steps, item->path, &options),
                on_file, item);
}

static void write_file(struct item *item)
{
    tt_op_await(tt_store_get(item->lay_out->store, item->lay_out->steps, item->artifact), on_object,
                item);
}

static void on_removed(struct tt_op *step, void *arg)
{
    if (went_well(arg, step))
        write_file(arg);
}

static void on_there_digest(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    bool same = !step->error && strcmp(tt_digest_of(step), item->artifact->sha256) == 0;
    tt_op_release(step);
    if (same)
        item_ends(item, NULL);
    else
        write_file(item);
}

/* What is there already stays; a symlink there is replaced, never written through. */
static void lay_file(struct item *item)
{
    struct lay_out *lay_out = item->lay_out;
    bool file = item->exists && item->there.type == TT_FILE_REGULAR;
    if (item->exists && item->there.type == TT_FILE_SYMLINK)
        tt_op_await(files_of(item)->remove(lay_out->env, lay_out->steps, item->path, false),
                    on_removed, item);
    else if (file && item->there.size == item->artifact->size &&
             item->there.mode == (item->artifact->mode & 0777))
        tt_op_await(files_of(item)->digest(lay_out->env, lay_out->steps, item->path),
                    on_there_digest, item);
    else
        write_file(item);
}

/* --- a symlink --- */

static void on_target(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct lay_out *lay_out = item->lay_out;
    const struct tt_bytes *bytes = tt_bytes_of(step);
    char hex[tt_digest_hex_size] = "";
    struct tt_error *err = NULL;
    if (!step->error) {
        item->target = tt_strndup(bytes->data ? bytes->data : "", bytes->length);
        tt_digest_bytes(bytes->data, bytes->length, hex, &err);
    }
    if (!went_well(item, step)) {
        tt_error_free(err);
        return;
    }
    if (err)
        item_ends(item, err);
    else if (strcmp(hex, item->artifact->sha256) != 0 || *item->target == '/')
        damaged(item, lay_out->store->dir);
    else if (item->exists && item->there.target && strcmp(item->there.target, item->target) == 0)
        item_ends(item, NULL);
    else
        tt_op_await(files_of(item)->symlink(lay_out->env, lay_out->steps, item->target, item->path),
                    on_last_step, item);
}

static void on_link_object(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    item->object = tt_file_of(step);
    if (went_well(item, step))
        tt_op_await(item->object->class_->read(item->object, item->lay_out->steps, max_target),
                    on_target, item);
}

/* --- its place: a directory that is there and below root --- */

static void on_stat(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct lay_out *lay_out = item->lay_out;
    const struct tt_stat *stat = tt_stat_of(step);
    item->exists = stat != NULL;
    if (stat) {
        item->there = *stat;
        item->there.target = stat->target ? tt_strdup(stat->target) : NULL;
    }
    if (!went_well(item, step))
        return;
    if (tt_artifact_is_link(item->artifact))
        tt_op_await(tt_store_get(lay_out->store, lay_out->steps, item->artifact), on_link_object,
                    item);
    else
        lay_file(item);
}

static void look(struct item *item)
{
    struct lay_out *lay_out = item->lay_out;
    tt_op_await(files_of(item)->stat(lay_out->env, lay_out->steps, item->path, false), on_stat,
                item);
}

static void on_parent_made(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    if (went_well(item, step))
        look(item);
}

static void on_confined(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct lay_out *lay_out = item->lay_out;
    if (!went_well(item, step))
        return;
    if (tt_confine_known(lay_out->confine, item->parent)) {
        look(item);
        return;
    }
    char *path = tt_path_join(lay_out->root, item->parent);
    tt_op_await(files_of(item)->mkdir(lay_out->env, lay_out->steps, path, -1), on_parent_made,
                item);
    free(path);
}

static void start(struct lay_out *lay_out, const struct tt_artifact *artifact)
{
    struct item *item = tt_zalloc(sizeof *item);
    const char *slash = strrchr(artifact->path, '/');
    item->lay_out = lay_out;
    item->artifact = artifact;
    item->path = tt_path_join(lay_out->root, artifact->path);
    item->parent = tt_strndup(artifact->path, slash ? (size_t)(slash - artifact->path) : 0);
    lay_out->running++;
    if (tt_confine_known(lay_out->confine, item->parent))
        look(item);
    else
        tt_op_await(tt_confine_check(lay_out->confine, lay_out->steps, item->parent), on_confined,
                    item);
}

/* --- all of them --- */

static void go_on(struct lay_out *lay_out)
{
    while (lay_out->started < lay_out->artifacts.count && lay_out->running < at_once &&
           !lay_out->error)
        start(lay_out, &lay_out->artifacts.items[lay_out->started++]);
    if (lay_out->running > 0)
        return;
    struct tt_error *err = lay_out->error;
    lay_out->error = NULL;
    tt_op_finish(&lay_out->op, err);
}

static void on_root_made(struct tt_op *step, void *arg)
{
    struct lay_out *lay_out = arg;
    lay_out->error = step->error;
    step->error = NULL;
    tt_op_release(step);
    go_on(lay_out);
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
    lay_out->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_artifacts_copy(&lay_out->artifacts, artifacts);
    tt_op_init(&lay_out->op, &class_, scope);
    if (tt_op_finished(&lay_out->op))
        return &lay_out->op;
    if (check_artifacts(artifacts, &err) < 0)
        tt_op_finish(&lay_out->op, err);
    else if (*lay_out->root)
        tt_op_await(env->class_->files->mkdir(env, lay_out->steps, lay_out->root, -1), on_root_made,
                    lay_out);
    else
        go_on(lay_out);
    return &lay_out->op;
}
