/* The text that names an ssh host and who logs in there. Pure. */
#ifndef TX_SSH_DESTINATION_H
#define TX_SSH_DESTINATION_H

#include "core/base/error.h"

#include <stdbool.h>

/* A destination as people write it: "host", "user@host", "user@host:port", "user@[::1]:port", with
 * or without "ssh://". Allocated parts; user NULL and port 0 when not given. Kind `invalid`. */
struct tx_ssh_destination {
    char *user, *host;
    int port;
};
int tx_ssh_parse(struct tx_ssh_destination *destination, const char *text, struct tt_error **err);
void tx_ssh_destination_clear(struct tx_ssh_destination *destination);

/* Whether a text may name a host or a user: nothing in it that a shell, or ssh as an option, would
 * take for something else. */
bool tx_ssh_is_name(const char *text);

#endif
