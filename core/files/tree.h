/* Blocking work on files and trees of this machine, for worker threads. It does what struct
 * tt_file_class says. `stop` (may be NULL) ends long work early: tt_call_check in
 * core/async/work.h. Errors name the path. */
#ifndef TT_TREE_H
#define TT_TREE_H

#include "core/files/files.h"

#include <stdatomic.h>
#include <sys/stat.h>

void tt_tree_stat_from(struct tt_stat *to, const struct stat *from);
/* Nothing at path is no error: *exists is false then. */
int tt_tree_stat(const char *path, bool follow, struct tt_stat *stat, bool *exists,
                 struct tt_error **err);
/* The directory's entries without "." and "..", sorted. */
int tt_tree_list(const char *path, struct tt_entries *entries, const atomic_bool *stop,
                 struct tt_error **err);
int tt_tree_glob(const char *root, char *const *patterns, size_t count, struct tt_entries *entries,
                 const atomic_bool *stop, struct tt_error **err);
int tt_tree_remove(const char *path, bool recursive, const atomic_bool *stop,
                   struct tt_error **err);
int tt_tree_mkdir(const char *path, int mode, struct tt_error **err);
int tt_tree_symlink(const char *target, const char *path, struct tt_error **err);
int tt_tree_digest(const char *path, char hex[65], const atomic_bool *stop, struct tt_error **err);
/* 0 when the file of that stat can be opened without waiting for another process. Else the error: a
 * directory, a pipe, a socket. `verb`, for the message: "read" or "written". */
int tt_tree_openable(const char *path, const struct stat *stat, const char *verb,
                     struct tt_error **err);

#endif
