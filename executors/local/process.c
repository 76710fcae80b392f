/* Descriptors are watched edge-triggered: `ready` in a stream says that a read or write may find
 * something, and is cleared by EAGAIN. A process that is given up before its end is abandoned to
 * the watcher, to be reaped when it ends after all. */
#include "executors/local/process.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/local/group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct local_process;

struct stream {
    struct tx_watch watch;
    struct local_process *process;
    struct stream_op *pending;
    bool ready;
};

struct local_process {
    struct tt_process base;
    struct tx_watcher *watcher;
    pid_t pid;
    struct tx_watch life; /* the pidfd */
    struct tx_slot *slot; /* NULL once nothing of it needs the guardian */
    struct stream in, out, err;
    struct tt_op *waiting; /* the wait that runs */
    int64_t our_peak;      /* our own memory's peak when it started, bytes */
    bool terminal, attached;
    bool within_line; /* what was written last did not end a line */
    bool ended;
    bool told_to_end; /* TERM or KILL was sent: its group is not left alone */
    bool killed;
    bool abandoned; /* freed before its end */
};

struct stream_op {
    struct tt_bytes_op base; /* for a write: what is left to be written */
    struct stream *stream;
    size_t max, at;
};

static struct local_process *of(struct tt_process *p)
{
    return (struct local_process *)(void *)p;
}

static struct local_process *living(struct tx_watch *life)
{
    return tt_owner(life, struct local_process, life);
}

static void close_stream(struct stream *s)
{
    tx_watch_close(s->process->watcher, &s->watch);
}

/* --- streams --- */

static void pend(struct stream_op *op)
{
    op->stream->pending = op;
    tx_watcher_hold(op->stream->process->watcher);
}

static void unpend(struct stream_op *op)
{
    if (op->stream->pending != op)
        return;
    op->stream->pending = NULL;
    tx_watcher_unhold(op->stream->process->watcher);
}

static void finish_stream_op(struct stream_op *op, struct tt_error *err)
{
    unpend(op);
    tt_op_finish(&op->base.op, err);
}

static void stream_op_cancel(struct tt_op *base, const struct tt_error *why)
{
    finish_stream_op((struct stream_op *)(void *)base, tt_error_copy(why));
}

static struct tt_error *system_error(int errnum, const char *what)
{
    struct tt_error *err = NULL;
    tt_error_set(&err, TT_IO, errnum, __FILE__, __LINE__, "%s", what);
    return err;
}

static struct stream_op *stream_op_new(struct stream *stream, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"stream", stream_op_cancel, tt_bytes_op_free};
    struct stream_op *op = tt_zalloc(sizeof *op);
    op->stream = stream;
    tt_op_init(&op->base.op, &class_, scope);
    return op;
}

/* True when the operation is over. */
static bool try_read(struct stream_op *op)
{
    struct stream *s = op->stream;
    char *scratch = tx_watcher_scratch(s->process->watcher);
    size_t max = op->max < tx_scratch_size ? op->max : tx_scratch_size;
    ssize_t got;
    bool fault = TT_FAULT("local_process.read");
    do
        got = fault ? -1 : read(s->watch.fd, scratch, max);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
        s->ready = false;
        return false;
    }
    struct tt_error *err = NULL;
    /* A terminal whose last user is gone says EIO. */
    bool hung_up = got < 0 && errno == EIO && s->process->terminal && !fault;
    if (got < 0 && !hung_up) {
        err = system_error(errno, "the command's output cannot be read");
    } else if (got <= 0) {
        close_stream(s);
    } else {
        op->base.bytes.data = memcpy(tt_alloc((size_t)got), scratch, (size_t)got);
        op->base.bytes.length = (size_t)got;
    }
    finish_stream_op(op, err);
    return true;
}

static void on_output_ready(struct tx_watch *watch, uint32_t events)
{
    struct stream *s = (struct stream *)(void *)watch;
    (void)events;
    s->ready = true;
    if (s->pending)
        try_read(s->pending);
}

static struct tt_op *process_read(struct tt_process *p, struct tt_scope *scope,
                                  enum tt_stream stream, size_t max)
{
    struct local_process *process = of(p);
    struct stream *s = stream == TT_STDOUT ? &process->out : &process->err;
    struct stream_op *op = stream_op_new(s, scope);
    op->max = max;
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    if (process->attached)
        tt_op_finish(&op->base.op,
                     tt_error_new(TT_LOST, "what the command wrote went to who started it"));
    else if (s->watch.fd < 0)
        tt_op_finish(&op->base.op, NULL);
    else if (!s->ready || !try_read(op))
        pend(op);
    return &op->base.op;
}

/* Writes what it can: the bytes written, or -1 with errno (EAGAIN: no room). */
static ssize_t write_some(struct stream *s, const char *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t wrote =
            TT_FAULT("local_process.write") ? -1 : write(s->watch.fd, data + done, length - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno == EAGAIN)
            s->ready = false;
        if (wrote < 0 && errno != EINTR)
            return done && errno == EAGAIN ? (ssize_t)done : -1;
    }
    return (ssize_t)done;
}

