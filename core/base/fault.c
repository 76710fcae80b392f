#include "core/base/fault.h"

#ifdef TT_FAULTS
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { max_names = 1024, passages_listed = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *name;
    long passed;
} points[max_names];

/* How often this name has passed, with this passage. */
static long passage_of(const char *name)
{
    for (int i = 0; i < max_names; i++) {
        if (!points[i].name)
            points[i].name = name;
        if (points[i].name == name || strcmp(points[i].name, name) == 0)
            return ++points[i].passed;
    }
    return passages_listed + 1;
}

static void list(const char *name)
{
    const char *path = getenv("TUTTI_FAULT_LIST");
    long passage = path ? passage_of(name) : 0;
    FILE *out = passage && passage <= passages_listed ? fopen(path, "a") : NULL;
    if (out) {
        fprintf(out, "%s:%ld\n", name, passage);
        fclose(out);
    }
}

static bool selected(const char *name)
{
    static long passed;
    const char *want = getenv("TUTTI_FAULT");
    size_t length = strlen(name);
    if (!want || strncmp(want, name, length) != 0 || (want[length] && want[length] != ':'))
        return false;
    long nth = want[length] ? strtol(want + length + 1, NULL, 10) : 1;
    bool later = want[length] && want[strlen(want) - 1] == '+';
    passed++;
    return passed == nth || (later && passed > nth);
}

bool tt_fault(const char *name)
{
    pthread_mutex_lock(&lock);
    list(name);
    bool fails = selected(name);
    pthread_mutex_unlock(&lock);
    if (fails)
        errno = EIO;
    return fails;
}
#else
typedef int tt_fault_is_compiled_out;
#endif
