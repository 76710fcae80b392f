#include "executors/ssh_host.h"

#include "core/alloc.h"
#include "executors/ssh_config.h"
#include "executors/ssh_login.h"
#include "executors/ssh_via.h"

#include <stdlib.h>
#include <string.h>

enum {
    assumed_channels = 10, /* OpenSSH's default for MaxSessions */
    max_links = 64,
    default_idle_ms = 60000,
    default_lifetime_ms = 3600000,
    idle_refusals = 40,    /* of a connection that nobody else uses … */
    refusal_pause_ms = 25, /* … with this between them */
    refusal_early_ms = 250,
    early_refusals = 3,
    early_pause_ms = 10,
    max_jumps = 8,
};

struct tx_link {
    struct tx_host *host; /* NULL once it left the pool */
    struct tx_link *next;
    struct tx_session *session; /* held */
    struct tx_waiter waiter;
    unsigned refs;       /* the pool's, and the leases' */
    unsigned channels;   /* leased, the attached ones included */
    unsigned users;      /* leased, without the attached ones */
    unsigned room;       /* how many it holds; 0: not known */
    int64_t born, freed; /* freed: when a channel was last closed */
    struct tt_timer idle;
    struct tx_attached *attached;
};

struct owned_lease {
    struct tx_lease lease;
    bool attached;
};

struct request {
    struct tt_op op;
    struct tx_host *host; /* held */
    struct request *next;
    char *target;
    int port;
    struct tx_link *link; /* where it opens its channel, or NULL: it waits */
    struct tx_link *only; /* no other connection will do: it is attached to this one */
    struct tx_channel *channel;
    struct tx_lease *lease;
    struct tt_timer pause;
    int refusals, breaks, early;
};

struct connecting {
    struct connecting *next;
    struct tx_host *host;
    struct tt_scope *scope;
    struct tt_op *login;
};

struct tx_host {
    struct tx_host *next; /* of all hosts */
    unsigned refs;
    struct tt_loop *loop;
    uint64_t number;
    struct tt_buf key;             /* what makes two hosts the same */
    struct tx_ssh_options options; /* its strings are owned */
    struct tx_texts keys, known_hosts;
    struct tx_ssh_settings settings;
    enum { UNKNOWN, RESOLVING, RESOLVED } resolved;
    struct tt_scope
        *life; /* all that is done for the host and not for one caller, proxy commands too */
    struct tt_op *resolve;
    struct closing *closings;
    struct tx_host *jump; /* held */
    unsigned depth;       /* of jumps that led here */
    struct tx_link *links;
    struct connecting *connecting;
    struct request *requests; /* those that wait or open, oldest first */
    unsigned room;            /* channels that a connection is known to hold; 0: not known */
    bool crowded;             /* another connection was refused while some live */
    bool shell_is_sh;
    struct tx_sftp *sftp; /* sftp.c keeps a reference for it */
    struct tt_job job;
};

/* Waits until what is done for a host has ended, then until the same is true of its jump. */
struct closing {
    struct tt_op op;
    struct tx_host *host; /* held */
    struct closing *next;
    struct tt_op *jump;
};

static struct tx_host *hosts;
static uint64_t last_number;

static void *owner_of(void *member, size_t offset)
{
    return (char *)member - offset;
}

static void settle(struct tx_host *host)
{
    tt_loop_post(host->loop, &host->job);
}

/* --- connections of the pool --- */

static void link_unref(struct tx_link *link)
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

/* It gets no new channels. Its leases go on. */
static void leave_pool(struct tx_link *link)
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
    link_unref(link);
    settle(host);
}

static void on_idle_over(struct tt_timer *timer)
{
    leave_pool(owner_of(timer, offsetof(struct tx_link, idle)));
}

static int64_t lifetime(const struct tx_host *host)
{
    return host->options.lifetime > 0 ? host->options.lifetime : default_lifetime_ms;
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
        leave_pool(link);
        return;
    }
    int64_t idle = host->options.idle > 0 ? host->options.idle : default_idle_ms;
    tt_timer_start(host->loop, &link->idle, tt_loop_now(host->loop) + idle, on_idle_over);
}

