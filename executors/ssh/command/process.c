#include "executors/ssh/command/process.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/env/proc.h"
#include "executors/ssh/command/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct proc;

struct read_op {
    struct tt_bytes_op base;
    struct proc *proc; /* NULL once it does not wait */
    enum tt_stream stream;
    size_t max;
};

struct write_op {
    struct tt_op op;
    struct proc *proc;
    struct tt_buf data;
    size_t at;
};

struct plain_op { /* waiting for the end, or for the group's */
    struct tt_op op;
    struct proc *proc;
    struct tt_op *sub;
};

struct signal_op {
    struct tt_op op;
    struct proc *proc;
    struct signal_op *next;
    int signal;
    bool sent;
    struct tt_op *sub;
};

struct start_op {
    struct tt_process_op base;
    struct tt_env *env; /* held, and its host with it */
    struct tt_command command;
    struct tt_op *opening;
    struct proc *proc; /* until the server accepted the command */
};

struct proc {
    struct tt_process base;
    struct tx_launch *launch;
    struct tt_loop *loop;
    struct start_op *starting;
    struct read_op *reads[2];
    struct write_op *write;
    struct plain_op *wait, *gone;
    struct signal_op *signals;
    char *user, *password;
    int64_t guarded; /* the group that the guardian watches for us; 0: none */
    struct tt_job job;
    bool settled; /* the end was handled */
};

/* --- the guardian --- */

static void guard(struct proc *p)
{
    int64_t group = tx_launch_group(p->launch);
    if (p->guarded || !group || tx_launch_exit(p->launch) ||
        !tx_link_host(tx_launch_link(p->launch)))
        return;
    p->guarded = group;
    tx_guard_add(tx_guard_of(tx_launch_link(p->launch), p->user, p->password), group);
}

static void unguard(struct proc *p)
{
    struct tx_guard *found = tx_guard_find(tx_launch_link(p->launch), p->user);
    if (p->guarded && found)
        tx_guard_remove(found, p->guarded);
    p->guarded = 0;
}

/* --- reading and writing --- */

static bool try_read(struct proc *p, struct read_op *r)
{
    ssize_t n = tx_launch_read(p->launch, r->stream, r->max, &r->base.bytes);
    if (n == -EAGAIN)
        return false;
    if (r->proc) {
        p->reads[r->stream] = NULL;
        r->proc = NULL;
    }
    tt_op_finish(&r->base.op,
                 n < 0 ? tt_error_new(TT_LOST, "the connection ended before the stream did")
                       : NULL);
    return true;
}

static void read_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct read_op *r = (struct read_op *)(void *)op;
    if (r->proc)
        r->proc->reads[r->stream] = NULL;
    r->proc = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *proc_read(struct tt_process *base, struct tt_scope *scope,
                               enum tt_stream stream, size_t max)
{
    static const struct tt_op_class class_ = {"reading a stream", read_cancel, tt_bytes_op_free};
    struct proc *p = (struct proc *)(void *)base;
    struct read_op *r = tt_zalloc(sizeof *r);
    r->stream = stream;
    r->max = max;
    tt_op_init(&r->base.op, &class_, scope);
    if (!tt_op_finished(&r->base.op) && !try_read(p, r)) {
        r->proc = p;
        p->reads[stream] = r;
    }
    return &r->base.op;
}

static void write_done(struct write_op *w, struct tt_error *err)
{
    if (w->proc)
        w->proc->write = NULL;
    w->proc = NULL;
    tt_op_finish(&w->op, err);
}

static void try_write(struct proc *p, struct write_op *w)
{
    while (w->at < w->data.length) {
        ssize_t n = tx_launch_write(p->launch, w->data.data + w->at, w->data.length - w->at);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            struct tt_error *err = NULL;
            tt_fail(&err, TT_IO, "the command does not read its stdin any more");
            err->errnum = EPIPE;
            write_done(w, err);
            return;
        }
        w->at += (size_t)n;
    }
    write_done(w, NULL);
}

static void write_cancel(struct tt_op *op, const struct tt_error *why)
{
    write_done((struct write_op *)(void *)op, tt_error_copy(why));
}

