#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/k8s/exec_internal.h"
#include "executors/k8s/watch.h"
#include "executors/remote/shim_pod.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { in_channel, out_channel, err_channel, error_channel, close_channel = 255 };
enum { piece = 64 << 10, max_status = 64 << 10 };

struct pod_write {
    struct tt_op op;
    struct tx_pod_process *process;
};

static void pump(struct tx_pod_process *process);
static void flush(struct tx_pod_process *process);

static struct tx_pod_process *of(struct tt_process *p)
{
    return (struct tx_pod_process *)(void *)p;
}

static struct tt_error *epipe(void)
{
    struct tt_error *err = tt_error_new(TT_IO, "the command reads no more");
    err->errnum = EPIPE;
    return err;
}

/* --- the end --- */

static void launched(struct tx_pod_process *process, struct tt_error *err)
{
    void (*call)(void *, struct tt_error *) = process->launched;
    process->launched = NULL;
    if (call)
        call(process->launched_arg, err);
    else
        tt_error_free(err);
}

static void finish(struct tx_pod_process *process, enum tt_kind kind, int code, const char *message)
{
    if (process->end.reached)
        return;
    process->p.exit.kind = kind;
    process->p.exit.code = kind == TT_OK ? code : -1;
    free(process->p.exit.message); /* of one who gave up before */
    process->p.exit.message = message ? tt_strdup(message) : NULL;
    struct pod_write *writing = process->writing;
    process->writing = NULL;
    if (writing)
        tt_op_finish(&writing->op, epipe());
    tx_end_reached(&process->end);
    if (!process->launched)
        return;
    const struct tt_buf *said = &process->held.bytes[TT_STDERR];
    if (kind == TT_OK)
        launched(process,
                 tt_error_new(TT_IO, "%s: the shim ended with code %d before the command %s: %.*s",
                              process->p.where, code, process->header_sent ? "began" : "was sent",
                              (int)(said->length < 500 ? said->length : 500),
                              said->length ? said->data : ""));
    else
        launched(process, tt_error_new(kind, "%s", message ? message : ""));
}

static void lost(struct tx_pod_process *process, const char *why)
{
    char *message = tt_format("%s: the command's end was not observed: %s", process->p.where, why);
    finish(process, TT_LOST, -1, message);
    free(message);
}

/* The whole group was killed, and not by us: by itself, or because its pod ended? */
static void on_pod(struct tt_op *op, void *arg)
{
    struct tx_pod_process *process = arg;
    process->asking = NULL;
    const json_t *pod = op->error ? NULL : tx_kube_json(op);
    const char *phase = json_string_value(tx_json_at(pod, "status.phase"));
    if (op->error)
        lost(process, op->error->kind == TT_NOT_FOUND ? "the pod was deleted" : op->error->message);
    else if (tx_json_at(pod, "metadata.deletionTimestamp"))
        lost(process, "the pod is being deleted");
    else if (!phase || strcmp(phase, "Running") != 0)
        lost(process, "the pod ended");
    else
        finish(process, TT_OK, 128 + SIGKILL, NULL);
    tt_op_release(op);
}

static void ask_for_pod(struct tx_pod_process *process)
{
    struct tx_pod pod = {process->kube, process->name_space, process->name, NULL, NULL, NULL};
    char *path = tx_pod_path(&pod, "");
    process->asking = tx_kube_call(process->kube, process->own, "GET", path, NULL, NULL);
    tt_op_await(process->asking, on_pod, process);
    free(path);
}

