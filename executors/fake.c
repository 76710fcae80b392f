#include "executors/fake.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "core/files/files.h"
#include "executors/local/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_env {
    struct tt_env base;
    struct tt_loop *loop;
    const struct tx_fake_command **scripts;
    size_t script_count;
    struct tx_fake_run **runs;
    size_t run_count;
};

struct fake_stream {
    struct tt_buf unread;
    struct read_op *pending;
};

struct fake_process {
    struct tt_process base;
    struct fake_env *env;
    const struct tx_fake_command *script;
    struct tx_fake_run *run;
    struct tt_timer timer;
    size_t next_output;
    int64_t ends_at, group_ends_at, streams_end_at; /* absolute */
    int signal;                                     /* what it will end by */
    bool ended, streams_ended, stdin_closed;
    struct fake_stream streams[2];
    struct hold_op *waiting, *leaving;
};

struct read_op {
    struct tt_bytes_op base;
    struct fake_process *process;
    struct fake_stream *stream;
    size_t max;
};

/* An operation that the process finishes; `slot` is where the process keeps it. */
struct hold_op {
    struct tt_op op;
    struct hold_op **slot;
};

struct start_op {
    struct tt_process_op base;
    struct fake_env *env;
    const struct tx_fake_command *script;
    char *line, *cwd;
    struct tt_timer timer;
};

static struct fake_process *of(struct tt_process *p)
{
    return (struct fake_process *)(void *)p;
}

static int64_t now(const struct fake_env *env)
{
    return tt_loop_now(env->loop);
}

/* --- streams --- */

