#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/number.h"
#include "core/base/owner.h"
#include "executors/docker/exec_internal.h"
#include "executors/docker/once.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { piece = 64 << 10, settle_ms = 1000, max_rejoins = 3 };

static void pump(struct tx_exec *exec);
static void inspect(struct tx_exec *exec);

static struct tx_exec *exec_of(struct tt_process *p)
{
    return (struct tx_exec *)(void *)p;
}

/* --- the end --- */

static void finish(struct tx_exec *exec, enum tt_kind kind, int code, char *message)
{
    if (exec->end.reached) {
        free(message);
        return;
    }
    exec->p.exit.kind = kind;
    exec->p.exit.code = kind == TT_OK ? code : -1;
    free(exec->p.exit.message); /* of one who gave up before */
    exec->p.exit.message = message;
    tt_timer_stop(exec->loop, &exec->settle);
    tx_docker_events_leave(exec->docker, &exec->watch);
    if (exec->stream)
        tx_stream_refuse(exec->stream);
    tx_end_reached(&exec->end);
}

static void lost(struct tx_exec *exec, const char *why)
{
    finish(exec, TT_LOST, -1,
           tt_format("%s: the command's end was not observed: %s", exec->p.where, why));
}

static void on_settled(struct tt_timer *timer)
{
    struct tx_exec *exec = tt_owner(timer, struct tx_exec, settle);
    finish(exec, TT_OK, exec->settle_code, NULL);
}

/* A command that ends by KILL while its container is being stopped or removed did not end by
 * itself. The container's own events may come before the command's or after it: they are given a
 * moment. */
static void ended_with(struct tx_exec *exec, int code, bool by_event)
{
    if (exec->end.reached || (exec->settle.slot && !by_event))
        return;
    bool suspect = code == 128 + SIGKILL && !exec->we_kill && exec->watch.joined;
    if (suspect) {
        exec->settle_code = code;
        tt_timer_start(exec->loop, &exec->settle,
                       tt_deadline_after(tt_loop_now(exec->loop), settle_ms), on_settled);
    } else if (code < 0 || code > 255) {
        lost(exec, "the daemon reported no exit code");
    } else {
        finish(exec, TT_OK, code, NULL);
    }
}

static void on_event(struct tx_docker_watch *watch, const char *action, const char *container,
                     const json_t *attributes)
{
    struct tx_exec *exec = tt_owner(watch, struct tx_exec, watch);
    if (strcmp(action, "exec_die") == 0) {
        const char *code = tx_json_text(attributes, "exitCode");
        if (strcmp(tx_json_text(attributes, "execID"), exec->id) == 0 && *code)
            ended_with(exec, tt_number(code), true);
        return;
    }
    bool ours = strncmp(container, exec->container, strlen(exec->container)) == 0 ||
                strcmp(tx_json_text(attributes, "name"), exec->container) == 0;
    if (!ours)
        return;
    if (strcmp(action, "kill") == 0) {
        int number = tt_number(tx_json_text(attributes, "signal"));
        if (number == SIGKILL || number == SIGTERM)
            exec->killed = true;
    } else if (strcmp(action, "die") == 0 || strcmp(action, "destroy") == 0) {
        if (exec->killed && !exec->we_kill)
            lost(exec, *action == 'd' && action[1] == 'i' ? "the container was stopped"
                                                          : "the container was removed");
    }
}

static void on_events_broken(struct tx_docker_watch *watch, const struct tt_error *why)
{
    struct tx_exec *exec = tt_owner(watch, struct tx_exec, watch);
    (void)why; /* what that means for the command, an inspection says */
    if (exec->settle.slot)
        finish(exec, TT_OK, exec->settle_code, NULL);
    else if (exec->held.over && !exec->end.reached)
        inspect(exec);
}

/* The launcher failed: what it printed is no output of the command. */
static void launch_failed(struct tx_exec *exec)
{
    struct tt_buf *said = &exec->held.bytes[TT_STDOUT];
    struct tt_error *err = tx_docker_launch_error(said->data ? said->data : "", said->length);
    said->length = 0;
    exec->held.bytes[TT_STDERR].length = 0;
    if (exec->launched) {
        void (*launched)(void *, struct tt_error *) = exec->launched;
        exec->launched = NULL;
        finish(exec, err->kind, -1, tt_strdup(err->message));
        launched(exec->launched_arg, err);
        return;
    }
    tx_held_open(&exec->held);
    finish(exec, err->kind, -1, tt_strdup(err->message));
    tt_error_free(err);
}

