/* The artifact store of one run: a directory on this machine that holds objects, contents named by
 * their SHA-256. Two ways lead through it: collecting a task's outputs from its environment, and
 * laying artifacts out in the directory of a task that wants them. Both work with any environment,
 * by core/files/files.h alone. Loop thread.
 *
 * An object is written to a temporary, verified, and renamed to DIR/<sha256>; equal contents are
 * stored once. An object is never linked to a file that somebody could change.
 *
 * Artifacts are files and symlinks; directories exist only as parents of those. A
 * symlink stays a symlink: its content is the text of its target. */
#ifndef TT_STORE_H
#define TT_STORE_H

#include "core/files/files.h"

struct tt_store;

struct tt_artifact {
    char *path; /* relative to the task's directory; plain components (tt_path_is_plain) */
    uint64_t size;
    char sha256[65];
    unsigned mode; /* permission bits; of a symlink also tt_artifact_link */
};
enum { tt_artifact_link = 0120000 };
static inline bool tt_artifact_is_link(const struct tt_artifact *artifact)
{
    return (artifact->mode & 0170000) == tt_artifact_link;
}

/* Owns its items. All zero is empty. */
struct tt_artifacts {
    struct tt_artifact *items;
    size_t count;
};

void tt_artifacts_add(struct tt_artifacts *list, const struct tt_artifact *artifact); /* copies */
void tt_artifacts_copy(struct tt_artifacts *to, const struct tt_artifacts *from);     /* deep */
void tt_artifacts_clear(struct tt_artifacts *list);

/* What one task offers to those that come after it. Borrowed. */
struct tt_artifact_source {
    const char *name; /* the task, for messages */
    const struct tt_artifacts *artifacts;
};

/* Pure: the artifacts that match one of the patterns, sorted by path, each path once. Patterns are
 * as in tt_store_collect. Kind `invalid` for a bad pattern, and for one path to which two sources
 * give different content (both are named). Kind `artifact` for a pattern that matches nothing. */
int tt_artifacts_select(struct tt_artifacts *out, const struct tt_artifact_source *sources,
                        size_t source_count, const char *const *patterns, size_t pattern_count,
                        struct tt_error **err);

/* Makes the directory (with its parents) when it is missing. Blocks, for a few system calls. */
int tt_store_open(struct tt_store **store, const char *dir, struct tt_error **err);
/* No operation may be running. Leaves the directory as it is. */
void tt_store_free(struct tt_store *store);
const char *tt_store_dir(const struct tt_store *store);

/* Collects all files and symlinks below `root` (NULL: the environment's own directory) that match
 * one of the patterns, into the store: tt_artifacts_of, sorted by path. Patterns are those of
 * core/base/glob.h; one that matches a directory ("dist", "dist/") takes all that is below it.
 * Errors: `artifact` for a pattern that matches no file, and for a file that changed while it was
 * read; `invalid` for a bad pattern (absolute, with "..") and for a match that leads out of root
 * through a symlink; `io` for a store that cannot be written; the environment's own otherwise.
 * After an error no half object is left, though whole ones may be. Everything passed in is copied.
 */
struct tt_op *tt_store_collect(struct tt_store *store, struct tt_scope *scope, struct tt_env *env,
                               const char *root, const char *const *patterns, size_t count);
const struct tt_artifacts *tt_artifacts_of(struct tt_op *op); /* borrowed */

/* Lays artifacts out below `root` (made when missing): adds and replaces, never deletes; what is
 * there already with the same content and mode is left untouched. Contents are verified when read
 * from the store and again where they arrived. Errors: `artifact` for a missing or damaged object
 * or one that arrived damaged; `invalid` for a path that would leave root; the environment's own.
 */
struct tt_op *tt_store_lay_out(struct tt_store *store, struct tt_scope *scope, struct tt_env *env,
                               const char *root, const struct tt_artifacts *artifacts);

#endif
