#include "executors/ssh/host/via.h"

#include "core/base/alloc.h"
#include "core/env/proc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- through another host --- */

struct through {
    struct tx_wire wire;
    struct tx_lease *lease;
    bool watching;
};

static ssize_t through_read(struct tx_wire *wire, void *to, size_t room)
{
    return tx_channel_read(((struct through *)(void *)wire)->lease->channel, 0, to, room);
}

static ssize_t through_write(struct tx_wire *wire, const void *from, size_t length)
{
    return tx_channel_write(((struct through *)(void *)wire)->lease->channel, from, length);
}

static void on_changed(void *arg)
{
    struct through *t = arg;
    if (t->watching)
        t->wire.ready(t->wire.arg);
}

static void through_watch(struct tx_wire *wire, bool input, bool room)
{
    struct through *t = (struct through *)(void *)wire;
    bool before = t->watching;
    t->watching = input || room;
    if (t->watching && !before)
        tx_channel_listen(t->lease->channel, on_changed, t);
}

static void through_free(struct tx_wire *wire)
{
    struct through *t = (struct through *)(void *)wire;
    tx_lease_end(t->lease);
    free(t);
}

static const struct tx_wire_class through_class = {through_read, through_write, through_watch,
                                                   through_free};

struct through_op {
    struct tx_wire_op base;
    struct tt_op *channel;
    struct tx_host *jump;
    char *target;
};

static void through_op_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct through_op *t = (struct through_op *)(void *)op;
    tt_op_drop(&t->channel, why);
    tt_op_finish(op, tt_error_copy(why));
}

static void through_op_free(struct tt_op *op)
{
    struct through_op *t = (struct through_op *)(void *)op;
    tx_host_release(t->jump);
    free(t->target);
    tx_wire_op_free(op);
}

static void on_channel(struct tt_op *op, void *arg)
{
    struct through_op *t = arg;
    struct tt_error *err = tt_error_copy(op->error);
    struct tx_lease *lease = err ? NULL : tx_lease_of(op);
    if (lease) {
        struct through *made = tt_zalloc(sizeof *made);
        made->wire.class_ = &through_class;
        made->lease = lease;
        t->base.wire = &made->wire;
    } else {
        enum tt_kind kind = err ? err->kind : TT_CONNECT;
        tt_fail(&err, kind, "cannot reach %s through the jump host", t->target);
    }
    tt_op_release(op);
    tt_op_finish(&t->base.op, err);
}

struct tt_op *tx_wire_through(struct tt_scope *scope, struct tx_host *jump, const char *target,
                              int port)
{
    static const struct tt_op_class class_ = {"connecting through a host", through_op_cancel,
                                              through_op_free};
    struct through_op *t = tt_zalloc(sizeof *t);
    t->jump = jump;
    tx_host_retain(jump);
    t->target = tt_strdup(target);
    tt_op_init(&t->base.op, &class_, scope);
    if (tt_op_finished(&t->base.op))
        return &t->base.op;
    t->channel = tx_host_channel(jump, scope, target, port);
    tt_op_await(t->channel, on_channel, t);
    return &t->base.op;
}

/* --- a program --- */

enum { chunk = 64 << 10 };

/* Lives on until its operations have come back. */
struct program {
    struct tx_wire wire;
    struct tt_scope *scope;
    struct tt_proc *proc;
    struct tt_buf in;
    bool in_ended, watching, freed;
    int errnum;       /* reading or writing failed */
    unsigned pending; /* operations under way */
    bool reading, writing;
};

static void program_unref(struct program *p)
{
    if (p->pending || !p->freed)
        return;
    tt_proc_release(p->proc);
    tt_scope_release(p->scope);
    tt_buf_free(&p->in);
    free(p);
}

static void notify(struct program *p)
{
    p->pending--;
    if (!p->freed && p->watching)
        p->wire.ready(p->wire.arg);
    program_unref(p);
}

static void on_program_read(struct tt_op *op, void *arg)
{
    struct program *p = arg;
    p->reading = false;
    if (op->error)
        p->errnum = EPIPE;
    else if (tt_bytes_of(op)->length)
        tt_buf_add(&p->in, tt_bytes_of(op)->data, tt_bytes_of(op)->length);
    else
        p->in_ended = true;
    tt_op_release(op);
    notify(p);
}

static void on_program_written(struct tt_op *op, void *arg)
{
    struct program *p = arg;
    p->writing = false;
    if (op->error)
        p->errnum = EPIPE;
    tt_op_release(op);
    notify(p);
}