static void on_inspected(struct tt_op *op, void *arg)
{
    struct tx_exec *exec = arg;
    const json_t *state = op->error ? NULL : tx_api_json(op);
    bool runs = !json_is_false(json_object_get(state, "Running"));
    exec->inspect = NULL;
    if (op->error) {
        lost(exec, op->error->message);
    } else if (!exec->held.open && !json_integer_value(json_object_get(state, "Pid"))) {
        if (!runs || exec->held.over)
            launch_failed(exec);
    } else {
        tx_held_open(&exec->held);
        if (!runs && exec->held.over)
            ended_with(exec, (int)json_integer_value(json_object_get(state, "ExitCode")), false);
        else if (exec->held.over && !exec->watch.joined && !exec->end.reached) {
            if (++exec->rejoined > max_rejoins)
                lost(exec, "the daemon's events keep breaking");
            else
                tx_docker_events_join(exec->docker, &exec->watch, exec->since);
        }
    }
    tt_op_release(op);
    if (exec->launched && exec->end.reached) {
        void (*launched)(void *, struct tt_error *) = exec->launched;
        exec->launched = NULL;
        launched(exec->launched_arg, tt_error_new(exec->p.exit.kind, "%s", exec->p.exit.message));
        return;
    }
    pump(exec);
}

static void inspect(struct tx_exec *exec)
{
    if (exec->inspect)
        return;
    exec->inspect = tx_docker_exec_inspect(exec->docker, exec->own, exec->id);
    tt_op_await(exec->inspect, on_inspected, exec);
}

/* --- the streams --- */

static void report(struct tx_exec *exec, const struct tx_report *what)
{
    void (*launched)(void *, struct tt_error *) = exec->launched;
    if (what->what == 'P') {
        exec->group = what->group;
        tx_held_open(&exec->held);
        exec->launched = NULL;
        if (launched)
            launched(exec->launched_arg, NULL);
    } else if (what->what == 'C' && launched) {
        struct tt_buf *said = &exec->held.bytes[exec->pty ? TT_STDOUT : TT_STDERR];
        exec->launched = NULL;
        launched(exec->launched_arg,
                 tt_error_new(TT_CWD, "%s", said->data ? said->data : "no such directory"));
    }
}

/* Before the shim has reported, its reports are looked for; afterwards nothing is. */
static void keep(struct tx_exec *exec, enum tt_stream stream, const char *bytes, size_t length)
{
    struct tt_buf out = {0};
    struct tx_report what;
    bool reports_here = stream == (exec->pty ? TT_STDOUT : TT_STDERR);
    if (exec->held.open || exec->direct || !reports_here) {
        tx_held_add(&exec->held, stream, bytes, length);
        return;
    }
    while (!exec->held.open && tx_reports_next(&exec->reports, bytes, length, &out, &what)) {
        bytes = NULL;
        length = 0;
        tx_held_add(&exec->held, stream, out.data, out.length);
        out.length = 0;
        report(exec, &what);
    }
    if (exec->held.open)
        tx_reports_end(&exec->reports, &out);
    tx_held_add(&exec->held, stream, out.data, out.length);
    tt_buf_free(&out);
}

static int take(struct tx_exec *exec, const struct tt_bytes *bytes, struct tt_error **err)
{
    if (exec->pty) {
        keep(exec, TT_STDOUT, bytes->data, bytes->length);
        return 0;
    }
    for (size_t at = 0; at < bytes->length;) {
        struct tx_docker_piece got;
        long used =
            tx_docker_frames_next(&exec->frames, bytes->data + at, bytes->length - at, &got, err);
        if (used < 0)
            return (int)used;
        at += (size_t)used;
        if (got.length)
            keep(exec, got.stream == 2 ? TT_STDERR : TT_STDOUT, got.bytes, got.length);
    }
    return 0;
}

static void over(struct tx_exec *exec, struct tt_error *err)
{
    tx_held_end(&exec->held, err);
    if (!exec->held.open || !exec->end.reached)
        inspect(exec);
}

