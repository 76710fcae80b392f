/* The requests of an SFTP client that have no reply yet, by their numbers. Loop thread. */
#ifndef TX_SFTP_PENDING_H
#define TX_SFTP_PENDING_H

#include "executors/ssh/sftp/sftp.h"

/* Who waits for a reply; done NULL: nobody any more. */
struct tx_awaited {
    uint32_t id;
    tx_sftp_done *done;
    void *arg;
    bool used;
};

/* All zero: none. */
struct tx_pending {
    struct tx_awaited *table; /* by id; its size is a power of two */
    size_t size, count;
    uint32_t next_id;
};

/* A new number. */
uint32_t tx_pending_add(struct tx_pending *pending, tx_sftp_done *done, void *arg);
/* Its reply came. False: nothing of that number was asked. */
bool tx_pending_take(struct tx_pending *pending, uint32_t id, struct tx_awaited *awaited);
/* Replies to arg are not wanted any more; they still come. */
void tx_pending_forget(struct tx_pending *pending, const void *arg);
/* Everybody who waits for a reply learns that there will be none. */
void tx_pending_lose(struct tx_pending *pending);
void tx_pending_clear(struct tx_pending *pending);

#endif
