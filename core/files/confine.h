/* Keeps paths below a root, whatever symlinks lie on the way. A struct tt_confine knows a root in
 * an environment and remembers the directories that it has looked at, for many paths in one go. It
 * protects from mistakes, not from somebody who swaps a directory for a symlink meanwhile. */
#ifndef TT_CONFINE_H
#define TT_CONFINE_H

#include "core/files/files.h"

struct tt_confine;

/* root NULL, "" or ".": the environment's own directory. */
struct tt_confine *tt_confine_new(struct tt_env *env, const char *root);
void tt_confine_free(struct tt_confine *confine);
/* Tells it that the directory at that path (relative to root) and those above are no symlinks. */
void tt_confine_trust(struct tt_confine *confine, const char *dir);
/* True when tt_confine_check of that directory needs no look at the environment. */
bool tt_confine_known(const struct tt_confine *confine, const char *dir);
/* Follows a path (relative to root) through all symlinks, a last one too. Components that do not
 * exist are taken as written. Kind `invalid` when the path leads out of root, or in circles. */
struct tt_op *tt_confine_check(struct tt_confine *confine, struct tt_scope *scope,
                               const char *path);

/* Pure: a relative path of plain components: not empty, none of them "", "." or "..". */
bool tt_path_is_plain(const char *path);

#endif
