#include "executors/ssh/host/parts.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <stdlib.h>

enum { default_idle_ms = 60000, default_lifetime_ms = 3600000 };

struct owned_lease {
    struct tx_lease lease;
    bool attached;
};

/* --- connections of the pool --- */

void tx_link_unref(struct tx_link *link)
{
    if (--link->refs > 0)
        return;
    tx_session_unwait(link->session, &link->waiter);
    tx_session_end(link->session); /* channels that are being closed hold it, too */
    tx_session_release(link->session);
    free(link);
}

static void drop_attached(struct tx_link *link)
{
    while (link->attached) {
        struct tx_attached *attached = link->attached;
        link->attached = attached->next;
        attached->drop(attached);
    }
}

void tx_link_leave(struct tx_link *link)
{
    struct tx_host *host = link->host;
    if (!host)
        return;
    struct tx_link **at = &host->links;
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    link->host = NULL;
    tt_timer_stop(host->loop, &link->idle);
    if (!host->links)
        host->crowded = false;
    drop_attached(link);
    tx_link_unref(link);
    tx_host_settle(host);
}

static void on_idle_over(struct tt_timer *timer)
{
    tx_link_leave(tt_owner(timer, struct tx_link, idle));
}

static int64_t lifetime(const struct tx_host *host)
{
    return host->own.is.lifetime > 0 ? host->own.is.lifetime : default_lifetime_ms;
}

static bool is_old(const struct tx_link *link)
{
    return tt_loop_now(link->host->loop) - link->born > lifetime(link->host);
}

static void watch_use(struct tx_link *link)
{
    struct tx_host *host = link->host;
    if (!host)
        return;
    if (link->users) {
        tt_timer_stop(host->loop, &link->idle);
        if (link->users == 1)
            tx_session_keepalive(link->session, host->settings.keepalive);
        return;
    }
    tx_session_keepalive(link->session, 0);
    if (is_old(link)) {
        tx_link_leave(link);
        return;
    }
    int64_t idle = host->own.is.idle > 0 ? host->own.is.idle : default_idle_ms;
    tt_timer_start(host->loop, &link->idle, tt_loop_now(host->loop) + idle, on_idle_over);
}

static void on_link_wake(struct tx_waiter *waiter)
{
    struct tx_link *link = tt_owner(waiter, struct tx_link, waiter);
    if (tx_session_why(link->session))
        tx_link_leave(link);
}

struct tx_link *tx_link_new(struct tx_host *host, struct tx_session *session)
{
    struct tx_link *link = tt_zalloc(sizeof *link);
    link->host = host;
    link->session = session;
    link->refs = 1;
    link->room = host->room;
    link->born = tt_loop_now(host->loop);
    link->waiter.wake = on_link_wake;
    link->next = host->links;
    host->links = link;
    tx_session_wait(session, &link->waiter);
    watch_use(link);
    return link;
}

static bool has_room(const struct tx_link *link)
{
    return !tx_session_disconnected(link->session) && !is_old(link) &&
           link->channels < (link->room ? link->room : tx_assumed_channels);
}

struct tx_link *tx_link_with_room(const struct tx_host *host)
{
    for (struct tx_link *link = host->links; link; link = link->next)
        if (has_room(link))
            return link;
    return NULL;
}

/* --- leases --- */

struct tx_lease *tx_lease_new(struct tx_link *link, struct tx_channel *channel, bool attached)
{
    struct owned_lease *lease = tt_zalloc(sizeof *lease);
    lease->lease = (struct tx_lease){channel, link};
    lease->attached = attached;
    return &lease->lease;
}

void tx_link_take_place(struct tx_link *link, bool attached)
{
    link->refs++;
    link->channels++;
    if (!attached) {
        link->users++;
        watch_use(link);
    }
}

void tx_link_give_place(struct tx_link *link, bool attached)
{
    link->channels--;
    if (!attached) {
        link->users--;
        watch_use(link);
    }
    if (link->host) {
        link->host->crowded = false;
        tx_host_settle(link->host);
    }
    tx_link_unref(link);
}

void tx_lease_end(struct tx_lease *lease)
{
    if (!lease)
        return;
    struct owned_lease *owned = (struct owned_lease *)(void *)lease;
    lease->link->freed = tt_loop_now(tx_link_loop(lease->link));
    tx_channel_free(lease->channel);
    tx_link_give_place(lease->link, owned->attached);
    free(owned);
}

void tx_lease_is_attached(struct tx_lease *lease)
{
    struct owned_lease *owned = (struct owned_lease *)(void *)lease;
    if (owned->attached)
        return;
    owned->attached = true;
    lease->link->users--;
    watch_use(lease->link);
}

/* --- what is kept with a connection --- */

struct tx_host *tx_link_host(const struct tx_link *link)
{
    return link->host;
}

struct tt_loop *tx_link_loop(const struct tx_link *link)
{
    return tx_session_loop(link->session);
}

void tx_link_attach(struct tx_link *link, struct tx_attached *attached)
{
    attached->next = link->attached;
    link->attached = attached;
}

void tx_link_detach(struct tx_link *link, struct tx_attached *attached)
{
    struct tx_attached **at = &link->attached;
    while (*at && *at != attached)
        at = &(*at)->next;
    if (*at)
        *at = attached->next;
}

void tx_link_use(struct tx_link *link, bool yes)
{
    if (yes)
        link->users++;
    else
        link->users--;
    watch_use(link);
}

struct tx_attached *tx_link_attached(const struct tx_link *link)
{
    return link->attached;
}