static void on_link_wake(struct tx_waiter *waiter)
{
    struct tx_link *link = owner_of(waiter, offsetof(struct tx_link, waiter));
    if (tx_session_why(link->session))
        leave_pool(link);
}

static struct tx_link *link_new(struct tx_host *host, struct tx_session *session)
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
           link->channels < (link->room ? link->room : assumed_channels);
}

/* --- leases --- */

static struct tx_lease *lease_new(struct tx_link *link, struct tx_channel *channel, bool attached)
{
    struct owned_lease *lease = tt_zalloc(sizeof *lease);
    lease->lease = (struct tx_lease){channel, link};
    lease->attached = attached;
    return &lease->lease;
}

static void take_place(struct tx_link *link, bool attached)
{
    link->refs++;
    link->channels++;
    if (!attached) {
        link->users++;
        watch_use(link);
    }
}

static void give_place(struct tx_link *link, bool attached)
{
    link->channels--;
    if (!attached) {
        link->users--;
        watch_use(link);
    }
    if (link->host) {
        link->host->crowded = false;
        settle(link->host);
    }
    link_unref(link);
}

void tx_lease_end(struct tx_lease *lease)
{
    if (!lease)
        return;
    struct owned_lease *owned = (struct owned_lease *)(void *)lease;
    lease->link->freed = tt_loop_now(tx_link_loop(lease->link));
    tx_channel_free(lease->channel);
    give_place(lease->link, owned->attached);
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

/* --- requests for channels --- */

static void unlist(struct request *r)
{
    struct request **at = &r->host->requests;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
}

/* Gives back the connection that it tried. */
static void drop_attempt(struct request *r)
{
    if (!r->link)
        return;
    struct tx_link *link = r->link;
    r->link = NULL;
    if (r->channel) {
        tx_channel_free(r->channel);
        r->channel = NULL;
    }
    give_place(link, r->only);
}

static void end_request(struct request *r, struct tt_error *err)
{
    tt_timer_stop(r->host->loop, &r->pause);
    drop_attempt(r);
    unlist(r);
    tt_op_finish(&r->op, err);
}

static void request_cancel(struct tt_op *op, const struct tt_error *why)
{
    end_request((struct request *)(void *)op, tt_error_copy(why));
}

static void request_free(struct tt_op *op)
{
    struct request *r = (struct request *)(void *)op;
    tx_lease_end(r->lease);
    if (r->only)
        link_unref(r->only);
    tx_host_release(r->host);
    free(r->target);
    free(r);
}

static void on_pause_over(struct tt_timer *timer)
{
    struct request *r = owner_of(timer, offsetof(struct request, pause));
    settle(r->host);
}

/* The server has no room for another channel on this connection. */
static void refused(struct request *r)
{
    struct tx_link *link = r->link;
    struct tx_host *host = r->host;
    char *said = tt_strdup(tx_channel_refusal(r->channel));
    unsigned others = link->channels - 1;
    /* sshd counts a channel a little longer than it is open: the same server may have room now */
    bool early = !r->target && tt_loop_now(host->loop) - link->freed < refusal_early_ms &&
                 r->early++ < early_refusals;
    drop_attempt(r);
    if (early) {
        if (r->early > 1)
            tt_timer_start(host->loop, &r->pause, tt_loop_now(host->loop) + early_pause_ms,
                           on_pause_over);
        free(said);
        settle(host);
        return;
    }
    if (others && !r->target) {
        link->room = others;
        host->room = host->room && host->room < others ? host->room : others;
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
    settle(host);
}

static void on_channel(void *arg)
{
    struct request *r = arg;
    switch (tx_channel_state(r->channel)) {
    case TX_CHANNEL_OPENING:
        break;
    case TX_CHANNEL_OPEN:
        tx_channel_listen(r->channel, NULL, NULL);
        r->lease = lease_new(r->link, r->channel, r->only);
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
        leave_pool(r->link);
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
        settle(r->host);
        break;
    }
    }
}

static void try_link(struct request *r, struct tx_link *link)
{
    r->link = link;
    take_place(link, r->only);
    r->channel = tx_channel_open(link->session, r->target, r->port);
    tx_channel_listen(r->channel, on_channel, r);
}

/* --- new connections --- */

static void drop_connecting(struct connecting *c, const struct tt_error *why)
{
    struct connecting **at = &c->host->connecting;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (c->login) {
        tt_op_unawait(c->login);
        if (why)
            tt_op_cancel(c->login, why);
        tt_op_release(c->login);
    }
    tt_scope_release(c->scope);
    free(c);
}

static void fail_requests(struct tx_host *host, const struct tt_error *why)
{
    for (struct request *r = host->requests, *next; r; r = next) {
        next = r->next;
        if (!r->link && !r->only)
            end_request(r, tt_error_copy(why));
    }
}

static void on_login(struct tt_op *op, void *arg)
{
    struct connecting *c = arg;
    struct tx_host *host = c->host;
    struct tx_session *session = tx_login_session(op);
    struct tt_error *err = tt_error_copy(op->error);
    drop_connecting(c, NULL);
    if (session) {
        link_new(host, session);
    } else if (host->links && err->kind == TT_CONNECT) {
        host->crowded = true; /* the ones that live must do */
    } else if (!host->connecting || err->kind != TT_CONNECT) {
        fail_requests(host, err);
    }
    tt_error_free(err);
    settle(host);
}

static struct tt_op *dial(void *arg, struct tt_scope *scope)
{
    struct tx_host *host = arg;
    if (host->jump)
        return tx_wire_through(scope, host->jump, host->settings.host, host->settings.port);
    if (host->settings.proxy_command) {
        struct tt_error *err = NULL;
        char *line = NULL;
        if (tx_proxy_expand(&line, host->settings.proxy_command, &host->settings,
                            host->options.host, &err) < 0)
            return tt_op_finished_new(scope, err);
        struct tt_op *op = tx_wire_program(scope, host->options.here, line, host->life);
        free(line);
        return op;
    }
    return tx_wire_connect(scope, host->settings.host, host->settings.port);
}

static void connect_one(struct tx_host *host)
{
    struct connecting *c = tt_zalloc(sizeof *c);
    c->host = host;
    c->scope = tt_scope_new(host->loop, host->life);
    c->next = host->connecting;
    host->connecting = c;
    c->login = tx_login(c->scope, &host->settings, dial, host);
    tt_op_await(c->login, on_login, c);
}

/* --- the pool at work --- */

static struct tx_link *link_with_room(const struct tx_host *host)
{
    for (struct tx_link *link = host->links; link; link = link->next)
        if (has_room(link))
            return link;
    return NULL;
}

static void serve(struct tx_host *host)
{
    size_t waiting = 0, coming = 0, links = 0;
    for (struct request *r = host->requests, *next; r; r = next) {
        next = r->next;
        if (r->link || r->pause.slot)
            continue;
        struct tx_link *link = r->only ? r->only : link_with_room(host);
        if (link)
            try_link(r, link);
        else
            waiting++;
    }
    for (struct connecting *c = host->connecting; c; c = c->next)
        coming++;
    for (struct tx_link *link = host->links; link; link = link->next)
        links++;
    unsigned room = host->room ? host->room : assumed_channels;
    while (coming * room < waiting && links + coming < max_links && !host->crowded) {
        connect_one(host);
        coming++;
    }
}

static bool find_jump(struct tx_host *host, struct tt_error **err);

static void on_resolved(struct tt_op *op, void *arg)
{
    struct tx_host *host = arg;
    struct tt_error *err = tt_error_copy(op->error);
    host->resolve = NULL;
    host->resolved = err ? UNKNOWN : RESOLVED;
    if (!err)
        tx_ssh_settings_take(op, &host->settings);
    tt_op_release(op);
    if (err || !find_jump(host, &err)) {
        host->resolved = UNKNOWN;
        fail_requests(host, err);
        tt_error_free(err);
    }
    settle(host);
}

static void on_job(struct tt_job *job)
{
    struct tx_host *host = owner_of(job, offsetof(struct tx_host, job));
    if (host->resolved == RESOLVED) {
        serve(host);
    } else if (host->resolved == UNKNOWN && host->requests) {
        host->resolved = RESOLVING;
        host->resolve = tx_ssh_resolve(host->life, &host->options);
        tt_op_await(host->resolve, on_resolved, host);
    }
}

static struct tt_op *request_new(struct tx_host *host, struct tt_scope *scope, const char *target,
                                 int port, struct tx_link *only)
{
    static const struct tt_op_class class_ = {"opening a channel", request_cancel, request_free};
    struct request *r = tt_zalloc(sizeof *r);
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
    struct request **at = &host->requests;
    while (*at)
        at = &(*at)->next;
    *at = r;
    settle(host);
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
    struct request *r = (struct request *)(void *)op;
    struct tx_lease *lease = op->error ? NULL : r->lease;
    if (lease)
        r->lease = NULL;
    return lease;
}

/* --- a connection of its own --- */

struct own {
    struct tt_op op;
    struct tx_host *host;
    struct tt_op *first; /* a channel through the pool: the host is resolved, the way is known */
    struct tt_op *login;
    struct tt_scope *scope;
    struct tx_session *session;
};

static void own_finish(struct own *o, struct tt_error *err)
{
    struct tt_op *subs[] = {o->first, o->login};
    o->first = o->login = NULL;
    for (int i = 0; i < 2; i++) {
        if (!subs[i])
            continue;
        tt_op_unawait(subs[i]);
        if (err)
            tt_op_cancel(subs[i], err);
        tt_op_release(subs[i]);
    }
    tt_op_finish(&o->op, err);
}

static void own_cancel(struct tt_op *op, const struct tt_error *why)
{
    own_finish((struct own *)(void *)op, tt_error_copy(why));
}

static void own_free(struct tt_op *op)
{
    struct own *o = (struct own *)(void *)op;
    tx_session_release(o->session);
    tt_scope_release(o->scope);
    tx_host_release(o->host);
    free(o);
}

static void on_own_login(struct tt_op *op, void *arg)
{
    struct own *o = arg;
    o->session = tx_login_session(op);
    if (o->session)
        tx_session_keepalive(o->session, 0);
    own_finish(o, tt_error_copy(op->error));
}

static void on_first(struct tt_op *op, void *arg)
{
    struct own *o = arg;
    if (op->error) {
        own_finish(o, tt_error_copy(op->error));
        return;
    }
    o->scope = tt_scope_new(op->loop, o->host->life);
    o->login = tx_login(o->scope, &o->host->settings, dial, o->host);
    tt_op_await(o->login, on_own_login, o);
}

struct tt_op *tx_host_own_session(struct tx_host *host, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"connecting", own_cancel, own_free};
    struct own *o = tt_zalloc(sizeof *o);
    o->host = host;
    tx_host_retain(host);
    tt_op_init(&o->op, &class_, scope);
    if (tt_op_finished(&o->op))
        return &o->op;
    o->first = tx_host_channel(host, scope, NULL, 0);
    tt_op_await(o->first, on_first, o);
    return &o->op;
}

