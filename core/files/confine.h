/* Paths below a root must stay below it, whatever symlinks stand in between. One of these knows a
 * root in an environment and remembers what it has seen there, for many paths in one go. It
 * protects from mistakes, not from somebody who swaps directories for symlinks meanwhile. */
#ifndef TT_CONFINE_H
#define TT_CONFINE_H

#include "core/files/files.h"

struct tt_confine;

/* root NULL, "" or ".": the environment's own directory. */
struct tt_confine *tt_confine_new(struct tt_env *env, const char *root);
void tt_confine_free(struct tt_confine *confine);
/* Says that the directory at that path (relative to root) and those above it are no symlinks. */
void tt_confine_trust(struct tt_confine *confine, const char *dir);
/* True when tt_confine_check has nothing to look at. */
bool tt_confine_known(const struct tt_confine *confine, const char *dir);
/* Follows the path (relative to root) through all symlinks, also a last one. What does not exist is
 * taken as it is written. Kind `invalid` when it leads out of root, or in circles. */
struct tt_op *tt_confine_check(struct tt_confine *confine, struct tt_scope *scope,
                               const char *path);

/* Pure: a relative path of plain components: not empty, none of them "", "." or "..". */
bool tt_path_is_plain(const char *path);

#endif
