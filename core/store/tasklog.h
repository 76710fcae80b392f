/* A task's log: its output in one file, stdout and stderr as they arrive. The file is made when the
 * first byte comes.
 *
 * Writing is synchronous. It only reaches the page cache, so it is fast; and a log that lagged
 * behind would lose exactly the lines that tell why something died. Loop thread. */
#ifndef TT_TASKLOG_H
#define TT_TASKLOG_H

#include "core/base/error.h"

#include <stddef.h>

struct tt_tasklog {
    char *path; /* NULL before the first byte */
    int fd;     /* -1: closed; it opens again when there is more */
};

/* A file name for a task's name: unreserved bytes stay, others become %XX, a long name is cut and
 * ends in a hash. Different names give different files. Allocated. */
char *tt_file_name(const char *name);
/* Appends bytes to DIR/NAME.log; makes both when missing. Once log->path is set, dir and name may
 * be NULL. */
int tt_tasklog_write(struct tt_tasklog *log, const char *dir, const char *name, const void *bytes,
                     size_t length, struct tt_error **err);
/* Closes the descriptor; path stays, and the next write opens the file again. */
void tt_tasklog_close(struct tt_tasklog *log);
void tt_tasklog_clear(struct tt_tasklog *log);

#endif
