/* The watcher of a loop: watches file descriptors through a single epoll instance. Loop thread.
 *
 * A command needs three or four descriptors for less than a millisecond; as libuv handles each
 * costs a dozen system calls and an asynchronous close. Here adding costs one system call and
 * removing another, and the owner may be freed right after. Watches are edge-triggered: after an
 * event, read or write until EAGAIN before waiting again. */
#ifndef TX_WATCH_H
#define TX_WATCH_H

#include "core/async/loop.h"

#include <sys/epoll.h>

enum { tx_scratch_size = 64 << 10 };

struct tx_watcher;

/* A watched descriptor. Lives inside its owner. The watch owns fd; -1: none. */
struct tx_watch {
    /* Runs inside a libuv callback: it may finish operations, but frees no watch. */
    void (*ready)(struct tx_watch *watch, uint32_t events);
    int fd;
    void (*drop)(struct tx_watch *watch); /* see tx_watch_abandon */
    struct tx_watch *next;
};

int tx_watcher_new(struct tx_watcher **out, struct tt_loop *loop, struct tt_error **err);
void tx_watcher_free(struct tx_watcher *watcher);
/* While the watcher is held, the loop stays alive for its events. Each operation that waits for one
 * holds it once. */
void tx_watcher_hold(struct tx_watcher *watcher);
void tx_watcher_unhold(struct tx_watcher *watcher);
/* A buffer of tx_scratch_size bytes that all share: what is in it is lost at the next callback. */
char *tx_watcher_scratch(struct tx_watcher *watcher);

static inline void tx_watch_init(struct tx_watch *watch, void (*ready)(struct tx_watch *, uint32_t))
{
    watch->ready = ready;
    watch->fd = -1;
    watch->next = NULL;
}
/* Watches fd, which it takes (and closes on failure), for epoll's `events`. Reports at once what fd
 * is ready for already. */
int tx_watch_add(struct tx_watcher *watcher, struct tx_watch *watch, int fd, uint32_t events,
                 struct tt_error **err);
/* Ends the watch and closes its descriptor, if it has one. */
void tx_watch_close(struct tx_watcher *watcher, struct tx_watch *watch);
/* Hands the watch to the watcher: its owner is done, but the event still matters. When the event
 * comes, `ready` must call tx_watch_reclaim; if none comes, tx_watcher_free calls `drop`. */
void tx_watch_abandon(struct tx_watcher *watcher, struct tx_watch *watch,
                      void (*drop)(struct tx_watch *watch));
void tx_watch_reclaim(struct tx_watcher *watcher, struct tx_watch *watch);

#endif
