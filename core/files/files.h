/* Files in an environment: what each executor implements, and what is the same over all of them.
 *
 * Paths are bytes without NUL; a relative path is taken from the environment's own directory (here:
 * the current one): callers join cwd themselves. Errors: not_found, permission, io, lost, connect
 * …, always naming the path. */
#ifndef TT_FILES_H
#define TT_FILES_H

#include "core/env/exec.h"

enum tt_file_type { TT_FILE_REGULAR, TT_FILE_DIRECTORY, TT_FILE_SYMLINK, TT_FILE_OTHER };

struct tt_stat {
    enum tt_file_type type;
    uint64_t size;
    unsigned mode; /* permission bits, 07777 */
    int64_t mtime; /* seconds since 1970 */
    unsigned uid, gid;
    char *target; /* a symlink's text, when not followed; else NULL */
};

/* One entry of a directory or of a glob's matches. */
struct tt_entry {
    char *path; /* a name (list) or a path as matched (glob) */
    struct tt_stat stat;
};
struct tt_entries {
    struct tt_entry *items;
    size_t count;
};

/* A file being read or written as a stream; the executor embeds it first. One operation at once. */
struct tt_file;
struct tt_file_stream_class {
    /* 1..max bytes, or none at the end: tt_bytes_of. Only of files opened for reading. */
    struct tt_op *(*read)(struct tt_file *file, struct tt_scope *scope, size_t max);
    /* Writes all of it; data stays as it is until the operation has finished. */
    struct tt_op *(*write)(struct tt_file *file, struct tt_scope *scope, const void *data,
                           size_t length);
    /* SHA-256 of what was written so far, as it stands there, computed there where that is cheaper;
     * of a file opened for reading, of its first stat.size bytes as they are now: tt_digest_of.
     * tt_file_no_digest is the default: only the committed file has one. */
    struct tt_op *(*digest)(struct tt_file *file, struct tt_scope *scope);
    /* Makes what was written visible under its name, atomically, with its mode and owner. Without
     * it, closing leaves nothing behind and the old file as it was. */
    struct tt_op *(*commit)(struct tt_file *file, struct tt_scope *scope);
    void (*free)(
        struct tt_file *file); /* closes; drops an uncommitted temporary in the background */
};
struct tt_file {
    const struct tt_file_stream_class *class_;
    struct tt_env *env;  /* held */
    struct tt_stat stat; /* of a file opened for reading */
    bool compares;       /* what is written is read back and compared, or goes into a device: no
                          * checksum tells more */
    bool rereads;        /* opened for reading: it has a digest, at the cost of reading it again */
};

struct tt_write_options {
    int mode;     /* -1: the existing file's mode, or 0666 without the umask's bits */
    int64_t size; /* total bytes to come when known, else -1; other than that is an error */
};

struct tt_file_class {
    /* tt_stat_of: NULL when there is no such file (not an error). */
    struct tt_op *(*stat)(struct tt_env *env, struct tt_scope *scope, const char *path,
                          bool follow);
    struct tt_op *(*list)(struct tt_env *env, struct tt_scope *scope, const char *path);
    /* tt_file_of. Following symlinks; a directory is an error. */
    struct tt_op *(*open_read)(struct tt_env *env, struct tt_scope *scope, const char *path);
    struct tt_op *(*open_write)(struct tt_env *env, struct tt_scope *scope, const char *path,
                                const struct tt_write_options *options);
    /* A file, a symlink, or with `recursive` a tree; never through a symlink. Missing: not_found.
     */
    struct tt_op *(*remove)(struct tt_env *env, struct tt_scope *scope, const char *path,
                            bool recursive);
    /* With its missing parents; an existing directory is fine (its mode is set when mode >= 0). */
    struct tt_op *(*mkdir)(struct tt_env *env, struct tt_scope *scope, const char *path, int mode);
    /* Atomically in place of what stands there. */
    struct tt_op *(*symlink)(struct tt_env *env, struct tt_scope *scope, const char *target,
                             const char *path);
    /* SHA-256 of the content there, computed there: tt_digest_of, 64 hex digits. */
    struct tt_op *(*digest)(struct tt_env *env, struct tt_scope *scope, const char *path);
    /* All below root that match one of the patterns, sorted by path, each once: tt_entries_of.
     * Paths are relative to root. tt_glob_by_listing is the default. */
    struct tt_op *(*glob)(struct tt_env *env, struct tt_scope *scope, const char *root,
                          const char *const *patterns, size_t count);
    /* A directory of this machine to a path there where nothing is yet, and back, in one stream:
     * with modes, symlinks and empty directories, checksums compared, visible when it is whole.
     * `unsupported`, with nothing left behind: it has to go file by file, as tt_copy does then.
     * tt_no_put_tree and tt_no_get_tree are the defaults. */
    struct tt_op *(*put_tree)(struct tt_env *env, struct tt_scope *scope, const char *here,
                              const char *there);
    struct tt_op *(*get_tree)(struct tt_env *env, struct tt_scope *scope, const char *there,
                              const char *here);
};

struct tt_op *tt_no_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                             const char *there);
struct tt_op *tt_no_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                             const char *here);

struct tt_op *tt_glob_by_listing(struct tt_env *env, struct tt_scope *scope, const char *root,
                                 const char *const *patterns, size_t count);
struct tt_op *tt_file_no_digest(struct tt_file *file, struct tt_scope *scope);
/* For classes where a file operation cannot be done at all: an operation that failed as
 * unsupported. */
struct tt_op *tt_file_unsupported(struct tt_env *env, struct tt_scope *scope, const char *what);

/* Results. */
struct tt_stat_op {
    struct tt_op op;
    struct tt_stat stat;
    bool exists;
};
const struct tt_stat *tt_stat_of(struct tt_op *op);
struct tt_entries_op {
    struct tt_op op;
    struct tt_entries entries;
};
const struct tt_entries *tt_entries_of(struct tt_op *op);
struct tt_file_op {
    struct tt_op op;
    struct tt_file *file; /* closed with the operation when nobody took it */
};
struct tt_file *tt_file_of(struct tt_op *op); /* takes it */
struct tt_digest_op {
    struct tt_op op;
    char hex[65];
};
const char *tt_digest_of(struct tt_op *op);
void tt_stat_op_free(struct tt_op *op);
void tt_entries_op_free(struct tt_op *op);
void tt_file_op_free(struct tt_op *op);
/* Appends; takes path and stat->target. */
void tt_entries_add(struct tt_entries *entries, char *path, const struct tt_stat *stat);
void tt_entries_sort(struct tt_entries *entries); /* by path, byte by byte */
void tt_entries_clear(struct tt_entries *entries);
/* "dir/name"; "name" where dir is NULL, "" or ".". Allocated. */
char *tt_path_join(const char *dir, const char *name);

/* --- the same over all environments --- */

/* Whole content, at most `max` bytes (more is `output_limit`): tt_bytes_of. */
struct tt_op *tt_read_file(struct tt_env *env, struct tt_scope *scope, const char *path,
                           size_t max);
struct tt_op *tt_write_file(struct tt_env *env, struct tt_scope *scope, const char *path,
                            const void *data, size_t length,
                            const struct tt_write_options *options);
/* A file or a tree from one environment to another, streaming, bounded memory, many files in
 * flight: dot files, modes, symlinks, empty directories arrive; checksums are compared. Adds and
 * replaces, never deletes. A directory copied onto an existing directory merges into it. */
struct tt_op *tt_copy(struct tt_env *from, const char *from_path, struct tt_env *to,
                      const char *to_path, struct tt_scope *scope);

#endif
