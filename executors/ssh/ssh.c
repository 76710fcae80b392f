#include "executors/ssh/ssh.h"

#include "core/base/alloc.h"
#include "executors/ssh/command/process.h"
#include "executors/ssh/config/destination.h"
#include "executors/ssh/host/host.h"
#include "executors/ssh/sftp/files.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(const struct tx_ssh_options *o)
{
    bool six = strchr(o->host, ':');
    char *port = o->port ? tt_format(":%d", o->port) : tt_strdup("");
    char *text = tt_format("ssh://%s%s%s%s%s%s", o->user ? o->user : "", o->user ? "@" : "",
                           six ? "[" : "", o->host, six ? "]" : "", port);
    free(port);
    return text;
}

static struct tt_op *ssh_close(struct tt_env *env, struct tt_scope *scope)
{
    return tx_host_close_idle(tx_host_of(env), scope);
}

static void ssh_free(struct tt_env *env)
{
    tx_host_release(tx_host_of(env));
    free(env);
}

static const struct tt_env_class ssh_class = {
    .kind = "ssh",
    .parts = tt_env_no_parts,
    .start = tx_ssh_start,
    .attach = tt_env_no_attach,
    .files = &tx_ssh_files,
    .resolve = tt_env_resolve_self,
    .close = ssh_close,
    .free = ssh_free,
};

struct tx_host *tx_ssh_host(struct tt_env *env)
{
    return env->class_ == &ssh_class ? tx_host_of(env) : NULL;
}

static int check(const struct tx_ssh_options *o, struct tt_error **err)
{
    if (!o->host || !tx_ssh_is_name(o->host))
        return tt_fail(err, TT_INVALID, "\"%s\" cannot name a host", o->host ? o->host : "");
    if (o->user && !tx_ssh_is_name(o->user))
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
    char *text = text_of(options), *identity;
    if (tx_options_identity(&identity, text, options, err) < 0) {
        free(text);
        return NULL;
    }
    struct tx_ssh_env *env = tt_zalloc(sizeof *env);
    env->host = tx_host_get(loop, options);
    if (options->jump_env)
        tx_host_set_jump(env->host, tx_ssh_host(options->jump_env));
    tt_env_init(&env->base, &ssh_class, text, identity);
    env->base.limit = options->limit;
    free(text);
    free(identity);
    return &env->base;
}