static void write_on(struct stream_op *op)
{
    struct tt_bytes *left = &op->base.bytes;
    ssize_t wrote = write_some(op->stream, left->data + op->at, left->length - op->at);
    if (wrote > 0)
        op->at += (size_t)wrote;
    if (wrote < 0 && errno != EAGAIN)
        finish_stream_op(op, system_error(errno, "the command's stdin cannot be written"));
    else if (op->at == left->length)
        finish_stream_op(op, NULL);
}

static void on_input_ready(struct tx_watch *watch, uint32_t events)
{
    struct stream *s = (struct stream *)(void *)watch;
    (void)events;
    s->ready = true;
    if (s->pending)
        write_on(s->pending);
}

static struct tt_op *process_write(struct tt_process *p, struct tt_scope *scope, const void *data,
                                   size_t length)
{
    struct stream *s = &of(p)->in;
    struct stream_op *op = stream_op_new(s, scope);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    if (s->watch.fd < 0) {
        tt_op_finish(&op->base.op, system_error(EPIPE, "the command's stdin is closed"));
        return &op->base.op;
    }
    if (length)
        of(p)->within_line = ((const char *)data)[length - 1] != '\n';
    ssize_t wrote = write_some(s, data, length);
    if (wrote < 0 && errno != EAGAIN) {
        tt_op_finish(&op->base.op, system_error(errno, "the command's stdin cannot be written"));
        return &op->base.op;
    }
    size_t left = length - (wrote > 0 ? (size_t)wrote : 0);
    if (left == 0) {
        tt_op_finish(&op->base.op, NULL);
        return &op->base.op;
    }
    op->base.bytes.data = memcpy(tt_alloc(left), (const char *)data + length - left, left);
    op->base.bytes.length = left;
    pend(op);
    return &op->base.op;
}

/* A terminal has no half-close: its end-of-file character, as from a keyboard. Within a line the
 * first one only hands the line over. */
static struct tt_op *process_close_stdin(struct tt_process *p, struct tt_scope *scope)
{
    struct local_process *process = of(p);
    if (process->terminal && process->in.watch.fd >= 0)
        return process_write(p, scope, "\004\004", process->within_line ? 2 : 1);
    close_stream(&process->in);
    return tt_op_finished_new(scope, NULL);
}

/* --- the end --- */

