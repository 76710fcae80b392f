/* .dockerignore: a pattern a line, `!` takes back, the last one that matches a path or a folder
 * above it decides. */
#include "core/base/alloc.h"
#include "core/base/glob.h"
#include "executors/docker/build.h"

#include <stdlib.h>
#include <string.h>

struct tx_ignore {
    struct tt_glob *glob;
    char **patterns;
    bool *negative, *hits, *all;
    size_t count;
};

static void add_line(struct tx_ignore *ignore, const char *line, size_t length)
{
    while (length && strchr(" \t\r", line[length - 1]))
        length--;
    while (length && strchr(" \t", *line))
        line++, length--;
    if (!length || *line == '#')
        return;
    bool negative = *line == '!';
    if (negative)
        line++, length--;
    while (length && (*line == '/' || (length > 1 && line[0] == '.' && line[1] == '/')))
        line++, length--;
    while (length && line[length - 1] == '/')
        length--;
    if (!length || (length == 1 && *line == '.'))
        return;
    size_t n = ignore->count + 1;
    ignore->patterns = tt_reallocarray(ignore->patterns, n, sizeof *ignore->patterns);
    ignore->negative = tt_reallocarray(ignore->negative, n, sizeof *ignore->negative);
    ignore->patterns[ignore->count] = tt_strndup(line, length);
    ignore->negative[ignore->count++] = negative;
}

int tx_ignore_new(struct tx_ignore **out, const char *text, struct tt_error **err)
{
    struct tx_ignore *ignore = tt_zalloc(sizeof *ignore);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        add_line(ignore, line, length);
        line += length + (line[length] == '\n');
    }
    int rc = tt_glob_new(&ignore->glob, (const char *const *)ignore->patterns, ignore->count, err);
    if (rc < 0) {
        tx_ignore_free(ignore);
        return tt_fail(err, TT_INVALID, ".dockerignore");
    }
    ignore->hits = tt_zalloc(ignore->count + 1);
    ignore->all = tt_zalloc(ignore->count + 1);
    *out = ignore;
    return 0;
}

bool tx_ignored(struct tx_ignore *ignore, const char *path)
{
    size_t length = strlen(path);
    memset(ignore->all, 0, ignore->count);
    for (size_t end = 1; end <= length; end++) {
        if (path[end] && path[end] != '/')
            continue;
        char *above = tt_strndup(path, end);
        memset(ignore->hits, 0, ignore->count);
        tt_glob_match(ignore->glob, above, true, ignore->hits);
        for (size_t i = 0; i < ignore->count; i++)
            ignore->all[i] = ignore->all[i] || ignore->hits[i];
        free(above);
    }
    bool ignored = false;
    for (size_t i = 0; i < ignore->count; i++)
        if (ignore->all[i])
            ignored = !ignore->negative[i];
    return ignored;
}

void tx_ignore_free(struct tx_ignore *ignore)
{
    if (!ignore)
        return;
    tt_glob_free(ignore->glob);
    for (size_t i = 0; i < ignore->count; i++)
        free(ignore->patterns[i]);
    free(ignore->patterns);
    free(ignore->negative);
    free(ignore->hits);
    free(ignore->all);
    free(ignore);
}
