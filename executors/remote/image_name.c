#include "executors/remote/image_name.h"

#include <stdbool.h>
#include <string.h>

static bool only(const char *name, const char *more)
{
    static const char always[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (!*name || !strchr(always, *name))
        return false;
    for (; *name; name++)
        if (!strchr(always, *name) && !strchr(more, *name))
            return false;
    return true;
}

int tx_check_container_name(const char *name, struct tt_error **err)
{
    return only(name, "_.-") && strlen(name) < 256
               ? 0
               : tt_fail(err, TT_INVALID, "'%s' cannot be the name of a container", name);
}

int tx_check_image_name(const char *name, struct tt_error **err)
{
    bool good = only(name, "_.-/:@") && strlen(name) < 512 && !strstr(name, "..") &&
                !strstr(name, "//") && !strchr("/:@", name[strlen(name) - 1]);
    return good ? 0 : tt_fail(err, TT_INVALID, "'%s' cannot be the name of an image", name);
}
