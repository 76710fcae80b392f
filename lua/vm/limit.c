#include "lua/vm/limit.h"

#include "core/base/alloc.h"
#include "lua/vm/state.h"

#include <stdlib.h>
#include <string.h>

/* The places of one host. */
struct lt_limit {
    struct lt_limit *next;
    char *identity;
    int limit, used;
    struct limited *first, **last; /* who waits, in order */
};

struct limited {
    struct tt_op op;
    struct lt_vm *vm;
    struct lt_limit *host;
    struct limited *next;
    struct tt_env *env;
    const struct tt_command *command;
    bool captures;
    struct tt_capture_options options; /* its `proc` part for a start */
    struct tt_op *inner;
    struct tt_proc *proc; /* started, and not taken yet */
};

static struct lt_limit *host_of(struct lt_vm *vm, const struct tt_env *env)
{
    struct lt_limit *host = vm->limits;
    while (host && strcmp(host->identity, env->identity) != 0)
        host = host->next;
    if (!host) {
        host = tt_zalloc(sizeof *host);
        host->identity = tt_strdup(env->identity);
        host->limit = env->limit;
        host->last = &host->first;
        host->next = vm->limits;
        vm->limits = host;
    }
    if (env->limit < host->limit)
        host->limit = env->limit;
    return host;
}

void lt_limits_free(struct lt_vm *vm)
{
    while (vm->limits) {
        struct lt_limit *host = vm->limits;
        vm->limits = host->next;
        free(host->identity);
        free(host);
    }
}

static void begin(struct limited *limited);

static void give_back(struct lt_limit *host)
{
    host->used--;
    while (host->first && host->used < host->limit) {
        struct limited *next = host->first;
        host->first = next->next;
        if (!host->first)
            host->last = &host->first;
        begin(next);
    }
}

/* A started process keeps its place until it ended. */
static void on_process_end(struct tt_op *wait, void *host)
{
    tt_op_release(wait);
    give_back(host);
}

static void watch(struct limited *limited)
{
    limited->proc = tt_proc_of(limited->inner);
    if (limited->proc)
        tt_op_await(tt_proc_wait(limited->proc, limited->vm->base), on_process_end, limited->host);
    else
        give_back(limited->host);
}

static void on_inner(struct tt_op *inner, void *arg)
{
    struct limited *limited = arg;
    if (limited->captures)
        give_back(limited->host);
    else
        watch(limited);
    tt_op_finish(&limited->op, tt_error_copy(inner->error));
}

static void begin(struct limited *limited)
{
    limited->host->used++;
    limited->inner = limited->captures ? tt_capture(limited->env, limited->op.scope,
                                                    limited->command, &limited->options)
                                       : tt_proc_start(limited->env, limited->op.scope,
                                                       limited->command, &limited->options.proc);
    tt_op_await(limited->inner, on_inner, limited);
}

static void limited_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct limited *limited = (struct limited *)(void *)op;
    if (limited->inner) {
        tt_op_cancel(limited->inner, why);
        return;
    }
    struct limited **at = &limited->host->first;
    while (*at != limited)
        at = &(*at)->next;
    *at = limited->next;
    if (!*at)
        limited->host->last = at;
    tt_op_finish(op, tt_error_copy(why));
}

static void limited_free(struct tt_op *op)
{
    struct limited *limited = (struct limited *)(void *)op;
    tt_op_release(limited->inner);
    if (limited->proc)
        tt_proc_release(limited->proc);
    tt_env_release(limited->env);
    free(limited);
}

static const struct tt_op_class limited_class = {"limited command", limited_cancel, limited_free};

static struct limited *limited_new(struct lt_vm *vm, struct tt_env *env, struct tt_scope *scope,
                                   const struct tt_command *command)
{
    struct limited *limited = tt_zalloc(sizeof *limited);
    limited->vm = vm;
    limited->env = env;
    tt_env_retain(env);
    limited->command = command;
    tt_op_init(&limited->op, &limited_class, scope);
    return limited;
}

static struct tt_op *queue(struct limited *limited)
{
    if (tt_op_finished(&limited->op))
        return &limited->op;
    struct lt_limit *host = limited->host = host_of(limited->vm, limited->env);
    if (host->used < host->limit) {
        begin(limited);
    } else {
        *host->last = limited;
        host->last = &limited->next;
    }
    return &limited->op;
}

struct tt_op *lt_limited_capture(struct lt_vm *vm, struct tt_env *env, struct tt_scope *scope,
                                 const struct tt_command *command,
                                 const struct tt_capture_options *options)
{
    if (env->limit <= 0)
        return tt_capture(env, scope, command, options);
    struct limited *limited = limited_new(vm, env, scope, command);
    limited->captures = true;
    limited->options = *options;
    return queue(limited);
}

struct tt_op *lt_limited_start(struct lt_vm *vm, struct tt_env *env, struct tt_scope *scope,
                               const struct tt_command *command,
                               const struct tt_proc_options *options)
{
    if (env->limit <= 0)
        return tt_proc_start(env, scope, command, options);
    struct limited *limited = limited_new(vm, env, scope, command);
    limited->options.proc = *options;
    return queue(limited);
}

static struct limited *as_limited(struct tt_op *op)
{
    return op->class_ == &limited_class ? (struct limited *)(void *)op : NULL;
}

struct tt_result *lt_limited_result(struct tt_op *op)
{
    struct limited *limited = as_limited(op);
    struct tt_op *inner = limited ? limited->inner : op;
    return inner ? tt_result_of(inner) : NULL;
}

struct tt_proc *lt_limited_proc(struct tt_op *op)
{
    struct limited *limited = as_limited(op);
    if (!limited)
        return tt_proc_of(op);
    struct tt_proc *proc = limited->proc;
    limited->proc = NULL;
    return proc;
}
