/* A pattern and a path, one a line: matching the whole path and walking down to it agree. */
#include "core/base/alloc.h"
#include "core/base/glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As tt_glob_match, name by name. */
static bool walk(struct tt_glob *glob, const char *path, bool directory)
{
    char *names = tt_strdup(path), *rest = names;
    void *place = tt_alloc(tt_glob_place_size(glob)), *below = tt_alloc(tt_glob_place_size(glob));
    char *name = strsep(&rest, "/");
    bool reached = true;
    tt_glob_top(glob, place);
    for (; rest && reached; name = strsep(&rest, "/")) {
        reached = tt_glob_enter(glob, place, name, false, below);
        void *swap = place;
        place = below;
        below = swap;
    }
    bool matched = reached && tt_glob_match_in(glob, place, name, directory);
    free(names);
    free(place);
    free(below);
    return matched;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2000) /* what is quadratic here stays quick */
        return 0;
    char *pattern = tt_strndup((const char *)data, size), *path = strchr(pattern, '\n');
    struct tt_glob *glob;
    if (path)
        *path++ = 0;
    const char *one = pattern;
    if (tt_glob_new(&glob, &one, 1, NULL) == 0) {
        if (!path || !*path)
            path = pattern;
        bool plain = path[0] != '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//");
        for (int directory = 0; directory < 2 && plain; directory++)
            if (walk(glob, path, directory) != tt_glob_match(glob, path, directory, NULL))
                abort();
        if (plain && path == pattern && !strpbrk(pattern, "*?[{\\") && *pattern != '.' &&
            !strstr(pattern, "/.") && !tt_glob_match(glob, pattern, false, NULL))
            abort();
        tt_glob_free(glob);
    }
    free(pattern);
    return 0;
}
