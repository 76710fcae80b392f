/* A task's output on disk: one file, made when the first byte comes, each stream as it arrives.
 *
 * Writing is synchronous: it goes to the page cache, and a log that lagged behind would lose
 * exactly the lines that tell why something died. Loop thread. */
#ifndef TT_TASKLOG_H
#define TT_TASKLOG_H

#include "core/base/error.h"

#include <stddef.h>

struct tt_tasklog {
    char *path; /* NULL before the first byte */
    int fd;     /* -1: closed; it opens again when there is more */
};

/* A task's name as a file's: unreserved bytes stay, others become %XX; long ones end in a hash.
 * Different names give different files. Allocated. */
char *tt_file_name(const char *name);
/* Appends, making DIR and the file NAME.log when missing; both may be NULL once path is set. */
int tt_tasklog_write(struct tt_tasklog *log, const char *dir, const char *name, const void *bytes,
                     size_t length, struct tt_error **err);
/* Gives the descriptor back; path stays. */
void tt_tasklog_close(struct tt_tasklog *log);
void tt_tasklog_clear(struct tt_tasklog *log);

#endif
