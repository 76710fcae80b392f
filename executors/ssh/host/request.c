#include "executors/ssh/host/parts.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"

#include <stdlib.h>

enum {
    max_links = 64,
    idle_refusals = 40,    /* of a connection that nobody else uses … */
    refusal_pause_ms = 25, /* … with this between them */
    refusal_early_ms = 250,
    early_refusals = 3,
    early_pause_ms = 10,
};

struct tx_request {
    struct tt_op op;
    struct tx_host *host; /* held */
    struct tx_request *next;
    char *target;
    int port;
    struct tx_link *link; /* where it opens its channel, or NULL: it waits */
    struct tx_link *only; /* no other connection will do: it is attached to this one */
    struct tx_channel *channel;
    struct tx_lease *lease;
    struct tt_timer pause;
    int refusals, breaks, early;
};

/* --- the end of one --- */

static void unlist(struct tx_request *r)
{
    struct tx_request **at = &r->host->requests;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
}

/* Gives back the connection that it tried. */
static void drop_attempt(struct tx_request *r)
{
    if (!r->link)
        return;
    struct tx_link *link = r->link;
    r->link = NULL;
    if (r->channel) {
        tx_channel_free(r->channel);
        r->channel = NULL;
    }
    tx_link_give_place(link, r->only);
}

static void end_request(struct tx_request *r, struct tt_error *err)
{
    tt_timer_stop(r->host->loop, &r->pause);
    drop_attempt(r);
    unlist(r);
    tt_op_finish(&r->op, err);
}

static void request_cancel(struct tt_op *op, const struct tt_error *why)
{
    end_request((struct tx_request *)(void *)op, tt_error_copy(why));
}

static void request_free(struct tt_op *op)
{
    struct tx_request *r = (struct tx_request *)(void *)op;
    tx_lease_end(r->lease);
    if (r->only)
        tx_link_unref(r->only);
    tx_host_release(r->host);
    free(r->target);
    free(r);
}

void tx_requests_fail(struct tx_host *host, const struct tt_error *why)
{
    for (struct tx_request *r = host->requests, *next; r; r = next) {
        next = r->next;
        if (!r->link && !r->only)
            end_request(r, tt_error_copy(why));
    }
}

/* --- an attempt on a connection --- */

static void on_pause_over(struct tt_timer *timer)
{
    struct tx_request *r = tt_owner(timer, struct tx_request, pause);
    tx_host_settle(r->host);
}

/* The server has no room for another channel on this connection. */
static void refused(struct tx_request *r)
{
    struct tx_link *link = r->link;
    struct tx_host *host = r->host;
    char *said = tt_strdup(tx_channel_refusal(r->channel));
    unsigned others = link->channels - 1;
    /* sshd counts a channel a little longer than it is open: the same server may have room now */
    bool early = !r->target && tt_loop_now(host->loop) - link->freed < refusal_early_ms &&
                 r->early++ < early_refusals;
    if (!early && others && !r->target) {
        link->room = others;
        host->room = host->room && host->room < others ? host->room : others;
    }
    drop_attempt(r); /* the link may go with it */
    if (early) {
        if (r->early > 1)
            tt_timer_start(host->loop, &r->pause, tt_loop_now(host->loop) + early_pause_ms,
                           on_pause_over);
        free(said);
        tx_host_settle(host);
        return;
    }
    if (r->target || r->only || (!others && ++r->refusals > idle_refusals)) {
        struct tt_error *err = NULL;
        tt_fail(&err, TT_CONNECT, "%s opens no channel%s%s: %s", host->settings.host,
                r->target ? " to " : "", r->target ? r->target : "", said);
        end_request(r, err);
    } else if (!others) {
        /* a channel that was just closed may still count there */
        tt_timer_start(host->loop, &r->pause, tt_loop_now(host->loop) + refusal_pause_ms,
                       on_pause_over);
    }
    free(said);
    tx_host_settle(host);
}

static void on_channel(void *arg)
{
    struct tx_request *r = arg;
    switch (tx_channel_state(r->channel)) {
    case TX_CHANNEL_OPENING:
        break;
    case TX_CHANNEL_OPEN:
        tx_channel_listen(r->channel, NULL, NULL);
        r->lease = tx_lease_new(r->link, r->channel, r->only);
        r->link = NULL;
        r->channel = NULL;
        unlist(r);
        tt_op_finish(&r->op, NULL);
        break;
    case TX_CHANNEL_REFUSED:
        refused(r);
        break;
    case TX_CHANNEL_BROKEN: {
        /* nothing was asked of the server on this channel: another connection may serve */
        struct tt_error *why = tt_error_copy(tx_session_why(r->link->session));
        tx_link_leave(r->link);
        if (tt_op_finished(&r->op)) { /* it was of something attached to that connection */
            tt_error_free(why);
            break;
        }
        drop_attempt(r);
        if (r->only || ++r->breaks > 3) {
            enum tt_kind kind = TT_CONNECT;
            tt_fail(&why, kind, "the connection to %s broke", r->host->settings.host);
            end_request(r, why);
        } else {
            tt_error_free(why);
        }
        tx_host_settle(r->host);
        break;
    }
    }
}

static void try_link(struct tx_request *r, struct tx_link *link)
{
    r->link = link;
    tx_link_take_place(link, r->only);
    r->channel = tx_channel_open(link->session, r->target, r->port);
    tx_channel_listen(r->channel, on_channel, r);
}

void tx_requests_serve(struct tx_host *host)
{
    size_t waiting = 0, coming = tx_host_connecting(host), links = 0;
    for (struct tx_request *r = host->requests, *next; r; r = next) {
        next = r->next;
        if (r->link || r->pause.slot)
            continue;
        struct tx_link *link = r->only ? r->only : tx_link_with_room(host);
        if (link)
            try_link(r, link);
        else
            waiting++;
    }
    for (struct tx_link *link = host->links; link; link = link->next)
        links++;
    unsigned room = host->room ? host->room : tx_assumed_channels;
    while (coming * room < waiting && links + coming < max_links && !host->crowded) {
        tx_host_connect(host);
        coming++;
    }
}

/* --- interface --- */

static struct tt_op *request_new(struct tx_host *host, struct tt_scope *scope, const char *target,
                                 int port, struct tx_link *only)
{
    static const struct tt_op_class class_ = {"opening a channel", request_cancel, request_free};
    struct tx_request *r = tt_zalloc(sizeof *r);
    r->host = host;
    tx_host_retain(host);
    r->target = target ? tt_strdup(target) : NULL;
    r->port = port;
    r->only = only;
    if (only)
        only->refs++;
    tt_op_init(&r->op, &class_, scope);
    if (tt_op_finished(&r->op))
        return &r->op;
    struct tx_request **at = &host->requests;
    while (*at)
        at = &(*at)->next;
    *at = r;
    tx_host_settle(host);
    return &r->op;
}

struct tt_op *tx_host_channel(struct tx_host *host, struct tt_scope *scope, const char *target,
                              int port)
{
    return request_new(host, scope, target, port, NULL);
}

struct tt_op *tx_link_channel(struct tx_link *link, struct tt_scope *scope)
{
    if (!link->host)
        return tt_op_finished_new(scope, tt_error_new(TT_CONNECT, "the connection is gone"));
    return request_new(link->host, scope, NULL, 0, link);
}

struct tx_lease *tx_lease_of(struct tt_op *op)
{
    struct tx_request *r = (struct tx_request *)(void *)op;
    struct tx_lease *lease = op->error ? NULL : r->lease;
    if (lease)
        r->lease = NULL;
    return lease;
}
