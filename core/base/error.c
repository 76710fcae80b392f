#include "core/base/error.h"

#include "core/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TT_KIND_COUNT] = {
    [TT_EXIT] = "exit",
    [TT_SIGNAL] = "signal",
    [TT_NOT_FOUND] = "not_found",
    [TT_PERMISSION] = "permission",
    [TT_TIMEOUT] = "timeout",
    [TT_OUTPUT_LIMIT] = "output_limit",
    [TT_CWD] = "cwd",
    [TT_LOST] = "lost",
    [TT_CONNECT] = "connect",
    [TT_AUTH] = "auth",
    [TT_HOST_KEY] = "host_key",
    [TT_CANCELLED] = "cancelled",
    [TT_INVALID] = "invalid",
    [TT_UNSUPPORTED] = "unsupported",
    [TT_SCRIPT] = "script",
    [TT_HEALTH] = "health",
    [TT_ARTIFACT] = "artifact",
    [TT_IO] = "io",
};

const char *tt_kind_name(enum tt_kind kind)
{
    return (unsigned)kind < TT_KIND_COUNT ? names[kind] : NULL;
}

enum tt_kind tt_kind_of(const char *name)
{
    for (int kind = TT_OK + 1; kind < TT_KIND_COUNT; kind++)
        if (strcmp(names[kind], name) == 0)
            return (enum tt_kind)kind;
    return TT_OK;
}

enum tt_kind tt_kind_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return TT_NOT_FOUND;
    case EACCES:
    case EPERM:
        return TT_PERMISSION;
    default:
        return TT_IO;
    }
}

static struct tt_error *make(enum tt_kind kind, int errnum, const char *file, int line,
                             const char *format, va_list args)
{
    struct tt_error *err = tt_zalloc(sizeof *err);
    char *message = tt_vformat(format, args);
    err->kind = kind;
    err->errnum = errnum;
    err->file = file;
    err->line = line;
    err->message = message;
    if (errnum) {
        err->message = tt_format("%s: %s", message, strerror(errnum));
        free(message);
    }
    return err;
}

int tt_error_set(struct tt_error **err, enum tt_kind kind, int errnum, const char *file, int line,
                 const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        struct tt_error *made = make(kind, errnum, file, line, format, args);
        va_end(args);
        made->cause = *err;
        *err = made;
    }
    return -(int)kind;
}

struct tt_error *tt_error_make(enum tt_kind kind, const char *file, int line, const char *format,
                               ...)
{
    va_list args;
    va_start(args, format);
    struct tt_error *made = make(kind, 0, file, line, format, args);
    va_end(args);
    return made;
}

struct tt_error *tt_error_copy(const struct tt_error *err)
{
    if (!err)
        return NULL;
    struct tt_error *copy = tt_zalloc(sizeof *copy);
    *copy = *err;
    copy->message = tt_strdup(err->message);
    copy->cause = tt_error_copy(err->cause);
    return copy;
}

void tt_error_free(struct tt_error *err)
{
    while (err) {
        struct tt_error *cause = err->cause;
        free(err->message);
        free(err);
        err = cause;
    }
}

char *tt_error_text(const struct tt_error *err)
{
    char *text = tt_strdup(err ? err->message : "");
    for (const struct tt_error *cause = err ? err->cause : NULL; cause; cause = cause->cause) {
        char *longer = tt_format("%s: %s", text, cause->message);
        free(text);
        text = longer;
    }
    return text;
}
