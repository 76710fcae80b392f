#include "core/base/library.h"

#include "core/base/fault.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* One for all libraries: loading is rare, and the dynamic linker takes a lock of its own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A function's address is written as bytes: C knows no pointer to "any function". */
static int fill(struct tt_library *library, struct tt_error **err)
{
    char *slot = library->table;
    for (const char *const *name = library->names; *name; name++, slot += sizeof(void *)) {
        void *found = dlsym(library->handle, *name);
        if (!found)
            return tt_fail(err, TT_UNSUPPORTED, "%s has no %s", library->file, *name);
        memcpy(slot, &found, sizeof found);
    }
    return 0;
}

static int load(struct tt_library *library, struct tt_error **err)
{
    if (!library->handle && !TT_FAULT(library->fault))
        library->handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle)
        return tt_fail(err, TT_UNSUPPORTED, "%s, which could not be loaded", library->needed);
    int rc = fill(library, err);
    if (rc == 0 && library->loaded)
        library->loaded();
    return rc;
}

int tt_library_load(struct tt_library *library, struct tt_error **err)
{
    if (atomic_load_explicit(&library->ready, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&lock);
    int rc = atomic_load_explicit(&library->ready, memory_order_relaxed) ? 0 : load(library, err);
    if (rc == 0)
        atomic_store_explicit(&library->ready, true, memory_order_release);
    pthread_mutex_unlock(&lock);
    return rc;
}

void *tt_library_find(const struct tt_library *library, const char *name)
{
    return dlsym(library->handle, name);
}