/* Of a pod of its own: how its container ended. */
static int look_for_end(void *arg, const char *type, const json_t *pod, struct tt_error **err)
{
    struct tx_pod_process *process = arg;
    const json_t *status = json_array_get(tx_json_at(pod, "status.containerStatuses"), 0);
    const json_t *code = tx_json_at(status, "state.terminated.exitCode");
    bool listed = process->listed;
    process->listed = pod && strcmp(type, "LIST") == 0;
    if (!pod && listed)
        return 0;
    if (!pod || strcmp(type, "DELETED") == 0)
        return tt_fail(err, TT_LOST, "the job's pod was deleted");
    if (!json_is_integer(code))
        return 0;
    process->code = (int)json_integer_value(code);
    if (process->code > 128 && !process->we_kill && tx_json_at(pod, "metadata.deletionTimestamp"))
        return tt_fail(err, TT_LOST, "the job's pod is being deleted");
    return 1;
}

static void on_end_seen(struct tt_op *op, void *arg)
{
    struct tx_pod_process *process = arg;
    process->asking = NULL;
    if (op->error)
        lost(process, op->error->message);
    else
        finish(process, TT_OK, process->code, NULL);
    tt_op_release(op);
}

static void watch_for_end(struct tx_pod_process *process)
{
    char *path = tt_format("/api/v1/namespaces/%s/pods?fieldSelector=metadata.name%%3D%s",
                           process->name_space, process->name);
    process->asking = tx_k8s_watch(process->kube, process->own, path, look_for_end, process);
    tt_op_await(process->asking, on_end_seen, process);
    free(path);
}

static void on_status(struct tx_pod_process *process)
{
    struct tx_pod_status status;
    if (process->end.reached || process->asking)
        return;
    tx_pod_status_read(&status, process->status.data, process->status.length);
    if (status.error && process->launched)
        finish(process, status.error->kind, -1, status.error->message);
    else if (status.error)
        lost(process, status.error->message);
    else if (status.code == 128 + SIGKILL && !process->we_kill)
        ask_for_pod(process);
    else
        finish(process, TT_OK, status.code, NULL);
    tt_error_free(status.error);
}

static void over(struct tx_pod_process *process, struct tt_error *err)
{
    bool known = process->status.length || process->coded || process->freed;
    if (process->freed && !process->end.reached && !process->asking && !process->launched)
        watch_for_end(process); /* what ends an attachment says nothing of the command */
    else if (process->status.length)
        on_status(process);
    else if (!known)
        lost(process, err ? err->message : "the connection ended");
    if (known) {
        tt_error_free(err);
        err = NULL;
    } else if (!err) {
        err = tt_error_new(TT_LOST, "%s: the connection ended", process->p.where);
    }
    tx_held_end(&process->held, err);
}

/* --- output --- */

/* False when it could not be sent. Frees the text. */
static bool send_text(struct tx_pod_process *process, struct tt_buf *text)
{
    bool sent =
        !text->length || tx_ws_send(process->ws, in_channel, text->data, text->length, NULL) == 0;
    tt_buf_free(text);
    if (sent)
        flush(process);
    return sent;
}

/* Sends what the shim waits for, once. */
static void send_header(struct tx_pod_process *process)
{
    struct tt_buf text = {0};
    if (process->header_sent)
        return;
    process->header_sent = true;
    tx_shim_pod_header(&text, process->reports.nonce, &process->command);
    if (!send_text(process, &text)) /* the shim waits for it: nothing ran */
        finish(process, TT_CONNECT, -1, "the command could not be sent");
}

static void report(struct tx_pod_process *process, const struct tx_report *what)
{
    bool pty = process->command.pty;
    struct tt_buf text = {0};
    switch (what->what) {
    case 'R':
        send_header(process);
        break;
    case 'C': {
        struct tt_buf *said = &process->held.bytes[pty ? TT_STDOUT : TT_STDERR];
        launched(process,
                 tt_error_new(TT_CWD, "%.*s", (int)said->length, said->data ? said->data : ""));
        break;
    }
    case 'P':
        process->group = what->group;
        if (pty)
            process->held.bytes[TT_STDOUT].length = 0; /* what the terminal echoed */
        tx_held_open(&process->held);
        launched(process, NULL);
        break;
    case 'X':
        process->coded = true;
        /* a pod of its own would end with the shim, and who still speaks */
        if (!process->freed && process->command.stdin_open) {
            tx_shim_pod_release(&text, pty);
            send_text(process, &text);
        }
        if (what->code >= 0)
            finish(process, TT_OK, what->code, NULL);
        break;
    default:
        break;
    }
}

