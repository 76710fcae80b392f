/* `run` and `try`: a command from its start to its end, its output captured.
 *
 * What it starts runs in a root scope of its own: when the caller's scope is cancelled the command
 * is terminated, and what it still writes meanwhile is kept. */
#include "core/base/alloc.h"
#include "core/env/proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { chunk = 64 << 10 };

struct output {
    struct capture *capture;
    enum tt_stream stream;
    struct tt_buf *to;
    bool ended;
    bool full; /* the rest is dropped */
};

struct capture {
    struct tt_op op;
    struct tt_capture_options options;
    struct tt_scope *inner;
    struct tt_op *start;      /* while it runs */
    struct tt_op *write;      /* stdin's operation that runs */
    struct tt_proc *proc;     /* once started */
    struct tt_result *result; /* once the command ended */
    struct tt_buf input;
    size_t written;
    struct output outputs[2];
    bool waited;
    bool closing;            /* `write` closes stdin */
    struct tt_error *broken; /* what spoils a result that would be ok */
    struct tt_error *why;    /* somebody cancelled */
};

void tt_capture_defaults(struct tt_capture_options *options)
{
    *options = (struct tt_capture_options){
        .proc = {.timeout = TT_NEVER, .grace = tt_default_grace_ms},
        .max_output = tt_default_max_output,
    };
}

static void capture_free(struct tt_op *op)
{
    struct capture *c = (struct capture *)(void *)op;
    tt_proc_release(c->proc);
    tt_result_release(c->result);
    tt_scope_release(c->inner);
    tt_buf_free(&c->input);
    tt_error_free(c->broken);
    tt_error_free(c->why);
    free(c);
}

static void capture_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct capture *c = (struct capture *)(void *)op;
    c->why = tt_error_copy(why);
    if (c->proc)
        tt_proc_terminate(c->proc, why);
    else
        tt_op_cancel(c->start, why);
}

/* Drops what a tail has too much. */
static void cut_tail(struct capture *c, struct tt_buf *buf)
{
    size_t keep = (size_t)c->options.keep_tail;
    if (keep && buf->length > keep) {
        tt_buf_drop(buf, buf->length - keep);
        c->result->truncated = true;
    }
}

static void finish(struct capture *c)
{
    struct tt_result *result = c->result;
    cut_tail(c, &result->out);
    cut_tail(c, &result->err);
    if (c->broken && result->kind == TT_OK) {
        result->kind = c->broken->kind;
        result->message = tt_error_text(c->broken);
    }
    enum tt_kind kind = result->kind;
    struct tt_error *err = NULL;
    if (c->why && kind == TT_LOST)
        err = tt_result_error(result);
    else if (c->why)
        err = tt_error_copy(c->why);
    else if (kind == TT_CANCELLED || kind == TT_INVALID || kind == TT_UNSUPPORTED)
        err = tt_result_error(result);
    tt_op_finish(&c->op, err);
}

static void finish_when_done(struct capture *c)
{
    if (c->waited && c->outputs[0].ended && c->outputs[1].ended && !c->write)
        finish(c);
}

/* The result cannot be ok any more, so the command need not go on. Takes why. */
static void break_off(struct capture *c, struct tt_error *why)
{
    tt_proc_terminate(c->proc, why);
    if (c->broken)
        tt_error_free(why);
    else
        c->broken = why;
}

/* --- output --- */

static void keep(struct output *output, const char *bytes, size_t length)
{
    struct capture *c = output->capture;
    struct tt_buf *to = output->to;
    int64_t tail = c->options.keep_tail, max = c->options.max_output;
    if (tail > 0) {
        if (to->length >= 2 * (size_t)tail)
            cut_tail(c, to);
    } else if (length > (size_t)max - to->length) {
        length = (size_t)max - to->length;
        output->full = true;
        break_off(c,
                  tt_error_new(TT_OUTPUT_LIMIT, "%s is longer than %lld bytes",
                               output->stream == TT_STDOUT ? "stdout" : "stderr", (long long)max));
    }
    char *at = tt_buf_reserve(to, length);
    if (!at) {
        output->full = true;
        break_off(c, tt_error_new(TT_IO, "no memory for the output"));
        return;
    }
    memcpy(at, bytes, length);
    to->length += length;
}

static void on_output(struct tt_op *op, void *arg);

