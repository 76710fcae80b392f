#include "executors/ssh/ssh.h"

#include "core/base/alloc.h"
#include "executors/ssh/command/process.h"
#include "executors/ssh/host/host.h"
#include "executors/ssh/host/internal.h"
#include "executors/ssh/sftp/files.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- destinations --- */

static bool is_name(const char *text, size_t length)
{
    if (!length || *text == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 127 || strchr("'\"`$\\;&<>|(){}", text[i]))
            return false;
    return true;
}

static int bad(struct tx_ssh_destination *d, const char *text, const char *what,
               struct tt_error **err)
{
    tx_ssh_destination_clear(d);
    return tt_fail(err, TT_INVALID, "\"%s\" is no ssh destination: %s", text, what);
}

static int read_port(const char *text)
{
    long port = 0;
    if (!*text || strlen(text) > 5)
        return 0;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text))
            return 0;
        port = port * 10 + (*text - '0');
    }
    return port <= 65535 ? (int)port : 0;
}

int tx_ssh_parse(struct tx_ssh_destination *d, const char *text, struct tt_error **err)
{
    *d = (struct tx_ssh_destination){0};
    const char *at = text, *port = NULL;
    if (strncmp(at, "ssh://", 6) == 0)
        at += 6;
    const char *sign = strrchr(at, '@');
    if (sign) {
        if (!is_name(at, (size_t)(sign - at)))
            return bad(d, text, "the user's name", err);
        d->user = tt_strndup(at, (size_t)(sign - at));
        at = sign + 1;
    }
    const char *end = at + strlen(at);
    if (end > at && end[-1] == '/' && strncmp(text, "ssh://", 6) == 0)
        end--;
    if (*at == '[') {
        const char *close = memchr(at, ']', (size_t)(end - at));
        if (!close || (close + 1 < end && close[1] != ':'))
            return bad(d, text, "the brackets", err);
        if (close + 1 < end)
            port = close + 2;
        d->host = tt_strndup(at + 1, (size_t)(close - at - 1));
    } else {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        /* an IPv6 address without brackets has no port */
        if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1)))
            port = colon + 1;
        d->host = tt_strndup(at, (size_t)((port ? port - 1 : end) - at));
    }
    if (!is_name(d->host, strlen(d->host)))
        return bad(d, text, "the host's name", err);
    if (port) {
        char *digits = tt_strndup(port, (size_t)(end - port));
        d->port = read_port(digits);
        free(digits);
        if (!d->port)
            return bad(d, text, "the port", err);
    }
    return 0;
}

void tx_ssh_destination_clear(struct tx_ssh_destination *d)
{
    free(d->user);
    free(d->host);
    *d = (struct tx_ssh_destination){0};
}

static char *text_of(const struct tx_ssh_options *o)
{
    bool six = strchr(o->host, ':');
    char *port = o->port ? tt_format(":%d", o->port) : tt_strdup("");
    char *text = tt_format("ssh://%s%s%s%s%s%s", o->user ? o->user : "", o->user ? "@" : "",
                           six ? "[" : "", o->host, six ? "]" : "", port);
    free(port);
    return text;
}

/* --- the environment --- */

static struct tt_op *ssh_start(struct tt_env *env, struct tt_scope *scope,
                               const struct tt_command *command)
{
    return tx_ssh_start(env, tx_ssh_host(env), scope, command);
}

static struct tt_op *ssh_close(struct tt_env *env, struct tt_scope *scope)
{
    return tx_host_close_idle(tx_ssh_host(env), scope);
}

static void ssh_free(struct tt_env *env)
{
    tx_host_release(((struct tx_ssh_env *)(void *)env)->host);
    free(env);
}

static const struct tt_env_class ssh_class = {
    .kind = "ssh",
    .parts = tt_env_no_parts,
    .start = ssh_start,
    .attach = tt_env_no_attach,
    .files = &tx_ssh_files,
    .resolve = tt_env_resolve_self,
    .close = ssh_close,
    .free = ssh_free,
};

struct tx_host *tx_ssh_host(struct tt_env *env)
{
    return env->class_ == &ssh_class ? ((struct tx_ssh_env *)(void *)env)->host : NULL;
}

static int check(const struct tx_ssh_options *o, struct tt_error **err)
{
    if (!o->host || !is_name(o->host, strlen(o->host)))
        return tt_fail(err, TT_INVALID, "\"%s\" cannot name a host", o->host ? o->host : "");
    if (o->user && !is_name(o->user, strlen(o->user)))
        return tt_fail(err, TT_INVALID, "\"%s\" cannot name a user", o->user);
    if (o->port < 0 || o->port > 65535)
        return tt_fail(err, TT_INVALID, "there is no port %d", o->port);
    if (o->jump_env && !tx_ssh_host(o->jump_env))
        return tt_fail(err, TT_INVALID, "%s is no ssh host to jump through", o->jump_env->text);
    if ((o->jump || o->jump_env) && o->proxy_command)
        return tt_fail(err, TT_INVALID, "%s: a jump and a proxy command exclude each other",
                       o->host);
    if (o->no_config && o->config)
        return tt_fail(err, TT_INVALID, "%s: a configuration file was given and none is wanted",
                       o->host);
    return 0;
}

struct tt_env *tx_ssh_new(struct tt_loop *loop, const struct tx_ssh_options *options,
                          struct tt_error **err)
{
    if (check(options, err) < 0)
        return NULL;
    struct tx_ssh_env *env = tt_zalloc(sizeof *env);
    env->host = tx_host_get(loop, options);
    if (options->jump_env)
        tx_host_set_jump(env->host, tx_ssh_host(options->jump_env));
    char *text = text_of(options);
    char *identity = tt_format("%s#%llu", text, (unsigned long long)tx_host_number(env->host));
    tt_env_init(&env->base, &ssh_class, text, identity);
    env->base.limit = options->limit;
    free(text);
    free(identity);
    return &env->base;
}