struct tx_session *tx_own_session(struct tt_op *op)
{
    struct own *o = (struct own *)(void *)op;
    struct tx_session *session = op->error ? NULL : o->session;
    if (session)
        o->session = NULL;
    return session;
}

/* --- hosts --- */

static void key_text(struct tt_buf *key, const char *text)
{
    tt_buf_format(key, "%d:", text ? (int)strlen(text) : -1);
    tt_buf_text(key, text ? text : "");
}

/* Everything that decides where a connection goes, as whom, and what it believes. */
static void make_key(struct tt_buf *key, const struct tx_ssh_options *o, unsigned depth)
{
    key_text(key, o->host);
    key_text(key, o->user);
    key_text(key, o->passphrase);
    key_text(key, o->password);
    key_text(key, o->agent);
    key_text(key, o->config);
    key_text(key, o->jump);
    key_text(key, o->proxy_command);
    for (size_t i = 0; i < o->key_count; i++)
        key_text(key, o->keys[i]);
    tt_buf_text(key, "/");
    for (size_t i = 0; i < o->known_host_count; i++)
        key_text(key, o->known_hosts[i]);
    tt_buf_format(key, "/%d/%d/%d/%p/%lld/%lld/%lld/%lld/%u", o->port, o->no_config, (int)o->policy,
                  (void *)o->jump_env, (long long)o->connect_timeout, (long long)o->keepalive,
                  (long long)o->idle, (long long)o->lifetime, depth);
}