static void keep(struct tx_pod_process *process, enum tt_stream stream, const char *bytes,
                 size_t length)
{
    bool pty = process->command.pty;
    bool through = process->direct || process->coded || (pty && process->held.open) ||
                   stream != (pty ? TT_STDOUT : TT_STDERR);
    if (through) {
        tx_held_add(&process->held, stream, bytes, length);
        return;
    }
    struct tt_buf out = {0};
    struct tx_report what;
    bool more = true;
    while (more) {
        more = tx_reports_next(&process->reports, bytes, length, &out, &what);
        bytes = NULL;
        length = 0;
        tx_held_add(&process->held, stream, out.data, out.length);
        out.length = 0;
        if (more)
            report(process, &what);
    }
    if (process->coded || (pty && process->held.open)) {
        tx_reports_end(&process->reports, &out);
        tx_held_add(&process->held, stream, out.data, out.length);
    }
    tt_buf_free(&out);
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    struct tx_pod_process *process = arg;
    if (channel == out_channel || channel == err_channel)
        keep(process, channel == err_channel ? TT_STDERR : TT_STDOUT, bytes, length);
    else if (channel == error_channel && process->status.length < max_status)
        tt_buf_add(&process->status, bytes, length);
}

static void on_bytes(struct tt_op *op, void *arg)
{
    struct tx_pod_process *process = arg;
    struct tt_error *err = tt_error_copy(op->error);
    const struct tt_bytes *bytes = tt_bytes_of(op);
    process->pump = NULL;
    bool end = err || !bytes->length;
    if (!end && tx_ws_feed(process->ws, bytes->data, bytes->length, &err) < 0)
        end = true;
    tt_op_release(op);
    flush(process);
    if (end || tx_ws_closed(process->ws))
        over(process, err);
    pump(process);
}

static void pump(struct tx_pod_process *process)
{
    if (process->pump || process->held.over || !tx_held_room(&process->held))
        return;
    process->pump = tx_stream_read(process->stream, process->own, piece);
    tt_op_await(process->pump, on_bytes, process);
}

static void on_wanted(struct tx_held *held)
{
    pump(tt_owner(held, struct tx_pod_process, held));
}

/* --- input --- */

static void on_flushed(struct tt_op *op, void *arg)
{
    struct tx_pod_process *process = arg;
    bool failed = op->error != NULL; /* the reader learns why */
    process->flush = NULL;
    tt_op_release(op);
    if (!failed)
        flush(process);
    struct pod_write *writing = process->writing;
    if (!writing || (!failed && process->flush))
        return;
    process->writing = NULL;
    tt_op_finish(&writing->op, failed ? epipe() : NULL);
}

static void flush(struct tx_pod_process *process)
{
    struct tt_buf *out = tx_ws_out(process->ws);
    if (process->flush || !out->length)
        return;
    process->flush = tx_stream_write(process->stream, process->own, out->data, out->length);
    out->length = 0;
    if (out->capacity > piece * 4)
        tt_buf_free(out);
    tt_op_await(process->flush, on_flushed, process);
}

