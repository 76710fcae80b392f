#include "core/base/fault.h"

#ifdef TT_FAULTS
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { max_names = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *seen[max_names];

/* True the first time that this name passes. */
static bool is_new(const char *name)
{
    for (int i = 0; i < max_names; i++) {
        if (!seen[i]) {
            seen[i] = name;
            return true;
        }
        if (seen[i] == name || strcmp(seen[i], name) == 0)
            return false;
    }
    return false;
}

static void list(const char *name)
{
    const char *path = getenv("TUTTI_FAULT_LIST");
    FILE *out = path && is_new(name) ? fopen(path, "a") : NULL;
    if (out) {
        fprintf(out, "%s\n", name);
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
