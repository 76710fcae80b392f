#include "core/files/commit.h"

#include "core/base/alloc.h"
#include "core/base/digest.h"

#include <stdlib.h>
#include <string.h>

struct commit {
    struct tt_op op;
    struct tt_scope *steps; /* cancelled with the operation */
    struct tt_file *file;
    char *path;
    char sha256[tt_digest_hex_size], there[tt_digest_hex_size]; /* "": not told */
    unsigned running;
    struct tt_error *error;
    bool later; /* the checksum shows only once it is committed */
    bool committed, damaged;
};

static void commit_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct commit *)(void *)op)->steps, why);
}

static void commit_free(struct tt_op *op)
{
    struct commit *commit = (struct commit *)(void *)op;
    tt_scope_release(commit->steps);
    tt_error_free(commit->error);
    free(commit->path);
    free(commit);
}

static void make_visible(struct commit *commit);

/* A step is over: the first error is the commit's, and ends what runs beside it. */
static bool went_well(struct commit *commit, struct tt_op *step)
{
    if (step->error && !commit->error) {
        commit->error = step->error;
        step->error = NULL;
        tt_scope_cancel(commit->steps, commit->error);
    }
    tt_op_release(step);
    commit->running--;
    return !commit->error;
}

/* Nothing runs any more: compares what both sides told. */
static void go_on(struct commit *commit)
{
    if (commit->running)
        return;
    struct tt_error *err = commit->error;
    commit->error = NULL;
    commit->damaged = *commit->there && strcmp(commit->there, commit->sha256) != 0;
    if (!err && !commit->damaged && !commit->committed)
        make_visible(commit);
    else
        tt_op_finish(&commit->op, err);
}

static void on_source(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    if (!step->error)
        memcpy(commit->sha256, tt_digest_of(step), sizeof commit->sha256);
    went_well(commit, step);
    go_on(commit);
}

static void on_there(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    if (!step->error) {
        memcpy(commit->there, tt_digest_of(step), sizeof commit->there);
    } else if (step->error->kind == TT_UNSUPPORTED) {
        commit->later = !commit->committed;
        tt_error_free(step->error);
        step->error = NULL;
    }
    went_well(commit, step);
    go_on(commit);
}

static void on_committed(struct tt_op *step, void *arg)
{
    struct commit *commit = arg;
    struct tt_env *env = commit->file->env;
    commit->committed = true;
    if (went_well(commit, step) && commit->later) {
        commit->running++;
        tt_op_await(env->class_->files->digest(env, commit->steps, commit->path), on_there, commit);
    } else {
        go_on(commit);
    }
}

static void make_visible(struct commit *commit)
{
    commit->running++;
    tt_op_await(commit->file->class_->commit(commit->file, commit->steps), on_committed, commit);
}

struct tt_op *tt_commit(struct tt_file *file, const char *path, const char *sha256,
                        struct tt_file *source, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"finishing a file", commit_cancel, commit_free};
    struct commit *commit = tt_zalloc(sizeof *commit);
    commit->file = file;
    commit->path = tt_strdup(path);
    commit->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(&commit->op, &class_, scope);
    if (tt_op_finished(&commit->op))
        return &commit->op;
    if (file->compares) {
        make_visible(commit);
        return &commit->op;
    }
    commit->running = sha256 ? 1 : 2;
    if (sha256)
        memcpy(commit->sha256, sha256, sizeof commit->sha256);
    else
        tt_op_await(source->class_->digest(source, commit->steps), on_source, commit);
    tt_op_await(file->class_->digest(file, commit->steps), on_there, commit);
    return &commit->op;
}

bool tt_commit_damaged(struct tt_op *op)
{
    return ((struct commit *)(void *)op)->damaged;
}
