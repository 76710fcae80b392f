/* Users of this machine. */
#ifndef TX_LOCAL_USER_H
#define TX_LOCAL_USER_H

#include "core/base/error.h"

#include <sys/types.h>

struct tx_user {
    char *name, *home, *shell;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
};

/* By name or number. May block (name services): for a worker thread. Errors: not_found, io. */
int tx_user_find(struct tx_user *out, const char *name, struct tt_error **err);
void tx_user_clear(struct tx_user *user);

#endif