static void write_free(struct tt_op *op)
{
    struct write_op *w = (struct write_op *)(void *)op;
    tt_buf_free(&w->data);
    free(w);
}

static struct tt_op *proc_write(struct tt_process *base, struct tt_scope *scope, const void *data,
                                size_t length)
{
    static const struct tt_op_class class_ = {"writing to a command", write_cancel, write_free};
    struct proc *p = (struct proc *)(void *)base;
    struct write_op *w = tt_zalloc(sizeof *w);
    tt_op_init(&w->op, &class_, scope);
    if (tt_op_finished(&w->op))
        return &w->op;
    char *to = tt_buf_reserve(&w->data, length);
    if (!to) {
        tt_op_finish(&w->op, tt_error_new(TT_IO, "no memory for %zu bytes", length));
        return &w->op;
    }
    memcpy(to, data, length);
    w->data.length = length;
    w->proc = p;
    p->write = w;
    try_write(p, w);
    return &w->op;
}

static struct tt_op *proc_close_stdin(struct tt_process *base, struct tt_scope *scope)
{
    struct proc *p = (struct proc *)(void *)base;
    tx_launch_close_stdin(p->launch);
    return tt_op_finished_new(scope, NULL);
}

/* --- the end --- */

static void plain_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct plain_op *w = (struct plain_op *)(void *)op;
    if (w->proc && w->proc->wait == w)
        w->proc->wait = NULL;
    if (w->proc && w->proc->gone == w)
        w->proc->gone = NULL;
    w->proc = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static void plain_free(struct tt_op *op)
{
    struct plain_op *w = (struct plain_op *)(void *)op;
    tt_op_release(w->sub);
    free(w);
}

static struct tt_op *proc_wait(struct tt_process *base, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"waiting for a remote command", plain_cancel,
                                              plain_free};
    struct proc *p = (struct proc *)(void *)base;
    struct plain_op *w = tt_zalloc(sizeof *w);
    tt_op_init(&w->op, &class_, scope);
    if (tt_op_finished(&w->op))
        return &w->op;
    if (p->settled) {
        tt_op_finish(&w->op, NULL);
        return &w->op;
    }
    w->proc = p;
    p->wait = w;
    return &w->op;
}

/* The guardian looks once, when nobody holds the streams any more: an empty group is gone. What is
 * still there is left for the KILL that follows the grace. */
static void on_looked(struct tt_op *op, void *arg)
{
    struct plain_op *w = arg;
    bool gone = op->error && op->error->kind == TT_NOT_FOUND;
    if (gone && w->proc) {
        w->proc->gone = NULL;
        w->proc = NULL;
        tt_op_finish(&w->op, NULL);
    }
    tt_op_release(&w->op);
}

static void look_for_group(struct proc *p)
{
    struct plain_op *w = p->gone;
    struct tx_guard *found = tx_guard_find(tx_launch_link(p->launch), p->user);
    if (!w || w->sub || !tx_launch_closed(p->launch) || !found || !tx_launch_group(p->launch))
        return;
    w->sub = tx_guard_signal(found, w->op.scope, tx_launch_group(p->launch), 0);
    tt_op_retain(&w->op);
    tt_op_await(w->sub, on_looked, w);
}

static struct tt_op *proc_gone(struct tt_process *base, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"waiting for a remote group", plain_cancel,
                                              plain_free};
    struct proc *p = (struct proc *)(void *)base;
    struct plain_op *w = tt_zalloc(sizeof *w);
    tt_op_init(&w->op, &class_, scope);
    if (tt_op_finished(&w->op))
        return &w->op;
    w->proc = p;
    p->gone = w;
    look_for_group(p);
    return &w->op;
}

/* --- signals --- */

static void signal_done(struct signal_op *s, struct tt_error *err)
{
    if (s->proc) {
        struct signal_op **at = &s->proc->signals;
        while (*at != s)
            at = &(*at)->next;
        *at = s->next;
        s->proc = NULL;
    }
    tt_op_finish(&s->op, err);
}

