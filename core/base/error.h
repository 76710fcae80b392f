/* Errors: what went wrong, where, and why.
 *
 * A function that can fail returns 0 or a negative code, -(enum tt_kind), and describes the failure
 * in a struct tt_error that the caller owns. The kinds are the contract's: they mean the same in
 * every environment and reach Lua unchanged as `err.kind`. */
#ifndef TT_ERROR_H
#define TT_ERROR_H

#include <stdarg.h>

enum tt_kind {
    TT_OK = 0,
    TT_EXIT,         /* the command ended with a code other than 0 */
    TT_SIGNAL,       /* a signal ended it */
    TT_NOT_FOUND,    /* no such command, file, container, task … */
    TT_PERMISSION,   /* not allowed to run or touch it */
    TT_TIMEOUT,      /* a deadline passed */
    TT_OUTPUT_LIMIT, /* more output than max_output */
    TT_CWD,          /* the working directory could not be entered */
    TT_LOST,         /* the end was not observed */
    TT_CONNECT,      /* no connection could be made */
    TT_AUTH,         /* the far side did not accept who we are */
    TT_HOST_KEY,     /* we did not accept who the far side is */
    TT_CANCELLED,    /* somebody asked for it to stop */
    TT_INVALID,      /* refused before anything ran */
    TT_UNSUPPORTED,  /* this environment cannot do that */
    TT_SCRIPT,       /* an error raised by Lua code */
    TT_HEALTH,       /* a health check did not pass */
    TT_ARTIFACT,     /* an artifact is missing, ambiguous or damaged */
    TT_IO,           /* reading or writing failed */
    TT_KIND_COUNT
};

struct tt_error {
    enum tt_kind kind;
    int errnum;             /* errno where there was one, else 0 */
    char *message;          /* one line, without the cause's */
    struct tt_error *cause; /* owned; NULL at the root */
    const char *file;       /* the C source line that made it */
    int line;
};

/* The contract's name: "exit", "not_found" …; NULL for TT_OK. */
const char *tt_kind_name(enum tt_kind kind);
/* The kind of that name, or TT_OK when there is none. */
enum tt_kind tt_kind_of(const char *name);
/* The kind that an errno stands for: ENOENT is not_found, EACCES and EPERM permission, else io. */
enum tt_kind tt_kind_of_errno(int errnum);

/* Sets *err (which may be NULL: the details are then dropped) and returns -kind. An error that was
 * in *err becomes the cause. The `_errno` form appends the system's text for errnum. */
#define tt_fail(err, kind, ...) tt_error_set(err, kind, 0, __FILE__, __LINE__, __VA_ARGS__)
#define tt_fail_errno(err, errnum, ...)                                                            \
    tt_error_set(err, tt_kind_of_errno(errnum), errnum, __FILE__, __LINE__, __VA_ARGS__)
/* Says what was being done when *err happened; keeps its kind. */
#define tt_context(err, ...)                                                                       \
    tt_error_set(err, (err) && *(err) ? (*(err))->kind : TT_IO, 0, __FILE__, __LINE__, __VA_ARGS__)
int tt_error_set(struct tt_error **err, enum tt_kind kind, int errnum, const char *file, int line,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));

/* A new error, for where there is no `err` parameter to set. */
#define tt_error_new(kind, ...) tt_error_make(kind, __FILE__, __LINE__, __VA_ARGS__)
struct tt_error *tt_error_make(enum tt_kind kind, const char *file, int line, const char *format,
                               ...) __attribute__((format(printf, 4, 5)));

struct tt_error *tt_error_copy(const struct tt_error *err); /* deep; NULL for NULL */
void tt_error_free(struct tt_error *err);
/* "message: cause: its cause", allocated. */
char *tt_error_text(const struct tt_error *err);

#endif
