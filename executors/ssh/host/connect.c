#include "executors/ssh/host/parts.h"

#include "core/base/alloc.h"
#include "executors/ssh/host/via.h"
#include "executors/ssh/login/login.h"

#include <stdlib.h>

static struct tt_op *dial(void *arg, struct tt_scope *scope)
{
    struct tx_host *host = arg;
    if (host->jump)
        return tx_wire_through(scope, host->jump, host->settings.host, host->settings.port);
    if (host->settings.proxy_command) {
        struct tt_error *err = NULL;
        char *line = NULL;
        if (tx_proxy_expand(&line, host->settings.proxy_command, &host->settings, host->own.is.host,
                            &err) < 0)
            return tt_op_finished_new(scope, err);
        struct tt_op *op = tx_wire_program(scope, host->own.is.here, line, host->life);
        free(line);
        return op;
    }
    return tx_wire_connect(scope, host->settings.host, host->settings.port);
}

/* --- for the pool --- */

struct tx_connecting {
    struct tx_connecting *next;
    struct tx_host *host;
    struct tt_scope *scope;
    struct tt_op *login;
};

static void drop_connecting(struct tx_connecting *c, const struct tt_error *why)
{
    struct tx_connecting **at = &c->host->connecting;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    tt_op_drop(&c->login, why);
    tt_scope_release(c->scope);
    free(c);
}

static void on_login(struct tt_op *op, void *arg)
{
    struct tx_connecting *c = arg;
    struct tx_host *host = c->host;
    struct tx_session *session = tx_login_session(op);
    struct tt_error *err = tt_error_copy(op->error);
    drop_connecting(c, NULL);
    if (session) {
        tx_link_new(host, session);
    } else if (host->links && err->kind == TT_CONNECT) {
        host->crowded = true; /* the ones that live must do */
    } else if (!host->connecting || err->kind != TT_CONNECT) {
        tx_requests_fail(host, err);
    }
    tt_error_free(err);
    tx_host_settle(host);
}

void tx_host_connect(struct tx_host *host)
{
    struct tx_connecting *c = tt_zalloc(sizeof *c);
    c->host = host;
    c->scope = tt_scope_new(host->loop, host->life);
    c->next = host->connecting;
    host->connecting = c;
    c->login = tx_login(c->scope, &host->settings, dial, host);
    tt_op_await(c->login, on_login, c);
}

void tx_host_stop_connecting(struct tx_host *host, const struct tt_error *why)
{
    while (host->connecting)
        drop_connecting(host->connecting, why);
}

size_t tx_host_connecting(const struct tx_host *host)
{
    size_t count = 0;
    for (const struct tx_connecting *c = host->connecting; c; c = c->next)
        count++;
    return count;
}

/* --- for one who wants it alone --- */

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
    tt_op_drop(&o->first, err);
    tt_op_drop(&o->login, err);
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