static void signal_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct signal_op *s = (struct signal_op *)(void *)op;
    if (s->sub)
        tt_op_cancel(s->sub, why); /* its end is ours */
    else
        signal_done(s, tt_error_copy(why));
}

static void signal_free(struct tt_op *op)
{
    struct signal_op *s = (struct signal_op *)(void *)op;
    tt_op_release(s->sub);
    free(s);
}

static void on_command_signalled(struct tt_op *op, void *arg)
{
    struct signal_op *s = arg;
    struct tt_result *result = tt_result_of(op);
    struct tt_error *err = tt_error_copy(op->error);
    if (!err && (!result || result->kind != TT_OK))
        err = tt_error_new(TT_NOT_FOUND, "no process of the group is left");
    signal_done(s, err);
}

/* Where there is no guardian, `kill` is a command like any other, perhaps on another connection. */
static void signal_by_command(struct proc *p, struct signal_op *s, int64_t group)
{
    char *line = tt_format("kill -%d -%lld", s->signal, (long long)group);
    struct tt_command command = {.shell = line, .user = p->user, .password = p->password};
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    s->sub = tt_capture(p->base.env, s->op.scope, &command, &options);
    tt_op_await(s->sub, on_command_signalled, s);
    free(line);
}

static void on_guard_signalled(struct tt_op *op, void *arg)
{
    struct signal_op *s = arg;
    struct tt_error *err = tt_error_copy(op->error);
    if (err && err->kind == TT_UNSUPPORTED && s->proc && !op->cancelled) {
        tt_error_free(err);
        s->sub = NULL;
        tt_op_release(op);
        signal_by_command(s->proc, s, tx_launch_group(s->proc->launch));
        return;
    }
    signal_done(s, err);
}

/* Sent as soon as the group is known. */
static void send_signals(struct proc *p)
{
    int64_t group = tx_launch_group(p->launch);
    for (struct signal_op *s = p->signals, *next; s; s = next) {
        next = s->next;
        if (s->sent)
            continue;
        if (!group && !tx_launch_exit(p->launch))
            continue;
        s->sent = true;
        if (!group) {
            signal_done(s, tt_error_new(TT_NOT_FOUND, "the command has ended"));
        } else if (tx_link_host(tx_launch_link(p->launch))) {
            struct tx_guard *guardian =
                tx_guard_of(tx_launch_link(p->launch), p->user, p->password);
            s->sub = tx_guard_signal(guardian, s->op.scope, group, s->signal);
            tt_op_await(s->sub, on_guard_signalled, s);
        } else {
            signal_by_command(p, s, group);
        }
    }
}

static struct tt_op *proc_signal(struct tt_process *base, struct tt_scope *scope, int signal)
{
    static const struct tt_op_class class_ = {"signalling a remote command", signal_cancel,
                                              signal_free};
    struct proc *p = (struct proc *)(void *)base;
    struct signal_op *s = tt_zalloc(sizeof *s);
    s->signal = signal;
    tt_op_init(&s->op, &class_, scope);
    if (tt_op_finished(&s->op))
        return &s->op;
    s->proc = p;
    s->next = p->signals;
    p->signals = s;
    send_signals(p);
    return &s->op;
}

/* --- life --- */

static void proc_free(struct tt_process *base)
{
    struct proc *p = (struct proc *)(void *)base;
    tt_loop_unpost(p->loop, &p->job);
    /* one that is given up stays with the guardian */
    if (tx_launch_exit(p->launch) && tx_launch_exit(p->launch)->kind != TT_LOST)
        unguard(p);
    for (int i = 0; i < 2; i++)
        if (p->reads[i])
            p->reads[i]->proc = NULL;
    if (p->write)
        p->write->proc = NULL;
    if (p->wait)
        p->wait->proc = NULL;
    if (p->gone)
        p->gone->proc = NULL;
    for (struct signal_op *s = p->signals; s; s = s->next)
        s->proc = NULL;
    tx_launch_free(p->launch);
    if (p->password)
        explicit_bzero(p->password, strlen(p->password));
    free(p->password);
    free(p->user);
    tt_process_clear(base);
    free(p);
}

