/* Files in an environment: what each executor implements, and what works over all of them.
 *
 * Paths are bytes without NUL. A relative path starts at the environment's own directory (on this
 * machine the current one), not at a command's cwd: callers join that themselves. Errors
 * (not_found, permission, io, lost, connect …) always name the path. "Here" is this machine,
 * "there" the environment. Loop thread. */
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
    char *path; /* of list: the name; of glob: the path below root */
    struct tt_stat stat;
};
struct tt_entries {
    struct tt_entry *items;
    size_t count;
};

/* What an executor does with an open file: a stream to read or to write. One operation at a time.
 */
struct tt_file;
struct tt_file_stream_class {
    /* Finishes with 1..max bytes, or none at the end: tt_bytes_of. For files opened for reading. */
    struct tt_op *(*read)(struct tt_file *file, struct tt_scope *scope, size_t max);
    /* Writes all of `data`, which the caller keeps unchanged until the operation has finished. */
    struct tt_op *(*write)(struct tt_file *file, struct tt_scope *scope, const void *data,
                           size_t length);
    /* Finishes with a SHA-256, tt_digest_of. Of a file opened for writing: of what was written so
     * far, as it stands there. Of one opened for reading: of its first stat.size bytes as they are
     * now. The default, tt_file_no_digest, has none: only a committed file can be hashed. */
    struct tt_op *(*digest)(struct tt_file *file, struct tt_scope *scope);
    /* Makes the written file visible under its path, atomically, with its mode and owner. A file
     * that is freed without it leaves nothing behind, and the old file as it was. */
    struct tt_op *(*commit)(struct tt_file *file, struct tt_scope *scope);
    void (*free)(
        struct tt_file *file); /* closes; removes an uncommitted temporary in the background */
};
/* An open file. The executor's own struct has it as its first member. */
struct tt_file {
    const struct tt_file_stream_class *class_;
    struct tt_env *env;  /* held */
    struct tt_stat stat; /* filled when opened for reading */
    bool compares; /* opened for writing: what is written is read back and compared, or goes into
                    * a device, so that a checksum tells nothing more */
    bool rereads;  /* opened for reading: digest works, at the cost of reading the file again */
};

struct tt_write_options {
    int mode;     /* -1: the existing file's mode, or 0666 without the umask's bits */
    int64_t size; /* bytes that will be written, and not one more or less; -1: not known */
};

struct tt_file_class {
    /* Finishes with tt_stat_of, which is NULL when there is no such file: that is no error. */
    struct tt_op *(*stat)(struct tt_env *env, struct tt_scope *scope, const char *path,
                          bool follow);
    /* The entries of a directory without "." and "..": tt_entries_of. */
    struct tt_op *(*list)(struct tt_env *env, struct tt_scope *scope, const char *path);
    /* Finish with tt_file_of. Symlinks are followed; a directory is an error. */
    struct tt_op *(*open_read)(struct tt_env *env, struct tt_scope *scope, const char *path);
    struct tt_op *(*open_write)(struct tt_env *env, struct tt_scope *scope, const char *path,
                                const struct tt_write_options *options);
    /* Removes a file, a symlink (not its target), or with `recursive` a tree. Missing: not_found.
     */
    struct tt_op *(*remove)(struct tt_env *env, struct tt_scope *scope, const char *path,
                            bool recursive);
    /* Makes a directory and its missing parents. One that exists is fine. Its mode is set when mode
     * >= 0. */
    struct tt_op *(*mkdir)(struct tt_env *env, struct tt_scope *scope, const char *path, int mode);
    /* Makes a symlink at path, atomically replacing what is there. */
    struct tt_op *(*symlink)(struct tt_env *env, struct tt_scope *scope, const char *target,
                             const char *path);
    /* The SHA-256 of a file's content, computed there: tt_digest_of, 64 hex digits. */
    struct tt_op *(*digest)(struct tt_env *env, struct tt_scope *scope, const char *path);
    /* All entries below root whose path (relative to root) matches one of the patterns
     * (core/base/glob.h), sorted by path, each once: tt_entries_of. The default is
     * tt_glob_by_listing. */
    struct tt_op *(*glob)(struct tt_env *env, struct tt_scope *scope, const char *root,
                          const char *const *patterns, size_t count);
    /* A directory of this machine in one stream to a path there where nothing is yet; get_tree the
     * other way. Modes, symlinks and empty directories are kept, checksums compared; the tree is
     * visible once it is whole. Kind `unsupported`, with nothing left behind, when it cannot be
     * done in one stream: tt_copy then goes file by file. The defaults are tt_no_put_tree and
     * tt_no_get_tree. */
    struct tt_op *(*put_tree)(struct tt_env *env, struct tt_scope *scope, const char *here,
                              const char *there);
    struct tt_op *(*get_tree)(struct tt_env *env, struct tt_scope *scope, const char *there,
                              const char *here);
};

/* The defaults. */
struct tt_op *tt_no_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                             const char *there);
struct tt_op *tt_no_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                             const char *here);

struct tt_op *tt_glob_by_listing(struct tt_env *env, struct tt_scope *scope, const char *root,
                                 const char *const *patterns, size_t count);
struct tt_op *tt_file_no_digest(struct tt_file *file, struct tt_scope *scope);
/* For executors that cannot do a file operation at all: an operation that has failed with kind
 * `unsupported`. */
struct tt_op *tt_file_unsupported(struct tt_env *env, struct tt_scope *scope, const char *what);

/* Operations with a typed result, as in core/env/exec.h. Results are borrowed from the operation.
 */
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
    struct tt_file *file; /* closed with the operation, unless tt_file_of took it */
};
struct tt_file *tt_file_of(struct tt_op *op); /* the caller's now */
struct tt_digest_op {
    struct tt_op op;
    char hex[65];
};
const char *tt_digest_of(struct tt_op *op);
void tt_stat_op_free(struct tt_op *op);
void tt_entries_op_free(struct tt_op *op);
void tt_file_op_free(struct tt_op *op);
/* Appends an entry; takes path and stat->target. */
void tt_entries_add(struct tt_entries *entries, char *path, const struct tt_stat *stat);
void tt_entries_sort(struct tt_entries *entries); /* by path, byte by byte */
void tt_entries_clear(struct tt_entries *entries);
/* "dir/name"; "name" where dir is NULL, "" or ".". Allocated. */
char *tt_path_join(const char *dir, const char *name);

/* --- the same over all environments --- */

/* A file's whole content, tt_bytes_of; `output_limit` when that is more than `max` bytes. */
struct tt_op *tt_read_file(struct tt_env *env, struct tt_scope *scope, const char *path,
                           size_t max);
struct tt_op *tt_write_file(struct tt_env *env, struct tt_scope *scope, const char *path,
                            const void *data, size_t length,
                            const struct tt_write_options *options);
/* Copies a file or a tree from one environment to another, as a stream in bounded memory, many
 * files at a time. Dot files, modes, symlinks and empty directories are kept; checksums are
 * compared. Adds and replaces, never deletes: a directory copied onto a directory merges into it.
 */
struct tt_op *tt_copy(struct tt_env *from, const char *from_path, struct tt_env *to,
                      const char *to_path, struct tt_scope *scope);

#endif