static char *copy(const char *text)
{
    return text ? tt_strdup(text) : NULL;
}

static void own_options(struct tx_host *host, const struct tx_ssh_options *o)
{
    struct tx_ssh_options *own = &host->options;
    *own = *o;
    tt_env_retain(own->here);
    if (own->jump_env)
        tt_env_retain(own->jump_env);
    own->host = copy(o->host);
    own->user = copy(o->user);
    own->passphrase = copy(o->passphrase);
    own->password = copy(o->password);
    own->agent = copy(o->agent);
    own->config = copy(o->config);
    own->jump = copy(o->jump);
    own->proxy_command = copy(o->proxy_command);
    for (size_t i = 0; i < o->key_count; i++)
        tx_texts_add(&host->keys, o->keys[i]);
    for (size_t i = 0; i < o->known_host_count; i++)
        tx_texts_add(&host->known_hosts, o->known_hosts[i]);
    own->keys = (const char *const *)host->keys.items;
    own->known_hosts = (const char *const *)host->known_hosts.items;
}

static void wipe(const char *text)
{
    if (text)
        explicit_bzero((char *)text, strlen(text));
    free((char *)text);
}

static void drop_options(struct tx_host *host)
{
    struct tx_ssh_options *own = &host->options;
    wipe(own->host);
    wipe(own->user);
    wipe(own->passphrase);
    wipe(own->password);
    wipe(own->agent);
    wipe(own->config);
    wipe(own->jump);
    wipe(own->proxy_command);
    tx_texts_clear(&host->keys);
    tx_texts_clear(&host->known_hosts);
    tt_env_release(own->here);
    if (own->jump_env)
        tt_env_release(own->jump_env);
}