static const struct tt_process_class process_class = {
    .read = proc_read,
    .write = proc_write,
    .close_stdin = proc_close_stdin,
    .wait = proc_wait,
    .signal = proc_signal,
    .gone = proc_gone,
    .free = proc_free,
};

static void settle(struct proc *p)
{
    const struct tt_exit *end = tx_launch_exit(p->launch);
    if (!end || p->settled)
        return;
    p->settled = true;
    free(p->base.exit.message); /* of one who gave up before */
    p->base.exit = *end;
    p->base.exit.message = end->message ? tt_strdup(end->message) : NULL;
    if (end->kind != TT_LOST && !p->signals)
        unguard(p);
    if (p->wait) {
        struct plain_op *w = p->wait;
        p->wait = NULL;
        w->proc = NULL;
        tt_op_finish(&w->op, NULL);
    }
}

static void deliver(struct proc *p)
{
    struct start_op *s = p->starting;
    if (!s || (!tx_launch_accepted(p->launch) && !tx_launch_exit(p->launch)))
        return;
    s->base.process = &p->base;
    s->proc = NULL;
    p->starting = NULL;
    tt_op_finish(&s->base.op, NULL);
}

/* After everything that came together was seen: a command that has ended by now needs no guard. */
static void on_job(struct tt_job *job)
{
    guard(tt_owner(job, struct proc, job));
}

static void on_changed(void *arg)
{
    struct proc *p = arg;
    if (!p->guarded && tx_launch_group(p->launch) && !tx_launch_exit(p->launch))
        tt_loop_post(p->loop, &p->job);
    for (int i = 0; i < 2; i++)
        if (p->reads[i])
            try_read(p, p->reads[i]);
    if (p->write)
        try_write(p, p->write);
    send_signals(p);
    settle(p);
    look_for_group(p);
    deliver(p);
}

/* --- the start --- */

static void start_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct start_op *s = (struct start_op *)(void *)op;
    if (!s->opening)
        return; /* the line is on its way: the command is handed over, and ended by who gets it */
    tt_op_drop(&s->opening, why);
    tt_op_finish(op, tt_error_copy(why));
}

static void start_free(struct tt_op *op)
{
    struct start_op *s = (struct start_op *)(void *)op;
    tt_command_clear(&s->command);
    tt_env_release(s->env);
    tt_process_op_free(op);
}

static void on_lease(struct tt_op *op, void *arg)
{
    struct start_op *s = arg;
    struct tt_error *err = tt_error_copy(op->error);
    struct tx_lease *lease = err ? NULL : tx_lease_of(op);
    s->opening = NULL;
    tt_op_release(op);
    if (!lease) {
        tt_op_finish(&s->base.op, err);
        return;
    }
    struct proc *p = tt_zalloc(sizeof *p);
    p->loop = s->base.op.loop;
    p->job.run = on_job;
    p->launch = tx_launch_new(tx_host_of(s->env), lease, &s->command, on_changed, p, &err);
    if (!p->launch) {
        free(p);
        tt_op_finish(&s->base.op, err);
        return;
    }
    tt_process_init(&p->base, &process_class, s->env, s->env->text, s->env->text);
    p->user = s->command.user ? tt_strdup(s->command.user) : NULL;
    p->password = s->command.password ? tt_strdup(s->command.password) : NULL;
    p->starting = s;
    s->proc = p;
}

struct tt_op *tx_ssh_start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"starting a remote command", start_cancel,
                                              start_free};
    struct start_op *s = tt_zalloc(sizeof *s);
    s->env = env;
    tt_env_retain(env);
    tt_command_copy(&s->command, command);
    tt_op_init(&s->base.op, &class_, scope);
    if (tt_op_finished(&s->base.op))
        return &s->base.op;
    if (command->user && command->pty) {
        tt_op_finish(&s->base.op, tt_error_new(TT_UNSUPPORTED,
                                               "a pty for another user is not supported over ssh"));
        return &s->base.op;
    }
    s->opening = tx_host_channel(tx_host_of(env), scope, NULL, 0);
    tt_op_await(s->opening, on_lease, s);
    return &s->base.op;
}
