/* A client of the ssh agent: asks it for its keys and for signatures over its socket, without
 * blocking (an agent may be waiting for its owner to confirm). One connection for each question.
 * Loop thread. */
#ifndef TX_SSH_AGENT_H
#define TX_SSH_AGENT_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tx_agent_key {
    struct tt_buf blob;
    char *comment;
};
struct tx_agent_keys {
    struct tx_agent_key *items;
    size_t count;
};

/* Both finish with the agent's reply: tt_bytes_of, to be read by the functions below. Kind `auth`
 * when the agent cannot be reached or breaks off. */
struct tt_op *tx_agent_list(struct tt_scope *scope, const char *socket_path);
/* RSA keys are asked for SHA-256. */
struct tt_op *tx_agent_sign(struct tt_scope *scope, const char *socket_path,
                            const struct tt_buf *blob, const void *data, size_t length);

int tx_agent_read_list(const struct tt_bytes *reply, struct tx_agent_keys *keys,
                       struct tt_error **err);
void tx_agent_keys_clear(struct tx_agent_keys *keys);
/* Appends the signature's inner bytes. */
int tx_agent_read_signature(const struct tt_bytes *reply, struct tt_buf *signature,
                            struct tt_error **err);

#endif