static void read_cancel(struct tt_op *op, const struct tt_error *why)
{
    ((struct read_op *)(void *)op)->stream->pending = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

/* Gives the reader what is there, or the end. */
static void serve(struct fake_process *process, struct fake_stream *stream)
{
    struct read_op *op = stream->pending;
    size_t length = stream->unread.length;
    if (!op || (!length && !process->streams_ended))
        return;
    if (length > op->max)
        length = op->max;
    if (length)
        op->base.bytes.data = memcpy(tt_alloc(length), stream->unread.data, length);
    op->base.bytes.length = length;
    tt_buf_drop(&stream->unread, length);
    stream->pending = NULL;
    tt_op_finish(&op->base.op, NULL);
}

static struct tt_op *fake_read(struct tt_process *p, struct tt_scope *scope, enum tt_stream stream,
                               size_t max)
{
    static const struct tt_op_class class_ = {"fake read", read_cancel, tt_bytes_op_free};
    struct read_op *op = tt_zalloc(sizeof *op);
    op->process = of(p);
    op->stream = &of(p)->streams[stream];
    op->max = max;
    tt_op_init(&op->base.op, &class_, scope);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    op->stream->pending = op;
    serve(op->process, op->stream);
    return &op->base.op;
}

static struct tt_op *fake_write(struct tt_process *p, struct tt_scope *scope, const void *data,
                                size_t length)
{
    struct tt_error *err = NULL;
    if (of(p)->ended || of(p)->stdin_closed)
        tt_error_set(&err, TT_IO, EPIPE, __FILE__, __LINE__, "nobody reads that");
    else
        tt_buf_add(&of(p)->run->input, data, length);
    return tt_op_finished_new(scope, err);
}

static struct tt_op *fake_close_stdin(struct tt_process *p, struct tt_scope *scope)
{
    of(p)->stdin_closed = true;
    return tt_op_finished_new(scope, NULL);
}

/* --- the course of time --- */

static void hold_cancel(struct tt_op *op, const struct tt_error *why)
{
    *((struct hold_op *)(void *)op)->slot = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *hold(struct hold_op **slot, struct tt_scope *scope, bool over)
{
    static const struct tt_op_class class_ = {"a fake command", hold_cancel, tt_op_free};
    struct hold_op *op = tt_zalloc(sizeof *op);
    op->slot = slot;
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    if (over)
        tt_op_finish(&op->op, NULL);
    else
        *slot = op;
    return &op->op;
}

static void let_go(struct hold_op **slot)
{
    struct hold_op *op = *slot;
    *slot = NULL;
    if (op)
        tt_op_finish(&op->op, NULL);
}

static void end(struct fake_process *process)
{
    const struct tx_fake_command *script = process->script;
    struct tt_exit *exit = &process->base.exit;
    process->ended = true;
    process->run->ended_at = now(process->env);
    process->group_ends_at = tt_deadline_after(process->run->ended_at, script->leaves);
    process->streams_end_at = tt_deadline_after(process->run->ended_at, script->holds);
    exit->kind = script->unseen;
    if (exit->kind != TT_OK) {
        exit->message = tt_strdup("the script says that nobody saw it");
    } else {
        exit->signal = process->signal;
        exit->code = process->signal ? 128 + process->signal : script->code;
    }
    let_go(&process->waiting);
}

static void earliest(int64_t *at, int64_t other)
{
    if (other < *at)
        *at = other;
}

static void go_on(struct tt_timer *timer)
{
    struct fake_process *process = tt_owner(timer, struct fake_process, timer);
    const struct tx_fake_command *script = process->script;
    int64_t t = now(process->env), next = TT_NEVER;
    while (process->next_output < script->output_count) {
        const struct tx_fake_output *output = &script->outputs[process->next_output];
        int64_t at = tt_deadline_after(process->run->started_at, output->at);
        if (at > t) {
            earliest(&next, at);
            break;
        }
        process->next_output++;
        tt_buf_text(&process->streams[output->stream].unread, output->text);
    }
    if (!process->ended && process->ends_at <= t)
        end(process);
    if (!process->ended) {
        earliest(&next, process->ends_at);
    } else {
        if (process->group_ends_at <= t)
            let_go(&process->leaving);
        else
            earliest(&next, process->group_ends_at);
        process->streams_ended = process->streams_end_at <= t;
        if (!process->streams_ended)
            earliest(&next, process->streams_end_at);
    }
    serve(process, &process->streams[0]);
    serve(process, &process->streams[1]);
    if (next != TT_NEVER)
        tt_timer_start(process->env->loop, timer, next, go_on);
}

static struct tt_op *fake_wait(struct tt_process *p, struct tt_scope *scope)
{
    return hold(&of(p)->waiting, scope, of(p)->ended);
}

static struct tt_op *fake_gone(struct tt_process *p, struct tt_scope *scope)
{
    return hold(&of(p)->leaving, scope, of(p)->ended && of(p)->group_ends_at <= now(of(p)->env));
}

static void ends_by(struct fake_process *process, int signal, int64_t at)
{
    if (at >= process->ends_at)
        return;
    process->ends_at = at;
    process->signal = signal;
}

static struct tt_op *fake_signal(struct tt_process *p, struct tt_scope *scope, int signal)
{
    struct fake_process *process = of(p);
    const struct tx_fake_command *script = process->script;
    int64_t t = now(process->env);
    if (script->unsignallable)
        return tt_op_finished_new(scope, tt_error_new(TT_IO, "signals do not get there"));
    if (process->ended && process->group_ends_at <= t)
        return tt_op_finished_new(scope, tt_error_new(TT_NOT_FOUND, "nobody is left"));
    for (size_t i = 0; i + 1 < sizeof process->run->signals / sizeof *process->run->signals; i++)
        if (!process->run->signals[i]) {
            process->run->signals[i] = signal;
            break;
        }
    if (signal == 9 && !script->unkillable) {
        ends_by(process, 9, t);
        process->group_ends_at = t;
    } else if (signal != 9) {
        ends_by(process, signal, tt_deadline_after(t, script->term_takes));
    }
    tt_timer_start(process->env->loop, &process->timer, t, go_on);
    return tt_op_finished_new(scope, NULL);
}

static void fake_free(struct tt_process *p)
{
    struct fake_process *process = of(p);
    process->run->freed = true;
    tt_timer_stop(process->env->loop, &process->timer);
    tt_buf_free(&process->streams[0].unread);
    tt_buf_free(&process->streams[1].unread);
    tt_process_clear(p);
    free(process);
}

static const struct tt_process_class process_class = {
    .read = fake_read,
    .write = fake_write,
    .close_stdin = fake_close_stdin,
    .wait = fake_wait,
    .signal = fake_signal,
    .gone = fake_gone,
    .free = fake_free,
};

/* --- start --- */

static struct tt_process *process_new(struct start_op *op)
{
    struct fake_env *env = op->env;
    struct fake_process *process = tt_zalloc(sizeof *process);
    char *ref = tt_format("fake:%zu", env->run_count);
    tt_process_init(&process->base, &process_class, &env->base, ref, env->base.text);
    free(ref);
    env->runs = tt_reallocarray(env->runs, env->run_count + 1, sizeof(void *));
    process->run = env->runs[env->run_count++] = tt_zalloc(sizeof *process->run);
    *process->run = (struct tx_fake_run){
        .line = op->line, .cwd = op->cwd, .started_at = now(env), .ended_at = -1};
    op->line = op->cwd = NULL;
    process->env = env;
    process->script = op->script;
    process->signal = op->script->signal;
    process->ends_at = tt_deadline_after(now(env), op->script->lasts);
    process->group_ends_at = process->streams_end_at = TT_NEVER;
    tt_timer_start(env->loop, &process->timer, now(env), go_on);
    return &process->base;
}

static void on_start(struct tt_timer *timer)
{
    struct start_op *op = tt_owner(timer, struct start_op, timer);
    struct tt_error *err = NULL;
    if (!op->script)
        tt_fail(&err, TT_NOT_FOUND, "no script for \"%s\"", op->line);
    else if (op->script->refused != TT_OK)
        tt_fail(&err, op->script->refused, "the script refuses \"%s\"", op->line);
    else
        op->base.process = process_new(op);
    tt_op_finish(&op->base.op, err);
}

static void start_cancel(struct tt_op *base, const struct tt_error *why)
{
    struct start_op *op = (struct start_op *)(void *)base;
    tt_timer_stop(base->loop, &op->timer);
    tt_op_finish(base, tt_error_copy(why));
}

static void start_free(struct tt_op *base)
{
    struct start_op *op = (struct start_op *)(void *)base;
    free(op->line);
    free(op->cwd);
    tt_process_op_free(base);
}

static char *text_of(const struct tt_command *command)
{
    if (command->shell)
        return tt_strdup(command->shell);
    struct tt_buf text = {0};
    for (char **word = command->argv; *word; word++) {
        tt_buf_text(&text, word == command->argv ? "" : " ");
        tt_buf_text(&text, *word);
    }
    return tt_buf_take(&text);
}

static struct tt_op *fake_start(struct tt_env *base, struct tt_scope *scope,
                                const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"starting a fake", start_cancel, start_free};
    struct fake_env *env = (struct fake_env *)(void *)base;
    struct start_op *op = tt_zalloc(sizeof *op);
    tt_op_init(&op->base.op, &class_, scope);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    op->env = env;
    op->line = text_of(command);
    op->cwd = command->cwd ? tt_strdup(command->cwd) : NULL;
    for (size_t i = env->script_count; i-- > 0 && !op->script;)
        if (strcmp(env->scripts[i]->line, op->line) == 0)
            op->script = env->scripts[i];
    tt_timer_start(env->loop, &op->timer,
                   tt_deadline_after(now(env), op->script ? op->script->start_takes : 0), on_start);
    return &op->base.op;
}

/* --- the environment --- */

static void fake_env_free(struct tt_env *base)
{
    struct fake_env *env = (struct fake_env *)(void *)base;
    for (size_t i = 0; i < env->run_count; i++) {
        free(env->runs[i]->line);
        free(env->runs[i]->cwd);
        tt_buf_free(&env->runs[i]->input);
        free(env->runs[i]);
    }
    free(env->runs);
    free(env->scripts);
    free(env);
}

static const struct tt_env_class fake_class = {
    .kind = "fake",
    .parts = tt_env_no_parts,
    .start = fake_start,
    .attach = tt_env_no_attach,
    .files = &tx_local_files,
    .resolve = tt_env_resolve_self,
    .close = tt_env_close_nothing,
    .free = fake_env_free,
};

struct tt_env *tx_fake_new(struct tt_loop *loop, const char *text)
{
    struct fake_env *env = tt_zalloc(sizeof *env);
    tt_env_init(&env->base, &fake_class, text, text);
    env->loop = loop;
    return &env->base;
}

void tx_fake_add(struct tt_env *base, const struct tx_fake_command *commands, size_t count)
{
    struct fake_env *env = (struct fake_env *)(void *)base;
    env->scripts = tt_reallocarray(env->scripts, env->script_count + count, sizeof(void *));
    for (size_t i = 0; i < count; i++)
        env->scripts[env->script_count++] = &commands[i];
}

size_t tx_fake_run_count(const struct tt_env *env)
{
    return ((const struct fake_env *)(const void *)env)->run_count;
}

const struct tx_fake_run *tx_fake_run(const struct tt_env *env, size_t index)
{
    return ((const struct fake_env *)(const void *)env)->runs[index];
}
