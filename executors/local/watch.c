#include "executors/local/watch.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct tx_watcher {
    uv_poll_t poll; /* sees the epoll instance itself */
    int epoll;
    size_t holds;
    struct tx_watch *abandoned;
    char *scratch;
};

enum { events_at_once = 64 };

static void on_ready(uv_poll_t *poll, int status, int what)
{
    struct tx_watcher *watcher = poll->data;
    struct epoll_event events[events_at_once];
    (void)status;
    (void)what;
    int count = epoll_wait(watcher->epoll, events, events_at_once, 0);
    for (int i = 0; i < count; i++) {
        struct tx_watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
}

int tx_watcher_new(struct tx_watcher **out, struct tt_loop *loop, struct tt_error **err)
{
    struct tx_watcher *watcher = tt_zalloc(sizeof *watcher);
    watcher->epoll = TT_FAULT("watch.create") ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (watcher->epoll < 0) {
        free(watcher);
        return tt_fail_errno(err, errno, "nothing to watch descriptors with");
    }
    int rc = TT_FAULT("watch.poll")
                 ? UV_EIO
                 : uv_poll_init(tt_loop_uv(loop), &watcher->poll, watcher->epoll);
    if (rc < 0) {
        close(watcher->epoll);
        free(watcher);
        return tt_fail(err, TT_IO, "the loop cannot watch descriptors: %s", uv_strerror(rc));
    }
    watcher->poll.data = watcher;
    watcher->scratch = tt_alloc(tx_scratch_size);
    uv_poll_start(&watcher->poll, UV_READABLE, on_ready);
    uv_unref((uv_handle_t *)&watcher->poll);
    *out = watcher;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct tx_watcher *watcher = handle->data;
    close(watcher->epoll);
    free(watcher->scratch);
    free(watcher);
}

void tx_watcher_free(struct tx_watcher *watcher)
{
    if (!watcher)
        return;
    while (watcher->abandoned) {
        struct tx_watch *watch = watcher->abandoned;
        watcher->abandoned = watch->next;
        tx_watch_close(watcher, watch);
        watch->drop(watch);
    }
    uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

void tx_watcher_hold(struct tx_watcher *watcher)
{
    if (watcher->holds++ == 0)
        uv_ref((uv_handle_t *)&watcher->poll);
}

void tx_watcher_unhold(struct tx_watcher *watcher)
{
    if (--watcher->holds == 0)
        uv_unref((uv_handle_t *)&watcher->poll);
}

char *tx_watcher_scratch(struct tx_watcher *watcher)
{
    return watcher->scratch;
}

int tx_watch_add(struct tx_watcher *watcher, struct tx_watch *watch, int fd, uint32_t events,
                 struct tt_error **err)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = watch};
    if (TT_FAULT("watch.add") || epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        int errnum = errno;
        close(fd);
        return tt_fail_errno(err, errnum, "cannot watch a descriptor");
    }
    watch->fd = fd;
    return 0;
}

/* Closing alone does not end a watch while a copy of the descriptor lives in another process. */
void tx_watch_close(struct tx_watcher *watcher, struct tx_watch *watch)
{
    if (watch->fd < 0)
        return;
    epoll_ctl(watcher->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
}

void tx_watch_abandon(struct tx_watcher *watcher, struct tx_watch *watch,
                      void (*drop)(struct tx_watch *watch))
{
    watch->drop = drop;
    watch->next = watcher->abandoned;
    watcher->abandoned = watch;
}

void tx_watch_reclaim(struct tx_watcher *watcher, struct tx_watch *watch)
{
    struct tx_watch **at = &watcher->abandoned;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
}
