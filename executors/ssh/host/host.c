#include "executors/ssh/host/parts.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "executors/ssh/config/config.h"
#include "executors/ssh/config/destination.h"

#include <stdlib.h>
#include <string.h>

enum { max_jumps = 8 };

/* The hosts of a loop, the newest first. */
static struct tx_host **hosts_of(struct tt_loop *loop)
{
    static const struct tt_slot slot = {sizeof(struct tx_host *), NULL};
    return tt_loop_slot(loop, &slot);
}

static void on_job(struct tt_job *job);

static struct tx_host *host_get(struct tt_loop *loop, const struct tx_ssh_options *options,
                                unsigned depth)
{
    struct tt_buf key = {0};
    tx_options_key(&key, options, depth);
    struct tx_host **hosts = hosts_of(loop);
    for (struct tx_host *host = *hosts; host; host = host->next) {
        if (host->key.length == key.length && memcmp(host->key.data, key.data, key.length) == 0) {
            explicit_bzero(key.data, key.length);
            tt_buf_free(&key);
            host->refs++;
            return host;
        }
    }
    struct tx_host *host = tt_zalloc(sizeof *host);
    host->refs = 1;
    host->loop = loop;
    host->key = key;
    host->depth = depth;
    host->job.run = on_job;
    host->life = tt_scope_new(loop, NULL);
    tx_own_options_copy(&host->own, options);
    host->next = *hosts;
    *hosts = host;
    return host;
}

struct tx_host *tx_host_get(struct tt_loop *loop, const struct tx_ssh_options *options)
{
    return host_get(loop, options, 0);
}

void tx_host_retain(struct tx_host *host)
{
    host->refs++;
}

void tx_host_release(struct tx_host *host)
{
    if (!host || --host->refs > 0)
        return;
    host->refs = 1; /* what goes now may settle us, not free us again */
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the host is not used any more");
    tx_host_stop_reaching(host, why);
    while (host->links)
        tx_link_leave(host->links);
    tt_scope_cancel(host->life, why);
    tt_error_free(why);
    tt_loop_unpost(host->loop, &host->job);
    struct tx_host **at = hosts_of(host->loop);
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    tx_host_release(host->jump);
    tt_scope_release(host->life);
    tx_ssh_settings_clear(&host->settings);
    if (host->key.data)
        explicit_bzero(host->key.data, host->key.length);
    tt_buf_free(&host->key);
    tx_own_options_clear(&host->own);
    free(host);
}

/* --- the way to it --- */

/* The last of a list of jumps is the host to go through, by way of the others. */
static bool find_jump(struct tx_host *host, struct tt_error **err)
{
    if (host->jump || host->own.is.jump_env)
        return true; /* executors/ssh/ssh.c gave it */
    if (!host->settings.jump)
        return true;
    if (host->depth >= max_jumps) {
        tt_fail(err, TT_INVALID, "%s: too many hosts to jump through, or a circle of them",
                host->own.is.host);
        return false;
    }
    char *list = tt_strdup(host->settings.jump);
    char *comma = strrchr(list, ',');
    struct tx_ssh_destination last;
    if (comma)
        *comma = '\0';
    bool ok = tx_ssh_parse(&last, comma ? comma + 1 : list, err) == 0;
    if (ok) {
        struct tx_ssh_options o = host->own.is;
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

static void on_resolved(struct tt_op *op, void *arg)
{
    struct tx_host *host = arg;
    struct tt_error *err = tt_error_copy(op->error);
    host->resolve = NULL;
    host->resolved = err ? TX_HOST_UNKNOWN : TX_HOST_RESOLVED;
    if (!err)
        tx_ssh_settings_take(op, &host->settings);
    tt_op_release(op);
    if (err || !find_jump(host, &err)) {
        host->resolved = TX_HOST_UNKNOWN;
        tx_ssh_settings_clear(&host->settings); /* what is asked again is told anew */
        tx_requests_fail(host, err);
        tt_error_free(err);
    }
    tx_host_settle(host);
}

static void on_job(struct tt_job *job)
{
    struct tx_host *host = tt_owner(job, struct tx_host, job);
    if (host->resolved == TX_HOST_RESOLVED) {
        tx_requests_serve(host);
    } else if (host->resolved == TX_HOST_UNKNOWN && host->requests) {
        host->resolved = TX_HOST_RESOLVING;
        host->resolve = tx_ssh_resolve(host->life, &host->own.is);
        tt_op_await(host->resolve, on_resolved, host);
    }
}

void tx_host_settle(struct tx_host *host)
{
    tt_loop_post(host->loop, &host->job);
}

void tx_host_stop_reaching(struct tx_host *host, const struct tt_error *why)
{
    tx_host_stop_connecting(host, why);
    if (!host->resolve)
        return;
    tt_op_drop(&host->resolve, why);
    host->resolved = TX_HOST_UNKNOWN;
}

void tx_host_set_jump(struct tx_host *host, struct tx_host *jump)
{
    if (host->jump)
        return;
    host->jump = jump;
    tx_host_retain(jump);
}

/* --- what is known of it --- */

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
