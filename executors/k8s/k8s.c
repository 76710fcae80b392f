#include "executors/k8s/k8s.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/env/start.h"
#include "core/files/files.h"
#include "executors/k8s/exec.h"
#include "executors/k8s/select.h"
#include "executors/remote/shell_files.h"

#include <stdlib.h>

struct k8s_env {
    struct tt_env env;
    struct tx_kube *kube;
    char *name_space, *pod, *deployment, *selector, *container;
    bool no_shell;
};

static struct k8s_env *of(const struct tt_env *env)
{
    return (struct k8s_env *)(void *)env;
}

static int make(struct tt_env **out, struct tx_kube *kube, const char *name_space, const char *pod,
                const char *deployment, const char *selector, const char *container);

/* --- choosing the pod --- */

struct resolving {
    struct tt_env_op base;
    struct tt_chain chain;
    struct tt_env *from; /* held */
};

static void resolving_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct resolving *)(void *)op)->chain, why);
}

static void resolving_free(struct tt_op *op)
{
    tt_env_release(((struct resolving *)(void *)op)->from);
    tt_env_op_free(op);
}

static void on_selected(struct tt_op *op, struct tt_op *selected)
{
    struct resolving *resolving = (struct resolving *)(void *)op;
    struct k8s_env *k8s = of(resolving->from);
    if (!selected->error) {
        make(&resolving->base.env, k8s->kube, k8s->name_space, tx_k8s_selected(selected), NULL,
             NULL, k8s->container);
        resolving->base.env->limit = k8s->env.limit;
    }
    tt_op_finish(op, tt_error_copy(selected->error));
}

static struct tt_op *resolve(struct tt_env *env, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"resolve", resolving_cancel, resolving_free};
    struct k8s_env *k8s = of(env);
    if (k8s->pod)
        return tt_env_resolve_self(env, scope);
    struct resolving *resolving = tt_zalloc(sizeof *resolving);
    resolving->from = env;
    tt_env_retain(env);
    tt_op_init(&resolving->base.op, &class_, scope);
    if (!tt_op_finished(&resolving->base.op))
        tt_then(&resolving->chain, &resolving->base.op,
                tx_k8s_select(k8s->kube, scope, k8s->name_space, k8s->deployment, k8s->selector),
                on_selected);
    return &resolving->base.op;
}

/* --- commands --- */

static struct tt_op *start_resolved(struct tt_env *env, struct tt_op *resolved,
                                    struct tt_scope *scope, const struct tt_command *command)
{
    (void)env;
    struct tt_env *pod = tt_env_of(resolved);
    return pod->class_->start(pod, scope, command);
}

static struct tt_op *start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    static const struct tt_start_steps steps = {resolve, start_resolved};
    struct k8s_env *k8s = of(env);
    if (k8s->pod) {
        struct tx_pod pod = {k8s->kube,      k8s->name_space, k8s->pod,
                             k8s->container, env->text,       &k8s->no_shell};
        return tx_pod_exec(env, scope, &pod, command);
    }
    return tt_start_prepared(env, scope, command, &steps);
}

static size_t parts_of(const struct tt_env *env, const char *parts[tt_env_part_count])
{
    parts[0] = of(env)->name_space;
    parts[1] = of(env)->pod;
    parts[2] = of(env)->container;
    return 3;
}

static void k8s_env_free(struct tt_env *env)
{
    struct k8s_env *k8s = of(env);
    tx_kube_release(k8s->kube);
    free(k8s->name_space);
    free(k8s->pod);
    free(k8s->deployment);
    free(k8s->selector);
    free(k8s->container);
    free(k8s);
}

static const struct tt_env_class class_ = {
    .kind = "k8s",
    .parts = parts_of,
    .start = start,
    .attach = tt_env_no_attach,
    .files = &tx_shell_files,
    .resolve = resolve,
    .close = tx_shell_files_close,
    .free = k8s_env_free,
};

/* --- making one --- */

static char *copy(const char *text)
{
    return text ? tt_strdup(text) : NULL;
}

static char *text_of(const struct k8s_env *k8s)
{
    struct tt_buf text = {0};
    char mark = '?';
    tt_buf_format(&text, "k8s://%s", k8s->name_space);
    if (k8s->pod)
        tt_buf_format(&text, "/%s", k8s->pod);
    if (k8s->pod && k8s->container)
        tt_buf_format(&text, "/%s", k8s->container);
    if (k8s->deployment)
        tt_buf_format(&text, "%cdeployment=%s", mark, k8s->deployment);
    if (k8s->selector)
        tt_buf_format(&text, "%cselector=%s", mark, k8s->selector);
    if (!k8s->pod)
        mark = '&';
    if (!k8s->pod && k8s->container)
        tt_buf_format(&text, "%ccontainer=%s", mark, k8s->container);
    if (*tx_kube_context(k8s->kube))
        tt_buf_format(&text, "%ccontext=%s", mark, tx_kube_context(k8s->kube));
    return tt_buf_take(&text);
}

static int make(struct tt_env **out, struct tx_kube *kube, const char *name_space, const char *pod,
                const char *deployment, const char *selector, const char *container)
{
    struct k8s_env *k8s = tt_zalloc(sizeof *k8s);
    k8s->kube = kube;
    tx_kube_retain(kube);
    k8s->name_space = tt_strdup(name_space);
    k8s->pod = copy(pod);
    k8s->deployment = copy(deployment);
    k8s->selector = copy(selector);
    k8s->container = copy(container);
    char *text = text_of(k8s);
    char *identity = tt_format("k8s:%s:%s", tx_kube_identity(kube), text);
    tt_env_init(&k8s->env, &class_, text, identity);
    free(text);
    free(identity);
    *out = &k8s->env;
    return 0;
}

static int check(const struct tx_k8s_options *o, struct tt_error **err)
{
    int count = !!o->pod + !!o->deployment + !!o->selector;
    int rc = 0;
    if (count != 1)
        return tt_fail(err, TT_INVALID, "give one of pod, deployment and selector");
    if (o->name_space)
        rc = tx_kube_check_name("namespace", o->name_space, err);
    if (rc == 0 && o->pod)
        rc = tx_kube_check_name("pod", o->pod, err);
    if (rc == 0 && o->deployment)
        rc = tx_kube_check_name("deployment", o->deployment, err);
    if (rc == 0 && o->container)
        rc = tx_kube_check_name("container", o->container, err);
    if (rc == 0 && o->selector && !*o->selector)
        rc = tt_fail(err, TT_INVALID, "the selector is empty");
    return rc;
}

int tx_k8s_env_new(struct tt_env **env, struct tt_loop *loop, const struct tx_k8s_options *o,
                   struct tt_error **err)
{
    struct tx_kube *kube = NULL;
    int rc = check(o, err);
    if (rc == 0)
        rc = tx_kube_open(&kube, loop, &o->where, err);
    if (rc == 0)
        rc = make(env, kube, o->name_space ? o->name_space : tx_kube_namespace(kube), o->pod,
                  o->deployment, o->selector, o->container);
    tx_kube_release(kube);
    return rc;
}

struct tx_kube *tx_k8s_env_cluster(const struct tt_env *env)
{
    return of(env)->kube;
}
