/* File descriptors of one loop, watched through a single epoll instance.
 *
 * A command needs three or four descriptors for less than a millisecond; as libuv handles each
 * costs a dozen system calls and an asynchronous close. Here each costs one call to add and one to
 * remove, and its owner may be freed at once. Watches are edge-triggered: after an event, read or
 * write until EAGAIN before waiting again. */
#ifndef TX_WATCH_H
#define TX_WATCH_H

#include "core/async/loop.h"

#include <sys/epoll.h>

enum { tx_scratch_size = 64 << 10 };

struct tx_watcher;

/* Lives inside its owner, which sets `ready`; fd is -1 (tx_watch_init) or owned by the watch. */
struct tx_watch {
    /* Runs inside a libuv callback: it may finish operations, but frees no watch. */
    void (*ready)(struct tx_watch *watch, uint32_t events);
    int fd;
    void (*drop)(struct tx_watch *watch); /* of an abandoned one */
    struct tx_watch *next;
};

int tx_watcher_new(struct tx_watcher **out, struct tt_loop *loop, struct tt_error **err);
void tx_watcher_free(struct tx_watcher *watcher);
/* While it is held, the loop waits for its events: one hold for each operation that waits. */
void tx_watcher_hold(struct tx_watcher *watcher);
void tx_watcher_unhold(struct tx_watcher *watcher);
/* Room for tx_scratch_size bytes, good until the next use by anybody. */
char *tx_watcher_scratch(struct tx_watcher *watcher);

static inline void tx_watch_init(struct tx_watch *watch, void (*ready)(struct tx_watch *, uint32_t))
{
    watch->ready = ready;
    watch->fd = -1;
    watch->next = NULL;
}
/* Takes fd (closes it on failure). Readiness that is there already is reported. */
int tx_watch_add(struct tx_watcher *watcher, struct tx_watch *watch, int fd, uint32_t events,
                 struct tt_error **err);
/* Closes the descriptor; nothing when closed. */
void tx_watch_close(struct tx_watcher *watcher, struct tx_watch *watch);
/* Nobody waits for it any more, but its event still matters. It is reclaimed when that comes; else
 * the watcher's end drops it. */
void tx_watch_abandon(struct tx_watcher *watcher, struct tx_watch *watch,
                      void (*drop)(struct tx_watch *watch));
void tx_watch_reclaim(struct tx_watcher *watcher, struct tx_watch *watch);

#endif