static struct tx_host *host_get(struct tt_loop *loop, const struct tx_ssh_options *options,
                                unsigned depth)
{
    struct tt_buf key = {0};
    make_key(&key, options, depth);
    for (struct tx_host *host = hosts; host; host = host->next) {
        if (host->loop == loop && host->key.length == key.length &&
            memcmp(host->key.data, key.data, key.length) == 0) {
            explicit_bzero(key.data, key.length);
            tt_buf_free(&key);
            host->refs++;
            return host;
        }
    }
    struct tx_host *host = tt_zalloc(sizeof *host);
    host->refs = 1;
    host->loop = loop;
    host->number = ++last_number;
    host->key = key;
    host->depth = depth;
    host->job.run = on_job;
    host->life = tt_scope_new(loop, NULL);
    own_options(host, options);
    host->next = hosts;
    hosts = host;
    return host;
}

struct tx_host *tx_host_get(struct tt_loop *loop, const struct tx_ssh_options *options)
{
    return host_get(loop, options, 0);
}

/* The last of a list of jumps is the host to go through, by way of the others. */
static bool find_jump(struct tx_host *host, struct tt_error **err)
{
    if (host->jump || host->options.jump_env)
        return true; /* ssh.c gave it */
    if (!host->settings.jump)
        return true;
    if (host->depth >= max_jumps) {
        tt_fail(err, TT_INVALID, "%s: too many hosts to jump through, or a circle of them",
                host->options.host);
        return false;
    }
    char *list = tt_strdup(host->settings.jump);
    char *comma = strrchr(list, ',');
    struct tx_ssh_destination last;
    if (comma)
        *comma = '\0';
    bool ok = tx_ssh_parse(&last, comma ? comma + 1 : list, err) == 0;
    if (ok) {
        struct tx_ssh_options o = host->options;
        o.host = last.host;
        o.user = last.user;
        o.port = last.port;
        o.password = NULL;
        o.jump = comma ? list : NULL;
        o.proxy_command = NULL;
        host->jump = host_get(host->loop, &o, host->depth + 1);
        tx_ssh_destination_clear(&last);
    }
    free(list);
    return ok;
}

void tx_host_set_jump(struct tx_host *host, struct tx_host *jump)
{
    if (host->jump)
        return;
    host->jump = jump;
    tx_host_retain(jump);
}

