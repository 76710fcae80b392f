/* From an environment into the artifact store. */
#include "core/async/batch.h"
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/files/confine.h"
#include "core/files/pump.h"
#include "core/store/parts.h"

#include <stdlib.h>
#include <string.h>

enum { at_once = 8 };

struct collect {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_artifacts artifacts; /* in the order of their paths; what is no file left out */
    struct tt_store *store;
    struct tt_env *env;
    struct tt_confine *confine;
    struct tt_wanted wanted;
    char *root;
    char **targets; /* one an artifact: a symlink's target, or NULL */
    size_t started;
};

/* One artifact on its way. */
struct item {
    struct tt_op op;
    struct tt_chain chain;
    struct collect *collect;
    struct tt_artifact *artifact;
    const char *target; /* of a symlink */
    char *path;         /* in the environment */
    struct tt_file *source, *object;
};

static struct item *item_of(struct tt_op *op)
{
    return (struct item *)(void *)op;
}

const struct tt_artifacts *tt_artifacts_of(struct tt_op *op)
{
    return &((struct collect *)(void *)op)->artifacts;
}

static void collect_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct collect *)(void *)op)->chain, why);
}

static void collect_free(struct tt_op *op)
{
    struct collect *collect = (struct collect *)(void *)op;
    for (size_t i = 0; i < collect->artifacts.count; i++)
        free(collect->targets[i]);
    free(collect->targets);
    tt_artifacts_clear(&collect->artifacts);
    tt_wanted_clear(&collect->wanted);
    tt_confine_free(collect->confine);
    free(collect->root);
    tt_env_release(collect->env);
    free(collect);
}

/* --- one artifact --- */

static void then(struct item *item, struct tt_op *step, tt_chain_step *next)
{
    tt_then(&item->chain, &item->op, step, next);
}

static void close_files(struct item *item)
{
    if (item->source)
        item->source->class_->free(item->source);
    if (item->object)
        item->object->class_->free(item->object);
    item->source = item->object = NULL;
}

static void item_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&item_of(op)->chain, why);
}

static void item_free(struct tt_op *op)
{
    struct item *item = item_of(op);
    close_files(item);
    free(item->path);
    free(item);
}

static void on_digest(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    bool unknown = step->error && step->error->kind == TT_UNSUPPORTED;
    bool same = !step->error && strcmp(tt_digest_of(step), item->artifact->sha256) == 0;
    if (unknown) {
        tt_op_finish(op, NULL);
    } else if (!tt_chain_fails(op, step)) {
        tt_op_finish(op, same ? NULL
                              : tt_error_new(TT_ARTIFACT,
                                             "%s arrived damaged, or changed meanwhile: its "
                                             "checksum differs",
                                             item->path));
    }
}

static void on_kept(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct tt_env *env = item->collect->env;
    if (tt_chain_fails(op, step))
        return;
    close_files(item);
    /* what came from this machine's files was hashed as it was read: nothing lay in between */
    if (env->class_->paths_are_here)
        tt_op_finish(op, NULL);
    else
        then(item, env->class_->files->digest(env, item->op.scope, item->path), on_digest);
}

static void on_pumped(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct tt_pump_op *pumped = (struct tt_pump_op *)(void *)step;
    uint64_t promised = item->source->stat.size;
    memcpy(item->artifact->sha256, pumped->sha256, sizeof item->artifact->sha256);
    item->artifact->size = pumped->size;
    if (tt_chain_fails(op, step))
        return;
    if (item->artifact->size < promised)
        tt_op_finish(op, tt_error_new(TT_ARTIFACT, "%s shrank while it was read", item->path));
    else
        then(item,
             tt_store_keep(item->collect->store, item->op.scope, item->object,
                           item->artifact->sha256),
             on_kept);
}

static void on_object(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    item->object = tt_file_of(step);
    if (!tt_chain_fails(op, step))
        then(item,
             tt_pump(item->source, item->object, tt_pump_max(&item->source->stat), true,
                     item->op.scope),
             on_pumped);
}

static void on_source(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    item->source = tt_file_of(step);
    if (tt_chain_fails(op, step))
        return;
    item->artifact->mode = item->source->stat.mode & 0777;
    then(item, tt_store_create(item->collect->store, item->op.scope, item->artifact->path),
         on_object);
}

static void on_link_stored(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    memcpy(item->artifact->sha256, tt_digest_of(step), sizeof item->artifact->sha256);
    if (!tt_chain_fails(op, step))
        tt_op_finish(op, NULL);
}

static void fetch(struct item *item)
{
    struct collect *collect = item->collect;
    if (item->target)
        then(item, tt_store_put(collect->store, item->op.scope, item->target, item->artifact->path),
             on_link_stored);
    else
        then(item, collect->env->class_->files->open_read(collect->env, item->op.scope, item->path),
             on_source);
}

static void on_confined(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    if (!tt_chain_fails(op, step))
        fetch(item);
}

