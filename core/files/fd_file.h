/* A struct tt_file over a descriptor of this machine: what the local environment and the artifact
 * store have in common. Reads, writes and commits run on worker threads; whoever opens fills the
 * fields. */
#ifndef TT_FD_FILE_H
#define TT_FD_FILE_H

#include "core/files/files.h"

struct tt_fd_file {
    struct tt_file file;
    unsigned refs;   /* the owner's, and one for each operation at work */
    int fd;          /* -1 once committed */
    char *path;      /* for messages */
    char *temporary; /* what is written, removed unless committed; NULL: written in place */
    char *final;     /* what the commit renames the temporary to */
    int mode;        /* set at the commit; -1: as it was made */
    int64_t size;    /* promised by the writer; -1: unknown */
    int64_t written;
};

/* With one reference, no descriptor, mode and size -1. env may be NULL. On the loop thread. */
struct tt_fd_file *tt_fd_file_new(struct tt_env *env, const char *path);
void tt_fd_file_retain(struct tt_fd_file *file);
void tt_fd_file_release(struct tt_fd_file *file); /* the last one closes and removes */

/* Runs `open` on a worker thread, which fills fd and file.stat and touches file alone: tt_file_of.
 * Takes the caller's reference, whatever comes of it. */
struct tt_op *tt_fd_file_open(struct tt_fd_file *file, struct tt_scope *scope,
                              int (*open)(struct tt_fd_file *file, struct tt_error **err));
/* On a worker thread: makes a new temporary beside `final` and opens it. */
int tt_fd_file_create(struct tt_fd_file *file, unsigned mode, struct tt_error **err);
/* On a worker thread: what the commit operation does. */
int tt_fd_file_commit(struct tt_fd_file *file, struct tt_error **err);
/* A name that nobody has for a temporary beside path; allocated. */
char *tt_temporary_beside(const char *path);

#endif
