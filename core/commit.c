#include "core/commit.h"

#include "core/alloc.h"
#include "core/digest.h"

#include <stdlib.h>
#include <string.h>

struct commit {
    struct tt_op op;
    struct tt_scope *steps; /* cancelled with the operation */
    struct tt_file *file;
    char *path;
    char sha256[tt_digest_hex_size];
    bool later; /* the checksum shows only once it is committed */
    bool damaged;
};

static void commit_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct commit *)(void *)op)->steps, why);
}

static void commit_free(struct tt_op *op)
{
    struct commit *commit = (struct commit *)(void *)op;
    tt_scope_release(commit->steps);
    free(commit->path);
    free(commit);
}

/* Lets go of the step that is done, and fails as it did. */
static bool went_well(struct commit *commit, struct tt_op *step)
{
    struct tt_error *err = step->error;
    step->error = NULL;
    tt_op_release(step);
    if (err)
        tt_op_finish(&commit->op, err);
    return !err;
}

/* True when that step told a checksum; `unknown`: it could not. */
static bool told(struct commit *commit, struct tt_op *step, bool *unknown)
{
    *unknown = step->error && step->error->kind == TT_UNSUPPORTED;
    if (!step->error)
        commit->damaged = strcmp(tt_digest_of(step), commit->sha256) != 0;
    if (!*unknown)
        return went_well(commit, step);
    tt_op_release(step);
    return false;
}

static void on_seen(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    bool unknown;
    if (told(commit, step, &unknown) || unknown)
        tt_op_finish(&commit->op, NULL);
}

static void on_committed(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    struct tt_env *env = commit->file->env;
    if (!went_well(commit, step))
        return;
    if (commit->later)
        tt_op_await(env->class_->files->digest(env, commit->steps, commit->path), on_seen, commit);
    else
        tt_op_finish(&commit->op, NULL);
}

static void make_visible(struct commit *commit)
{
    tt_op_await(commit->file->class_->commit(commit->file, commit->steps), on_committed, commit);
}

static void on_foreseen(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    if (!told(commit, step, &commit->later) && !commit->later)
        return;
    if (commit->damaged)
        tt_op_finish(&commit->op, NULL);
    else
        make_visible(commit);
}

struct tt_op *tt_commit(struct tt_file *file, const char *path, const char *sha256,
                        struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"finishing a file", commit_cancel, commit_free};
    struct commit *commit = tt_zalloc(sizeof *commit);
    commit->file = file;
    commit->path = tt_strdup(path);
    memcpy(commit->sha256, sha256, sizeof commit->sha256);
    commit->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(&commit->op, &class_, scope);
    if (tt_op_finished(&commit->op))
        return &commit->op;
    if (file->compares)
        make_visible(commit);
    else
        tt_op_await(file->class_->digest(file, commit->steps), on_foreseen, commit);
    return &commit->op;
}

bool tt_commit_damaged(struct tt_op *op)
{
    return ((struct commit *)(void *)op)->damaged;
}