static void write_cancel(struct tt_op *op, const struct tt_error *why)
{
    ((struct pod_write *)(void *)op)->process->writing = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *process_write(struct tt_process *p, struct tt_scope *scope, const void *data,
                                   size_t length)
{
    static const struct tt_op_class class_ = {"write", write_cancel, tt_op_free};
    struct tx_pod_process *process = of(p);
    struct pod_write *write = tt_zalloc(sizeof *write);
    struct tt_error *err = NULL;
    write->process = process;
    tt_op_init(&write->op, &class_, scope);
    if (tt_op_finished(&write->op))
        return &write->op;
    if (process->end.reached || process->closed_in)
        err = epipe();
    for (size_t at = 0; at < length && !err;) {
        size_t part = length - at < tx_pod_chunk ? length - at : tx_pod_chunk;
        struct tt_buf text = {0};
        tx_shim_pod_input(&text, (const char *)data + at, part,
                          process->command.pty || process->direct);
        tx_ws_send(process->ws, in_channel, text.data, text.length, &err);
        tt_buf_free(&text);
        at += part;
    }
    if (!err) {
        process->writing = write;
        flush(process);
        if (!process->flush)
            process->writing = NULL;
    }
    if (!process->writing)
        tt_op_finish(&write->op, err);
    return &write->op;
}

static struct tt_op *process_close_stdin(struct tt_process *p, struct tt_scope *scope)
{
    struct tx_pod_process *process = of(p);
    struct tt_error *err = NULL;
    if (!process->closed_in && !process->end.reached) {
        struct tt_buf text = {0};
        unsigned char channel = in_channel;
        process->closed_in = true;
        if (process->direct)
            tx_ws_send(process->ws, close_channel, &channel, 1, &err);
        else
            tx_shim_pod_input_end(&text, process->command.pty);
        if (!err && text.length)
            tx_ws_send(process->ws, in_channel, text.data, text.length, &err);
        tt_buf_free(&text);
        flush(process);
    }
    return tt_op_finished_new(scope, err);
}

/* --- the process --- */

static struct tt_op *process_read(struct tt_process *p, struct tt_scope *scope,
                                  enum tt_stream stream, size_t max)
{
    return tx_held_read(&of(p)->held, scope, stream, max);
}

static struct tt_op *process_wait(struct tt_process *p, struct tt_scope *scope)
{
    return tx_end_wait(&of(p)->end, scope);
}

static void process_free(struct tt_process *p)
{
    struct tx_pod_process *process = of(p);
    struct tt_op **ops[] = {&process->pump, &process->flush, &process->asking};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        tt_op_drop_because(ops[i], "the command was let go");
    if (process->freed)
        process->freed(process->freed_arg);
    tx_ws_free(process->ws);
    tx_stream_free(process->stream);
    tt_scope_release(process->own);
    tx_held_clear(&process->held);
    tt_buf_free(&process->reports.held);
    tt_buf_free(&process->status);
    tt_command_clear(&process->command);
    free(process->name_space);
    free(process->name);
    free(process->container);
    tx_kube_release(process->kube);
    tt_process_clear(&process->p);
    free(process);
}

/* --- signals --- */

struct killing {
    struct tt_op op;
    struct tt_chain chain;
    bool watching; /* for the group's end */
};

static struct killing *killing_of(struct tt_op *op)
{
    return (struct killing *)(void *)op;
}

static void killing_cancel(struct tt_op *op, const struct tt_error *why)
{
    if (killing_of(op)->chain.waiting)
        tt_chain_cancel(&killing_of(op)->chain, why);
    else
        tt_op_finish(op, tt_error_copy(why));
}

static void on_killed(struct tt_op *op, struct tt_op *once)
{
    bool done = !once->error && tx_pod_once_code(once) == 0;
    bool gone = once->error ? once->error->kind == TT_NOT_FOUND : !done;
    if (killing_of(op)->watching) {
        if (gone)
            tt_op_finish(op, NULL);
        else if (op->cancelled)
            tt_op_finish(op, once->error ? tt_error_copy(once->error)
                                         : tt_error_new(TT_CANCELLED, "nobody waits any more"));
        return; /* the group lives, and nothing would tell of its end: until cancelled */
    }
    if (once->error)
        tt_op_finish(op, tt_error_copy(once->error));
    else
        tt_op_finish(op,
                     done ? NULL : tt_error_new(TT_NOT_FOUND, "no process of the command is left"));
}

static struct tt_op *kill_group(struct tx_pod_process *process, struct tt_scope *scope, int number,
                                bool watching)
{
    static const struct tt_op_class signal_class = {"a signal", killing_cancel, tt_op_free};
    static const struct tt_op_class gone_class = {"the end of a process group", killing_cancel,
                                                  tt_op_free};
    struct killing *killing = tt_zalloc(sizeof *killing);
    killing->watching = watching;
    tt_op_init(&killing->op, watching ? &gone_class : &signal_class, scope);
    if (tt_op_finished(&killing->op))
        return &killing->op;
    if (!process->group) {
        tt_op_finish(&killing->op, tt_error_new(TT_UNSUPPORTED, "the image has no /bin/sh to send "
                                                                "a signal with"));
        return &killing->op;
    }
    struct tx_pod pod = {
        process->kube, process->name_space, process->name, process->container, NULL, NULL};
    char *line = tt_format("kill -%d -%lld", number, (long long)process->group);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    tt_then(&killing->chain, &killing->op, tx_pod_once(&pod, scope, argv), on_killed);
    free(line);
    return &killing->op;
}

static struct tt_op *process_signal(struct tt_process *p, struct tt_scope *scope, int number)
{
    if (number == SIGKILL || number == SIGTERM)
        of(p)->we_kill = of(p)->held.hurry = true;
    return kill_group(of(p), scope, number, false);
}

static struct tt_op *process_gone(struct tt_process *p, struct tt_scope *scope)
{
    return of(p)->group ? kill_group(of(p), scope, 0, true) : tt_process_gone_unseen(p, scope);
}

static const struct tt_process_class process_class = {
    .read = process_read,
    .write = process_write,
    .close_stdin = process_close_stdin,
    .wait = process_wait,
    .signal = process_signal,
    .gone = process_gone,
    .free = process_free,
};

static void run_discard(struct tt_job *job)
{
    process_free(&(tt_owner(job, struct tx_pod_process, discard))->p);
}

void tx_pod_process_discard(struct tx_pod_process *process)
{
    process->launched = NULL;
    process->discard.run = run_discard;
    tt_loop_post(process->loop, &process->discard);
}

int tx_pod_process_new(struct tx_pod_process **out, struct tt_env *env, const struct tx_pod *pod,
                       struct tx_stream *stream, struct tt_command *command, const char *nonce,
                       struct tt_error **err)
{
    struct tx_pod_process *process = tt_zalloc(sizeof *process);
    int rc = tx_ws_new(&process->ws, on_piece, process, err);
    if (rc < 0) {
        tx_stream_free(stream);
        free(process);
        return rc;
    }
    char *ref = tt_format("pod-exec:%s/%s", pod->name_space, pod->name);
    tt_process_init(&process->p, &process_class, env, ref, pod->where);
    free(ref);
    process->loop = tx_kube_loop(pod->kube);
    process->kube = pod->kube;
    tx_kube_retain(pod->kube);
    process->name_space = tt_strdup(pod->name_space);
    process->name = tt_strdup(pod->name);
    process->container = pod->container ? tt_strdup(pod->container) : NULL;
    process->own = tt_scope_new(process->loop, NULL);
    process->held.loop = process->loop;
    process->command = *command;
    *command = (struct tt_command){0};
    process->stream = stream;
    process->direct = !nonce;
    if (nonce)
        memcpy(process->reports.nonce, nonce, tx_nonce_size);
    else
        tx_held_open(&process->held);
    process->held.wanted = on_wanted;
    *out = process;
    return 0;
}

void tx_pod_process_go(struct tx_pod_process *process)
{
    /* A terminal would echo it before the shim has said otherwise; the shim of a pod of its own did
     * so before we were there. */
    if (!process->direct && (!process->command.pty || process->freed))
        send_header(process);
    pump(process);
}