static bool parent_known(const struct collect *collect, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = tt_strndup(path, slash ? (size_t)(slash - path) : 0);
    bool known = tt_confine_known(collect->confine, parent);
    free(parent);
    return known;
}

static struct tt_op *start(struct collect *collect, struct tt_scope *scope, size_t index)
{
    static const struct tt_op_class class_ = {"collecting an artifact", item_cancel, item_free};
    struct item *item = tt_zalloc(sizeof *item);
    item->collect = collect;
    item->artifact = &collect->artifacts.items[index];
    item->target = collect->targets[index];
    item->path = tt_path_join(collect->root, item->artifact->path);
    tt_op_init(&item->op, &class_, scope);
    if (tt_op_finished(&item->op))
        return &item->op;
    if (item->target && *item->target == '/')
        tt_op_finish(&item->op, tt_error_new(TT_INVALID,
                                             "%s is a symlink to %s, which is not below the "
                                             "task's directory everywhere",
                                             item->path, item->target));
    else if (item->target || !parent_known(collect, item->artifact->path))
        then(item, tt_confine_check(collect->confine, scope, item->artifact->path), on_confined);
    else
        fetch(item);
    return &item->op;
}

/* --- all of them --- */

static struct tt_op *next(void *arg, struct tt_scope *scope)
{
    struct collect *collect = arg;
    return collect->started < collect->artifacts.count ? start(collect, scope, collect->started++)
                                                       : NULL;
}

static void on_collected(struct tt_op *op, struct tt_op *batch)
{
    if (!tt_chain_fails(op, batch))
        tt_op_finish(op, NULL);
}

/* A symlink that something was found through: it travels as the directory that it stands for. */
static bool was_entered(const struct tt_entries *entries, const char *link)
{
    char *below = tt_format("%s/", link);
    size_t low = 0, high = entries->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(entries->items[middle].path, below) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool entered =
        low < entries->count && strncmp(entries->items[low].path, below, strlen(below)) == 0;
    free(below);
    return entered;
}

/* Keeps the files and symlinks that matched, and learns which directories are real. */
static int take(struct collect *collect, const struct tt_entries *entries, struct tt_error **err)
{
    collect->targets = tt_reallocarray(NULL, entries->count, sizeof *collect->targets);
    for (size_t i = 0; i < entries->count; i++) {
        struct tt_entry *entry = &entries->items[i];
        if (entry->stat.type == TT_FILE_DIRECTORY) {
            if (parent_known(collect, entry->path))
                tt_confine_trust(collect->confine, entry->path);
            continue;
        }
        if (entry->stat.type == TT_FILE_OTHER)
            return tt_fail(err, TT_ARTIFACT, "%s cannot be an artifact: it is no file",
                           entry->path);
        bool link = entry->stat.type == TT_FILE_SYMLINK;
        if (link && was_entered(entries, entry->path))
            continue;
        struct tt_artifact artifact = {
            .path = entry->path,
            .size = link ? strlen(entry->stat.target) : entry->stat.size,
            .mode = link ? tt_artifact_link | 0777 : entry->stat.mode & 0777,
        };
        tt_wanted_match(&collect->wanted, entry->path);
        tt_artifacts_add(&collect->artifacts, &artifact);
        collect->targets[collect->artifacts.count - 1] = entry->stat.target;
        entry->stat.target = NULL;
    }
    char *where = tt_format("%s in %s", collect->env->text, *collect->root ? collect->root : ".");
    int rc = tt_wanted_check(&collect->wanted, where, err);
    free(where);
    return rc;
}

static void on_globbed(struct tt_op *op, struct tt_op *step)
{
    struct collect *collect = (struct collect *)(void *)op;
    struct tt_error *err = NULL;
    if (tt_chain_fails(op, step))
        return;
    if (take(collect, tt_entries_of(step), &err) < 0)
        tt_op_finish(op, err);
    else
        tt_then(&collect->chain, op, tt_batch(op->scope, at_once, next, collect), on_collected);
}

struct tt_op *tt_store_collect(struct tt_store *store, struct tt_scope *scope, struct tt_env *env,
                               const char *root, const char *const *patterns, size_t count)
{
    static const struct tt_op_class class_ = {"collecting artifacts", collect_cancel, collect_free};
    struct collect *collect = tt_zalloc(sizeof *collect);
    struct tt_error *err = NULL;
    collect->store = store;
    collect->env = env;
    tt_env_retain(env);
    collect->root = tt_strdup(root ? root : "");
    collect->confine = tt_confine_new(env, root);
    tt_wanted_init(&collect->wanted, patterns, count);
    tt_op_init(&collect->op, &class_, scope);
    if (tt_op_finished(&collect->op))
        return &collect->op;
    if (tt_wanted_compile(&collect->wanted, &err) < 0)
        tt_op_finish(&collect->op, err);
    else
        tt_then(&collect->chain, &collect->op,
                env->class_->files->glob(env, scope, collect->root,
                                         (const char *const *)collect->wanted.patterns, 2 * count),
                on_globbed);
    return &collect->op;
}
