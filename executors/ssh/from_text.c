#include "executors/ssh/from_text.h"

#include "core/env/registry.h"
#include "executors/ssh/config/destination.h"
#include "executors/ssh/ssh.h"

#include <stdlib.h>

int tx_ssh_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err)
{
    struct tx_ssh_destination d;
    int rc = tx_ssh_parse(&d, text, err);
    if (rc < 0)
        return rc;
    struct tx_ssh_options options = {
        .host = d.host, .user = d.user, .port = d.port, .config = getenv("TUTTI_SSH_CONFIG")};
    rc = tt_env_here(&options.here, loop, err);
    *env = rc == 0 ? tx_ssh_new(loop, &options, err) : NULL;
    tt_env_release(options.here);
    tx_ssh_destination_clear(&d);
    return *env ? 0 : -TT_INVALID;
}