static void observe(struct local_process *process, int status, const struct rusage *usage)
{
    struct tt_exit *end = &process->base.exit;
    if (WIFSIGNALED(status))
        end->signal = WTERMSIG(status);
    end->code = WIFSIGNALED(status) ? 128 + end->signal : WEXITSTATUS(status);
    end->usage.cpu_user_s =
        (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1000000;
    end->usage.cpu_system_s =
        (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1000000;
    end->usage.io_read_bytes = usage->ru_inblock * 512;
    end->usage.io_write_bytes = usage->ru_oublock * 512;
    /* The kernel counts the memory that the child shared with us before its exec: a peak that is
     * not above ours says nothing about the command. */
    int64_t peak = (int64_t)usage->ru_maxrss * 1024;
    end->usage.max_rss_bytes = peak > process->our_peak ? peak : -1;
}

static void lose(struct local_process *process, const char *why)
{
    process->base.exit.kind = TT_LOST;
    process->base.exit.message = tt_strdup(why);
}

static void release_slot(struct local_process *process)
{
    if (process->slot)
        tx_guardian_release(process->slot);
    process->slot = NULL;
}

static void free_process(struct local_process *process)
{
    release_slot(process);
    tt_process_clear(&process->base);
    free(process);
}

static void on_end(struct tx_watch *watch, uint32_t events)
{
    struct local_process *process = living(watch);
    struct rusage usage;
    int status;
    (void)events;
    if (process->ended)
        return;
    process->ended = true;
    tx_watch_close(process->watcher, &process->life);
    /* The guardian's view changes before the number can be given to others. */
    if (!process->told_to_end || process->killed)
        release_slot(process);
    else if (process->slot)
        __atomic_store_n(&process->slot->group, -process->pid, __ATOMIC_RELEASE);
    if (process->attached)
        lose(process, "the command ended; how was not ours to see");
    else if (wait4(process->pid, &status, 0, &usage) == process->pid &&
             !TT_FAULT("local_process.wait"))
        observe(process, status, &usage);
    else
        lose(process, "the command's exit status was taken by somebody else");
    if (process->waiting) {
        struct tt_op *op = process->waiting;
        process->waiting = NULL;
        tx_watcher_unhold(process->watcher);
        tt_op_finish(op, NULL);
    }
    if (process->abandoned) {
        tx_watch_reclaim(process->watcher, &process->life);
        free_process(process);
    }
}

struct wait_op {
    struct tt_op op;
    struct local_process *process;
};

static void wait_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct local_process *process = ((struct wait_op *)(void *)op)->process;
    process->waiting = NULL;
    tx_watcher_unhold(process->watcher);
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *process_wait(struct tt_process *p, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"the end of a process", wait_cancel, tt_op_free};
    struct local_process *process = of(p);
    struct wait_op *made = tt_zalloc(sizeof *made);
    made->process = process;
    tt_op_init(&made->op, &class_, scope);
    if (tt_op_finished(&made->op))
        return &made->op;
    if (process->ended) {
        tt_op_finish(&made->op, NULL);
    } else {
        process->waiting = &made->op;
        tx_watcher_hold(process->watcher);
    }
    return &made->op;
}

/* --- the group --- */

static struct tt_op *process_signal(struct tt_process *p, struct tt_scope *scope, int signal)
{
    struct local_process *process = of(p);
    if (signal == SIGTERM || signal == SIGKILL)
        process->told_to_end = true;
    int rc = TT_FAULT("local_process.signal") ? -1
             : process->ended                 ? tx_signal_orphaned_group(process->pid, signal)
                                              : kill(-process->pid, signal);
    int errnum = errno;
    if (signal == SIGKILL) {
        process->killed = true;
        if (process->ended)
            release_slot(process);
    }
    if (rc == 0)
        return tt_op_finished_new(scope, NULL);
    struct tt_error *err = NULL;
    enum tt_kind kind = errnum == ESRCH ? TT_NOT_FOUND : tt_kind_of_errno(errnum);
    tt_error_set(&err, kind, errnum, __FILE__, __LINE__, "cannot signal the command's group %d",
                 (int)process->pid);
    return tt_op_finished_new(scope, err);
}

static struct tt_op *process_gone(struct tt_process *p, struct tt_scope *scope)
{
    return tx_group_gone(of(p)->pid, of(p)->watcher, scope);
}

/* --- its life as an object --- */

/* Its slot stays taken: it may still run, and the guardian shall end it when we end. */
static void drop_abandoned(struct tx_watch *life)
{
    free(living(life));
}

static void process_free(struct tt_process *p)
{
    struct local_process *process = of(p);
    close_stream(&process->in);
    close_stream(&process->out);
    close_stream(&process->err);
    if (process->attached)
        tx_watch_close(process->watcher, &process->life);
    if (process->attached || process->ended) {
        free_process(process);
        return;
    }
    process->abandoned = true;
    tt_process_clear(&process->base);
    tx_watch_abandon(process->watcher, &process->life, drop_abandoned);
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

static struct local_process *process_new(struct tt_env *env, struct tx_watcher *watcher, pid_t pid,
                                         const char *ref)
{
    struct local_process *process = tt_zalloc(sizeof *process);
    tt_process_init(&process->base, &process_class, env, ref, env->text);
    process->watcher = watcher;
    process->pid = pid;
    tx_watch_init(&process->life, on_end);
    tx_watch_init(&process->in.watch, on_input_ready);
    tx_watch_init(&process->out.watch, on_output_ready);
    tx_watch_init(&process->err.watch, on_output_ready);
    process->in.process = process->out.process = process->err.process = process;
    return process;
}

/* Takes fd, or closes it after an earlier failure. */
static int add(struct local_process *process, struct tx_watch *watch, int fd, uint32_t events,
               int rc, struct tt_error **err)
{
    if (fd < 0)
        return rc;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return tx_watch_add(process->watcher, watch, fd, events, err);
}

int tx_process_new(struct tt_process **out, struct tt_env *env, struct tx_watcher *watcher,
                   const struct tx_spawned *spawned, const struct tx_stdio *stdio,
                   struct tt_error **err)
{
    char *ref = tt_format("local:%d:%lld", (int)spawned->pid, (long long)spawned->born_ms);
    struct local_process *process = process_new(env, watcher, spawned->pid, ref);
    struct rusage ours;
    free(ref);
    getrusage(RUSAGE_SELF, &ours);
    process->our_peak = (int64_t)ours.ru_maxrss * 1024;
    process->slot = spawned->slot;
    process->terminal = stdio->terminal;
    process->in.ready = stdio->in >= 0;
    int rc = add(process, &process->life, spawned->pidfd, EPOLLIN, 0, err);
    rc = add(process, &process->in.watch, stdio->in, EPOLLOUT, rc, err);
    rc = add(process, &process->out.watch, stdio->out, EPOLLIN, rc, err);
    rc = add(process, &process->err.watch, stdio->err, EPOLLIN, rc, err);
    if (rc == 0) {
        *out = &process->base;
        return 0;
    }
    kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    tx_watch_close(watcher, &process->life);
    process->ended = true;
    process_free(&process->base);
    return rc;
}

int tx_process_attach(struct tt_process **out, struct tt_env *env, struct tx_watcher *watcher,
                      pid_t pid, int pidfd, const char *ref, struct tt_error **err)
{
    struct local_process *process = process_new(env, watcher, pid, ref);
    process->attached = true;
    int rc = tx_watch_add(watcher, &process->life, pidfd, EPOLLIN, err);
    if (rc == 0) {
        *out = &process->base;
        return 0;
    }
    process->ended = true;
    process_free(&process->base);
    return rc;
}