static void read_on(struct output *output)
{
    struct capture *c = output->capture;
    tt_op_await(tt_proc_read(c->proc, c->inner, output->stream, chunk), on_output, output);
}

static void on_output(struct tt_op *op, void *arg)
{
    struct output *output = arg;
    struct capture *c = output->capture;
    const struct tt_bytes *got = tt_bytes_of(op);
    if (!op->error && got->length) {
        if (c->options.on_output)
            c->options.on_output(c->options.arg, output->stream, got->data, got->length);
        if (!output->full)
            keep(output, got->data, got->length);
        read_on(output);
    } else {
        if (op->error)
            break_off(c, tt_error_copy(op->error));
        output->ended = true;
        finish_when_done(c);
    }
    tt_op_release(op);
}

/* --- input --- */

static void on_written(struct tt_op *op, void *arg);

static void write_on(struct capture *c)
{
    size_t left = c->input.length - c->written;
    size_t length = left < chunk ? left : chunk;
    c->closing = left == 0;
    if (c->closing)
        c->write = tt_proc_close_stdin(c->proc, c->inner);
    else
        c->write = tt_proc_write(c->proc, c->inner, c->input.data + c->written, length);
    c->written += length;
    tt_op_await(c->write, on_written, c);
}

/* A command that does not read its stdin is no error. */
static void on_written(struct tt_op *op, void *arg)
{
    struct capture *c = arg;
    c->write = NULL;
    if (op->error && op->error->errnum != EPIPE && !c->waited)
        break_off(c, tt_error_copy(op->error));
    if (!op->error && !c->waited && !c->closing)
        write_on(c);
    tt_op_release(op);
    finish_when_done(c);
}

/* --- the whole --- */

static void on_end(struct tt_op *op, void *arg)
{
    struct capture *c = arg;
    c->waited = true;
    if (c->write)
        tt_op_cancel(c->write, &(struct tt_error){.kind = TT_CANCELLED,
                                                  .message = (char[]){"the command ended"}});
    tt_op_release(op);
    finish_when_done(c);
}

static void on_start(struct tt_op *op, void *arg)
{
    struct capture *c = arg;
    c->start = NULL;
    c->proc = tt_proc_of(op);
    if (!c->proc) {
        c->result->kind = op->error->kind;
        c->result->message = tt_error_text(op->error);
        finish(c);
    } else {
        tt_result_release(c->result);
        c->result = tt_result_retain(tt_proc_result(c->proc));
        c->outputs[0] = (struct output){c, TT_STDOUT, &c->result->out, false, false};
        c->outputs[1] = (struct output){c, TT_STDERR, &c->result->err, false, false};
        read_on(&c->outputs[0]);
        read_on(&c->outputs[1]);
        if (c->input.length)
            write_on(c);
        tt_op_await(tt_proc_wait(c->proc, c->inner), on_end, c);
        if (c->why)
            tt_proc_terminate(c->proc, c->why);
    }
    tt_op_release(op);
}

struct tt_op *tt_capture(struct tt_env *env, struct tt_scope *scope,
                         const struct tt_command *command, const struct tt_capture_options *options)
{
    static const struct tt_op_class class_ = {"running a command", capture_cancel, capture_free};
    struct capture *c = tt_zalloc(sizeof *c);
    tt_op_init(&c->op, &class_, scope);
    if (tt_op_finished(&c->op))
        return &c->op;
    c->options = *options;
    c->inner = tt_scope_new(c->op.loop, NULL);
    c->result = tt_result_new();
    c->result->env = tt_strdup(env->text);
    struct tt_command with_stdin = *command;
    with_stdin.stdin_open = options->input && options->input_length;
    if (with_stdin.stdin_open) {
        char *at = tt_buf_reserve(&c->input, options->input_length);
        if (!at) {
            c->result->kind = TT_IO;
            c->result->message = tt_strdup("no memory for the input");
            finish(c);
            return &c->op;
        }
        memcpy(at, options->input, options->input_length);
        c->input.length = options->input_length;
    }
    c->start = tt_proc_start(env, scope, &with_stdin, &options->proc);
    tt_op_await(c->start, on_start, c);
    return &c->op;
}

struct tt_result *tt_result_of(struct tt_op *op)
{
    return ((struct capture *)(void *)op)->result;
}