void tx_host_retain(struct tx_host *host)
{
    host->refs++;
}

/* Nobody waits for it to be resolved or connected to. */
static void stop_reaching(struct tx_host *host, const struct tt_error *why)
{
    while (host->connecting)
        drop_connecting(host->connecting, why);
    if (!host->resolve)
        return;
    tt_op_unawait(host->resolve);
    tt_op_cancel(host->resolve, why);
    tt_op_release(host->resolve);
    host->resolve = NULL;
    host->resolved = UNKNOWN;
}

void tx_host_release(struct tx_host *host)
{
    if (!host || --host->refs > 0)
        return;
    host->refs = 1; /* what goes now may settle us, not free us again */
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the host is not used any more");
    stop_reaching(host, why);
    while (host->links)
        leave_pool(host->links);
    tt_scope_cancel(host->life, why);
    tt_error_free(why);
    tt_loop_unpost(host->loop, &host->job);
    struct tx_host **at = &hosts;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    tx_host_release(host->jump);
    tt_scope_release(host->life);
    tx_ssh_settings_clear(&host->settings);
    if (host->key.data)
        explicit_bzero(host->key.data, host->key.length);
    tt_buf_free(&host->key);
    drop_options(host);
    free(host);
}

uint64_t tx_host_number(const struct tx_host *host)
{
    return host->number;
}

struct tt_scope *tx_host_life(const struct tx_host *host)
{
    return host->life;
}

bool tx_host_shell_is_sh(const struct tx_host *host)
{
    return host->shell_is_sh;
}

void tx_host_learn_shell(struct tx_host *host, bool is_sh)
{
    host->shell_is_sh = is_sh;
}

int64_t tx_host_keepalive(const struct tx_host *host)
{
    return host->settings.keepalive;
}

struct tt_loop *tx_host_loop(const struct tx_host *host)
{
    return host->loop;
}

struct tx_sftp *tx_host_sftp(const struct tx_host *host)
{
    return host->sftp;
}

void tx_host_set_sftp(struct tx_host *host, struct tx_sftp *sftp)
{
    host->sftp = sftp;
}

/* --- closing --- */

static void on_jump_closed(struct tt_op *op, void *arg)
{
    struct closing *closing = arg;
    tt_op_finish(&closing->op, tt_error_copy(op->error));
}

static void on_life_idle(void *arg)
{
    struct tx_host *host = arg;
    while (host->closings) {
        struct closing *closing = host->closings;
        host->closings = closing->next;
        if (!host->jump) {
            tt_op_finish(&closing->op, NULL);
            continue;
        }
        closing->jump = tx_host_close_idle(host->jump, closing->op.scope);
        tt_op_await(closing->jump, on_jump_closed, closing);
    }
}

static void closing_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct closing *closing = (struct closing *)(void *)op;
    if (closing->jump) {
        tt_op_cancel(closing->jump, why);
        return;
    }
    struct closing **at = &closing->host->closings;
    while (*at != closing)
        at = &(*at)->next;
    *at = closing->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void closing_free(struct tt_op *op)
{
    struct closing *closing = (struct closing *)(void *)op;
    tt_op_release(closing->jump);
    tx_host_release(closing->host);
    free(closing);
}

struct tt_op *tx_host_close_idle(struct tx_host *host, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"closing connections", closing_cancel, closing_free};
    struct closing *closing = tt_zalloc(sizeof *closing);
    closing->host = host;
    tx_host_retain(host);
    tt_op_init(&closing->op, &class_, scope);
    if (tt_op_finished(&closing->op))
        return &closing->op;
    for (struct tx_link *link = host->links, *next; link; link = next) {
        next = link->next;
        if (!link->users)
            leave_pool(link);
    }
    if (!host->requests) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "the connection is not wanted any more");
        stop_reaching(host, why);
        tt_error_free(why);
    }
    if (host->links || host->requests) {
        tt_op_finish(&closing->op, NULL); /* what is in use goes on */
        return &closing->op;
    }
    closing->next = host->closings;
    host->closings = closing;
    tt_scope_on_idle(host->life, on_life_idle, host);
    return &closing->op;
}
