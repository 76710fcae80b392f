#include "executors/local/user.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { first_room = 1 << 10, most_room = 1 << 20, groups_room = 64 };

static int look_up(const char *name, struct passwd *entry, char *room, size_t size,
                   struct passwd **found)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*name >= '0' && *name <= '9' && !*end)
        return getpwuid_r((uid_t)number, entry, room, size, found);
    return getpwnam_r(name, entry, room, size, found);
}

static void find_groups(struct tx_user *user)
{
    user->group_count = groups_room;
    for (;;) {
        int room = user->group_count;
        user->groups = tt_reallocarray(user->groups, (size_t)room, sizeof *user->groups);
        if (getgrouplist(user->name, user->gid, user->groups, &user->group_count) >= 0)
            return;
        if (user->group_count <= room)
            user->group_count = room * 2;
    }
}

int tx_user_find(struct tx_user *out, const char *name, struct tt_error **err)
{
    struct passwd entry, *found = NULL;
    char *room = NULL;
    int rc = ERANGE;
    for (size_t size = first_room; rc == ERANGE && size <= most_room; size *= 4) {
        room = tt_realloc(room, size);
        rc = TT_FAULT("local_user.lookup") ? EIO : look_up(name, &entry, room, size, &found);
    }
    if (rc == 0 && found) {
        *out = (struct tx_user){.name = tt_strdup(entry.pw_name),
                                .home = tt_strdup(entry.pw_dir),
                                .shell = tt_strdup(entry.pw_shell),
                                .uid = entry.pw_uid,
                                .gid = entry.pw_gid};
        find_groups(out);
    }
    free(room);
    if (rc != 0 && rc != ENOENT && rc != ESRCH)
        return tt_error_set(err, TT_IO, rc, __FILE__, __LINE__, "cannot look up user \"%s\"", name);
    if (!found)
        return tt_fail(err, TT_NOT_FOUND, "there is no user \"%s\"", name);
    return 0;
}

void tx_user_clear(struct tx_user *user)
{
    free(user->name);
    free(user->home);
    free(user->shell);
    free(user->groups);
    *user = (struct tx_user){0};
}