static bool is_launcher_text(const struct tt_buf *held)
{
    static const char *const starts[] = {"OCI runtime ", "unable to ", "cannot exec", "runc "};
    for (size_t i = 0; held->length && i < sizeof starts / sizeof *starts; i++)
        if (strncmp(held->data, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static void on_bytes(struct tt_op *op, void *arg)
{
    struct tx_exec *exec = arg;
    struct tt_error *err = tt_error_copy(op->error);
    exec->pump = NULL;
    if (!err)
        take(exec, tt_bytes_of(op), &err);
    bool end = !err && !tt_bytes_of(op)->length;
    if (end && !exec->pty && !tx_docker_frames_whole(&exec->frames))
        err = tt_error_new(TT_LOST, "the daemon's stream ended inside a frame");
    tt_op_release(op);
    if (err || end) {
        over(exec, err);
    } else if (exec->direct && !exec->held.open) {
        if (is_launcher_text(&exec->held.bytes[TT_STDOUT]))
            inspect(exec);
        else
            tx_held_open(&exec->held);
    }
    pump(exec);
}

static void pump(struct tx_exec *exec)
{
    if (exec->pump || exec->held.over || !exec->stream || !tx_held_room(&exec->held))
        return;
    exec->pump = tx_stream_read(exec->stream, exec->own, piece);
    tt_op_await(exec->pump, on_bytes, exec);
}

static void on_wanted(struct tx_held *held)
{
    pump(tt_owner(held, struct tx_exec, held));
}

/* --- the process --- */

static struct tt_op *exec_read(struct tt_process *p, struct tt_scope *scope, enum tt_stream stream,
                               size_t max)
{
    return tx_held_read(&exec_of(p)->held, scope, stream, max);
}

static struct tt_op *exec_write(struct tt_process *p, struct tt_scope *scope, const void *data,
                                size_t length)
{
    return tx_stream_write(exec_of(p)->stream, scope, data, length);
}

static struct tt_op *exec_close_stdin(struct tt_process *p, struct tt_scope *scope)
{
    struct tt_error *err = NULL;
    if (!exec_of(p)->end.reached)
        tx_stream_shutdown(exec_of(p)->stream, &err);
    return tt_op_finished_new(scope, err);
}

static struct tt_op *exec_wait(struct tt_process *p, struct tt_scope *scope)
{
    return tx_end_wait(&exec_of(p)->end, scope);
}

static void exec_free(struct tt_process *p)
{
    struct tx_exec *exec = exec_of(p);
    tt_op_drop_because(&exec->pump, "the command was let go");
    tt_op_drop_because(&exec->inspect, "the command was let go");
    tt_timer_stop(exec->loop, &exec->settle);
    tx_docker_events_leave(exec->docker, &exec->watch);
    tx_stream_free(exec->stream);
    tt_scope_release(exec->own);
    tx_docker_release(exec->docker);
    tx_held_clear(&exec->held);
    tt_buf_free(&exec->reports.held);
    free(exec->container);
    free(exec->id);
    tt_process_clear(&exec->p);
    free(exec);
}

static struct tt_op *exec_signal(struct tt_process *p, struct tt_scope *scope, int number)
{
    struct tx_exec *exec = exec_of(p);
    if (number == SIGKILL || number == SIGTERM)
        exec->we_kill = exec->held.hurry = true;
    return tx_exec_kill(exec, scope, number);
}

static struct tt_op *exec_gone(struct tt_process *p, struct tt_scope *scope)
{
    return exec_of(p)->group ? tx_exec_gone(exec_of(p), scope) : tt_process_gone_unseen(p, scope);
}

static void run_discard(struct tt_job *job)
{
    exec_free(&(tt_owner(job, struct tx_exec, discard))->p);
}

void tx_exec_discard(struct tx_exec *exec)
{
    exec->launched = NULL;
    exec->discard.run = run_discard;
    tt_loop_post(exec->loop, &exec->discard);
}

static const struct tt_process_class process_class = {
    .read = exec_read,
    .write = exec_write,
    .close_stdin = exec_close_stdin,
    .wait = exec_wait,
    .signal = exec_signal,
    .gone = exec_gone,
    .free = exec_free,
};

struct tx_exec *tx_exec_new(struct tt_env *env, struct tx_docker *docker, const char *container,
                            const char *id, struct tx_stream *stream,
                            const struct tt_command *command, const char *nonce, int64_t since)
{
    struct tx_exec *exec = tt_zalloc(sizeof *exec);
    char *ref = tt_format("docker-exec:%s", id);
    tt_process_init(&exec->p, &process_class, env, ref, env->text);
    free(ref);
    exec->loop = tx_http_loop(tx_docker_http(docker));
    exec->docker = docker;
    tx_docker_retain(docker);
    exec->own = tt_scope_new(exec->loop, NULL);
    exec->held.loop = exec->loop;
    exec->container = tt_strdup(container);
    exec->id = tt_strdup(id);
    exec->pty = command->pty;
    exec->direct = !nonce;
    if (nonce)
        memcpy(exec->reports.nonce, nonce, tx_nonce_size);
    exec->stream = stream;
    exec->since = since;
    exec->held.wanted = on_wanted;
    exec->watch.event = on_event;
    exec->watch.broken = on_events_broken;
    return exec;
}

void tx_exec_go(struct tx_exec *exec)
{
    tx_docker_events_join(exec->docker, &exec->watch, exec->since);
    pump(exec);
}
