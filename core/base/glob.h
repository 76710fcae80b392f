/* Path patterns. Pure; one set is used by one thread at a time.
 *
 *     *       any characters but '/'            ?        one character but '/'
 *     [a-z]   one of these characters           [!x]     one other character (also [^x]), never '/'
 *     {a,b}   one of these, nested, with '/'    \x       the character x itself
 *     **      as a whole component: any depth, including none. Alone it is everything below the
 *             root, after "a/" everything below a, and before "/x" an x anywhere. Beside other
 *             characters in a component it means the same as '*'.
 *
 * A dot at the start of a name is a character like any other: "*" and "**" include dot files.
 * A character is a UTF-8 sequence, or one byte where the text is not UTF-8. Case matters.
 * "a/" matches a directory only. Leading "./" and doubled slashes do not matter. A plain path
 * matches itself. Patterns are relative: an absolute one or one with a component ".." is refused.
 *
 * What is matched is a path relative to some root, its components joined by one '/'. Matching takes
 * time proportional to pattern length times path length, whatever the pattern. */
#ifndef TT_GLOB_H
#define TT_GLOB_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct tt_glob; /* a set of compiled patterns */

/* Kind `invalid` for a pattern that is malformed, refused as above or longer than 64 KiB; the
 * message names it. */
int tt_glob_new(struct tt_glob **glob, const char *const *patterns, size_t count,
                struct tt_error **err);
void tt_glob_free(struct tt_glob *glob);

/* True when one of the patterns matches. With `hits` (one flag a pattern), sets those that do. */
bool tt_glob_match(struct tt_glob *glob, const char *path, bool directory, bool *hits);

/* The way down a tree, one name at a time: a place is how far the patterns have got in a directory.
 * It is tt_glob_place_size bytes that the caller keeps. */
size_t tt_glob_place_size(const struct tt_glob *glob);
void tt_glob_top(struct tt_glob *glob, void *place); /* root itself */
bool tt_glob_match_in(struct tt_glob *glob, const void *place, const char *name, bool directory);
/* The place in the directory `name` inside that of `place`. False when nothing there can match,
 * however deep. With `link` the name is a symlink to a directory, which "**" does not follow and
 * everything else does. `below` may not be `place`. */
bool tt_glob_enter(struct tt_glob *glob, const void *place, const char *name, bool link,
                   void *below);

/* The directory that a walk may start in: what all patterns begin with, without special characters;
 * NULL for the root itself; allocated. `place` becomes the place there. */
char *tt_glob_start(struct tt_glob *glob, const char *const *patterns, size_t count, void *place);

/* The length of the leading components without special characters, with their slash: 12 for
 * "/etc/conf.d/x*.conf". For splitting a pattern into a root and the rest. */
size_t tt_glob_plain(const char *pattern);

#endif