static void read_ahead(struct program *p)
{
    if (p->reading || p->in_ended || p->errnum || p->freed)
        return;
    p->reading = true;
    p->pending++;
    tt_op_await(tt_proc_read(p->proc, p->scope, TT_STDOUT, chunk), on_program_read, p);
}

static ssize_t program_read(struct tx_wire *wire, void *to, size_t room)
{
    struct program *p = (struct program *)(void *)wire;
    size_t n = p->in.length < room ? p->in.length : room;
    if (n) {
        memcpy(to, p->in.data, n);
        tt_buf_drop(&p->in, n);
        return (ssize_t)n;
    }
    if (p->errnum)
        return -p->errnum;
    if (p->in_ended)
        return 0;
    read_ahead(p);
    return -EAGAIN;
}

static ssize_t program_write(struct tx_wire *wire, const void *from, size_t length)
{
    struct program *p = (struct program *)(void *)wire;
    if (p->errnum)
        return -p->errnum;
    if (p->writing)
        return -EAGAIN;
    p->writing = true;
    p->pending++;
    tt_op_await(tt_proc_write(p->proc, p->scope, from, length), on_program_written, p);
    return (ssize_t)length;
}

static void program_watch(struct tx_wire *wire, bool input, bool room)
{
    struct program *p = (struct program *)(void *)wire;
    p->watching = input || room;
    if (input)
        read_ahead(p);
}

static void program_free(struct tx_wire *wire)
{
    struct program *p = (struct program *)(void *)wire;
    p->freed = true;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the connection is not needed any more");
    tt_proc_terminate(p->proc, why);
    tt_scope_cancel(p->scope, why);
    tt_error_free(why);
    program_unref(p);
}

static const struct tx_wire_class program_class = {program_read, program_write, program_watch,
                                                   program_free};

struct program_op {
    struct tx_wire_op base;
    struct tt_op *start;
    struct tt_scope *life;
};

static void program_op_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct program_op *p = (struct program_op *)(void *)op;
    tt_op_drop(&p->start, why);
    tt_op_finish(op, tt_error_copy(why));
}

static void on_program(struct tt_op *op, void *arg)
{
    struct program_op *o = arg;
    struct tt_error *err = tt_error_copy(op->error);
    struct tt_proc *proc = err ? NULL : tt_proc_of(op);
    if (proc) {
        struct program *p = tt_zalloc(sizeof *p);
        p->wire.class_ = &program_class;
        p->proc = proc;
        p->scope = tt_scope_new(op->loop, o->life);
        o->base.wire = &p->wire;
    } else {
        tt_fail(&err, TT_CONNECT, "the proxy command does not start");
    }
    tt_op_release(op);
    tt_op_finish(&o->base.op, err);
}

struct tt_op *tx_wire_program(struct tt_scope *scope, struct tt_env *here, const char *line,
                              struct tt_scope *life)
{
    static const struct tt_op_class class_ = {"starting a proxy command", program_op_cancel,
                                              tx_wire_op_free};
    struct program_op *o = tt_zalloc(sizeof *o);
    tt_op_init(&o->base.op, &class_, scope);
    if (tt_op_finished(&o->base.op))
        return &o->base.op;
    /* what it says is nobody's output */
    char *shell = tt_format("exec 2>/dev/null; %s", line);
    struct tt_command command = {.shell = shell, .stdin_open = true};
    struct tt_proc_options options = {.timeout = TT_NEVER, .grace = 1000};
    o->life = life;
    o->start = tt_proc_start(here, life, &command, &options);
    tt_op_await(o->start, on_program, o);
    free(shell);
    return &o->base.op;
}

static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-:@%+[]", *c))
            return false;
    return *text && *text != '-';
}

int tx_proxy_expand(char **line, const char *command, const struct tx_ssh_settings *settings,
                    const char *name, struct tt_error **err)
{
    struct tt_buf out = {0};
    for (const char *c = command; *c; c++) {
        const char *value = NULL;
        if (*c != '%') {
            tt_buf_add(&out, c, 1);
            continue;
        }
        c++;
        if (*c == 'h')
            value = settings->host;
        else if (*c == 'n')
            value = name;
        else if (*c == 'r')
            value = settings->user;
        if (*c == 'p') {
            tt_buf_format(&out, "%d", settings->port);
        } else if (*c == '%') {
            tt_buf_text(&out, "%");
        } else if (value && is_plain(value)) {
            tt_buf_text(&out, value);
        } else {
            tt_buf_free(&out);
            if (value)
                return tt_fail(err, TT_INVALID, "\"%s\" cannot stand in a proxy command", value);
            return tt_fail(err, TT_INVALID, "a proxy command knows no %%%c", *c ? *c : ' ');
        }
    }
    *line = tt_buf_take(&out);
    return 0;
}
