/* Patterns over any environment's `list`: directories are listed several at once, and only where
 * something can match. */
#include "core/files/files.h"

#include "core/base/alloc.h"
#include "core/base/glob.h"

#include <stdlib.h>
#include <string.h>

enum { at_once = 8 };

/* A directory to be listed, or a symlink that may lead to one. */
struct branch {
    struct branch *next;
    struct glob_op *glob;
    char *path;          /* below root; NULL for root itself */
    bool link;           /* look where it leads first */
    bool matches, enter; /* for a link that leads to a directory: it matches; go there */
    struct tt_stat stat; /* of the link; its target owned */
    char place[];        /* how far the patterns have got in the directory */
};

struct glob_op {
    struct tt_entries_op result;
    struct tt_scope *steps; /* where the listing runs: cancelled with the operation */
    struct tt_env *env;
    struct tt_glob *glob;
    char *root;
    struct branch *pending;
    unsigned running;
    struct tt_error *error; /* the first; what runs is then only awaited */
};

static struct tt_op *op_of(struct glob_op *glob)
{
    return &glob->result.op;
}

static void branch_free(struct branch *branch)
{
    free(branch->path);
    free(branch->stat.target);
    free(branch);
}

static void glob_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct glob_op *)(void *)op)->steps, why);
}

static void glob_free(struct tt_op *op)
{
    struct glob_op *glob = (struct glob_op *)(void *)op;
    while (glob->pending) {
        struct branch *branch = glob->pending;
        glob->pending = branch->next;
        branch_free(branch);
    }
    tt_error_free(glob->error);
    tt_glob_free(glob->glob);
    free(glob->root);
    tt_env_release(glob->env);
    tt_scope_release(glob->steps);
    tt_entries_op_free(op);
}

static struct branch *branch_new(struct glob_op *glob, char *path)
{
    struct branch *branch = tt_zalloc(sizeof *branch + tt_glob_place_size(glob->glob));
    branch->glob = glob;
    branch->path = path;
    return branch;
}

static void push(struct branch *branch)
{
    branch->next = branch->glob->pending;
    branch->glob->pending = branch;
}

/* Takes path and stat->target. */
static void add(struct glob_op *glob, char *path, struct tt_stat *stat)
{
    tt_entries_add(&glob->result.entries, path, stat);
    stat->target = NULL;
}

/* One entry of a listed directory. */
static void consider(const struct branch *in, struct tt_entry *entry)
{
    struct glob_op *glob = in->glob;
    bool directory = entry->stat.type == TT_FILE_DIRECTORY;
    bool link = entry->stat.type == TT_FILE_SYMLINK;
    bool matches = tt_glob_match_in(glob->glob, in->place, entry->path, directory);
    struct branch *below = branch_new(glob, tt_path_join(in->path, entry->path));
    below->link = link;
    below->matches = link && !matches && tt_glob_match_in(glob->glob, in->place, entry->path, true);
    below->enter = (directory || link) &&
                   tt_glob_enter(glob->glob, in->place, entry->path, link, below->place);
    if (matches) {
        add(glob, tt_strdup(below->path), &entry->stat);
    } else {
        below->stat = entry->stat;
        entry->stat.target = NULL;
    }
    if (below->enter || below->matches)
        push(below);
    else
        branch_free(below);
}

static void go_on(struct glob_op *glob);

/* What both kinds of step end with. Something that has gone meanwhile holds nothing. */
static void step_ends(struct branch *branch, struct tt_op *step)
{
    struct glob_op *glob = branch->glob;
    bool gone = step->error && step->error->kind == TT_NOT_FOUND && branch->path;
    if (step->error && !gone && !glob->error) {
        glob->error = step->error;
        step->error = NULL;
        tt_scope_cancel(glob->steps, glob->error);
    }
    tt_op_release(step);
    glob->running--;
    go_on(glob);
}

static void on_listed(struct tt_op *step, void *arg)
{
    struct branch *branch = arg;
    if (!step->error) {
        const struct tt_entries *entries = tt_entries_of(step);
        for (size_t i = 0; i < entries->count; i++)
            consider(branch, &entries->items[i]);
    }
    step_ends(branch, step);
    branch_free(branch);
}

static void on_link_known(struct tt_op *step, void *arg)
{
    struct branch *branch = arg;
    const struct tt_stat *stat = tt_stat_of(step);
    bool directory = stat && stat->type == TT_FILE_DIRECTORY;
    if (directory && branch->matches)
        add(branch->glob, tt_strdup(branch->path), &branch->stat);
    branch->link = false;
    if (directory && branch->enter) {
        push(branch);
        step_ends(branch, step);
        return;
    }
    step_ends(branch, step);
    branch_free(branch);
}

static void go_on(struct glob_op *glob)
{
    const struct tt_file_class *files = glob->env->class_->files;
    while (glob->pending && glob->running < at_once && !glob->error) {
        struct branch *branch = glob->pending;
        glob->pending = branch->next;
        glob->running++;
        char *path = tt_path_join(glob->root, branch->path ? branch->path : "");
        if (branch->link)
            tt_op_await(files->stat(glob->env, glob->steps, path, true), on_link_known, branch);
        else
            tt_op_await(files->list(glob->env, glob->steps, path), on_listed, branch);
        free(path);
    }
    if (glob->running > 0)
        return;
    tt_entries_sort(&glob->result.entries);
    struct tt_error *err = glob->error;
    glob->error = NULL;
    tt_op_finish(op_of(glob), err);
}

struct tt_op *tt_glob_by_listing(struct tt_env *env, struct tt_scope *scope, const char *root,
                                 const char *const *patterns, size_t count)
{
    static const struct tt_op_class class_ = {"glob", glob_cancel, glob_free};
    struct glob_op *glob = tt_zalloc(sizeof *glob);
    struct tt_error *err = NULL;
    glob->env = env;
    tt_env_retain(env);
    glob->root = tt_strdup(root ? root : "");
    glob->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(op_of(glob), &class_, scope);
    if (tt_op_finished(op_of(glob)))
        return op_of(glob);
    if (tt_glob_new(&glob->glob, patterns, count, &err) < 0) {
        tt_op_finish(op_of(glob), err);
        return op_of(glob);
    }
    struct branch *top = branch_new(glob, NULL);
    top->path = tt_glob_start(glob->glob, patterns, count, top->place);
    push(top);
    go_on(glob);
    return op_of(glob);
}
