#include "executors/local/local.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/local/files.h"
#include "executors/local/orphans.h"
#include "executors/local/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct local_env {
    struct tt_env base;
    struct tt_loop *loop;
    struct tx_watcher *watcher;
    struct tx_orphans *orphans; /* NULL unless this is process 1 */
    int null;                   /* /dev/null, every command's stdin that has none */
};

/* A command that is being started; waits only when a user must be looked up. */
struct start_op {
    struct tt_process_op base;
    struct local_env *env;
    struct tt_command command;
    struct lookup *lookup; /* owned by the work operation */
    struct tt_op *work;
};

struct lookup {
    char *name;
    struct tx_user user;
};

/* --- descriptors --- */

struct ends {
    int child[3]; /* 0-2 of the command */
    struct tx_stdio ours;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Descriptors that are the same one stand side by side. */
static void close_ends(struct ends *ends, int null)
{
    for (int i = 2; i >= 0; i--)
        if (ends->child[i] != null && (i == 0 || ends->child[i] != ends->child[i - 1]))
            close_fd(&ends->child[i]);
}

static void close_ours(struct tx_stdio *ours)
{
    close_fd(&ours->in);
    close_fd(&ours->out);
    close_fd(&ours->err);
}

/* Only our end is non-blocking: the flag belongs to each end of a pipe on its own. */
static int make_pipe(int *reads, int *writes, bool we_read, struct tt_error **err)
{
    int fds[2];
    if (TT_FAULT("local.pipe") || pipe2(fds, O_CLOEXEC) < 0)
        return tt_fail_errno(err, errno, "no pipe for the command");
    *reads = fds[0];
    *writes = fds[1];
    if (TT_FAULT("local.nonblock") || fcntl(we_read ? fds[0] : fds[1], F_SETFL, O_NONBLOCK) < 0)
        return tt_fail_errno(err, errno, "a pipe stays blocking");
    return 0;
}

/* As large as the terminal that tutti itself is shown on, if there is one. */
static void size_terminal(int terminal)
{
    struct winsize size;
    for (int fd = 0; fd <= 2; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
            ioctl(terminal, TIOCSWINSZ, &size);
            return;
        }
    size = (struct winsize){.ws_row = 24, .ws_col = 80};
    ioctl(terminal, TIOCSWINSZ, &size);
}

static int make_terminal(struct ends *ends, bool with_stdin, struct tt_error **err)
{
    int unlock = 0, flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    ends->ours.terminal = true;
    ends->ours.out = TT_FAULT("local.ptmx") ? -1 : open("/dev/ptmx", flags | O_NONBLOCK);
    if (ends->ours.out < 0)
        return tt_fail_errno(err, errno, "no terminal for the command");
    if (TT_FAULT("local.terminal") || ioctl(ends->ours.out, TIOCSPTLCK, &unlock) < 0 ||
        (ends->child[1] = ioctl(ends->ours.out, TIOCGPTPEER, flags)) < 0)
        return tt_fail_errno(err, errno, "no terminal for the command");
    ends->child[2] = ends->child[1];
    size_terminal(ends->ours.out);
    if (!with_stdin)
        return 0;
    ends->child[0] = ends->child[1];
    ends->ours.in = TT_FAULT("local.dup") ? -1 : fcntl(ends->ours.out, F_DUPFD_CLOEXEC, 3);
    return ends->ours.in < 0 ? tt_fail_errno(err, errno, "no second end of the terminal") : 0;
}

static int make_ends(struct ends *ends, const struct tt_command *command, int null,
                     struct tt_error **err)
{
    *ends = (struct ends){{null, -1, -1}, {-1, -1, -1, false}};
    if (command->pty)
        return make_terminal(ends, command->stdin_open, err);
    if (make_pipe(&ends->ours.out, &ends->child[1], true, err) < 0 ||
        make_pipe(&ends->ours.err, &ends->child[2], true, err) < 0)
        return -TT_IO;
    return command->stdin_open ? make_pipe(&ends->child[0], &ends->ours.in, false, err) : 0;
}

/* --- start --- */

static int run(struct start_op *op, const struct tt_command *command, const struct tx_user *user,
               struct tt_error **err)
{
    struct local_env *env = op->env;
    struct ends ends;
    struct tx_spawned spawned;
    int rc = make_ends(&ends, command, env->null, err);
    if (rc == 0)
        rc = tx_spawn(&spawned, command, user, ends.child, ends.ours.terminal, err);
    close_ends(&ends, env->null);
    if (rc < 0)
        close_ours(&ends.ours);
    else
        rc = tx_process_new(&op->base.process, &env->base, env->watcher, &spawned, &ends.ours, err);
    return rc;
}

static int find_user(void *arg, struct tt_error **err)
{
    struct lookup *lookup = arg;
    return tx_user_find(&lookup->user, lookup->name, err);
}

static void drop_lookup(void *arg)
{
    struct lookup *lookup = arg;
    tx_user_clear(&lookup->user);
    free(lookup->name);
    free(lookup);
}

static void on_user(struct tt_op *work, void *arg)
{
    struct start_op *op = arg;
    struct tt_error *err = tt_error_copy(work->error);
    const struct tx_user *user = &op->lookup->user;
    op->work = NULL;
    if (!err && geteuid() == 0)
        run(op, &op->command, user, &err);
    else if (!err && user->uid == geteuid())
        run(op, &op->command, NULL, &err);
    else if (!err)
        tt_fail(&err, TT_PERMISSION, "only root can run commands as another user (\"%s\")",
                op->command.user);
    tt_op_finish(&op->base.op, err);
    tt_op_release(work);
}

static void start_cancel(struct tt_op *base, const struct tt_error *why)
{
    struct start_op *op = (struct start_op *)(void *)base;
    tt_op_cancel(op->work, why);
}

static void start_free(struct tt_op *base)
{
    struct start_op *op = (struct start_op *)(void *)base;
    tt_command_clear(&op->command);
    tt_process_op_free(base);
}

static struct tt_op *local_start(struct tt_env *base, struct tt_scope *scope,
                                 const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"starting a process", start_cancel, start_free};
    struct start_op *op = tt_zalloc(sizeof *op);
    op->env = (struct local_env *)(void *)base;
    tt_op_init(&op->base.op, &class_, scope);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    struct tt_error *err = NULL;
    if (command->user && strchr(command->user, ':')) {
        tt_fail(&err, TT_UNSUPPORTED, "user = \"%s\": a group cannot be chosen here",
                command->user);
    } else if (command->user) {
        tt_command_copy(&op->command, command);
        op->lookup = tt_zalloc(sizeof *op->lookup);
        op->lookup->name = tt_strdup(command->user);
        op->work = tt_work(scope, "user", find_user, op->lookup, drop_lookup);
        tt_op_await(op->work, on_user, op);
        return &op->base.op;
    } else {
        run(op, command, NULL, &err);
    }
    tt_op_finish(&op->base.op, err);
    return &op->base.op;
}

/* --- attach --- */

enum { birth_tolerance_ms = 1000 };

static int find(struct tt_process **out, struct local_env *env, const char *ref,
                struct tt_error **err)
{
    char *end;
    long long born = -1;
    long pid = strncmp(ref, "local:", 6) == 0 ? strtol(ref + 6, &end, 10) : 0;
    if (pid > 0 && *end == ':')
        born = strtoll(end + 1, &end, 10);
    if (born < 0 || *end)
        return tt_fail(err, TT_INVALID, "\"%s\" refers to no command here", ref);
    int pidfd = TT_FAULT("local.pidfd") ? -1 : (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd < 0 && errno != ESRCH && errno != EINVAL)
        return tt_fail_errno(err, errno, "cannot look for %s", ref);
    int64_t found = pidfd < 0 ? -1 : tx_born_ms((pid_t)pid);
    /* The kernel rounds the birth down to 10 ms; ours was taken just before it. */
    if (found < 0 || found + 10 < born || found > born + birth_tolerance_ms) {
        close_fd(&pidfd);
        return tt_fail(err, TT_NOT_FOUND, "%s has ended", ref);
    }
    return tx_process_attach(out, &env->base, env->watcher, (pid_t)pid, pidfd, ref, err);
}

static struct tt_op *local_attach(struct tt_env *base, struct tt_scope *scope, const char *ref)
{
    static const struct tt_op_class class_ = {"attaching", tt_op_cancel_now, tt_process_op_free};
    struct tt_process_op *op = tt_zalloc(sizeof *op);
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    struct tt_error *err = NULL;
    find(&op->process, (struct local_env *)(void *)base, ref, &err);
    tt_op_finish(&op->op, err);
    return &op->op;
}

/* --- the environment --- */

/* The environment that texts of one loop share; not held: NULL once nobody uses it. */
static struct tt_env **shared(struct tt_loop *loop)
{
    static const struct tt_slot slot = {.size = sizeof(struct tt_env *)};
    return tt_loop_slot(loop, &slot);
}

static void local_free(struct tt_env *base)
{
    struct local_env *env = (struct local_env *)(void *)base;
    if (*shared(env->loop) == base)
        *shared(env->loop) = NULL;
    tx_orphans_free(env->orphans);
    tx_watcher_free(env->watcher);
    close(env->null);
    free(env);
}

static const struct tt_env_class local_class = {
    .kind = "local",
    .paths_are_here = true,
    .parts = tt_env_no_parts,
    .start = local_start,
    .attach = local_attach,
    .files = &tx_local_files,
    .resolve = tt_env_resolve_self,
    .close = tt_env_close_nothing,
    .free = local_free,
};

static int prepare(struct tt_error **err)
{
    for (int fd = 0; fd <= 2; fd++)
        if (TT_FAULT("local.stdio") || (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd))
            return tt_fail_errno(err, errno, "descriptor %d cannot be opened", fd);
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    if (action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    sigaction(SIGCHLD, NULL, &action);
    if (action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
    return 0;
}

struct tt_env *tx_local_new(struct tt_loop *loop, struct tt_error **err)
{
    if (prepare(err) < 0)
        return NULL;
    struct local_env *env = tt_zalloc(sizeof *env);
    env->loop = loop;
    env->null = TT_FAULT("local.null") ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (env->null < 0 || tx_watcher_new(&env->watcher, loop, err) < 0) {
        if (env->null < 0)
            tt_fail_errno(err, errno, "/dev/null cannot be opened");
        close_fd(&env->null);
        free(env);
        return NULL;
    }
    env->orphans = tx_orphans_watch(loop);
    tt_env_init(&env->base, &local_class, "local:", "local:");
    return &env->base;
}

int tx_local_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                       struct tt_error **err)
{
    struct tt_env **here = shared(loop);
    (void)text;
    if (*here)
        tt_env_retain(*here);
    else
        *here = tx_local_new(loop, err);
    *env = *here;
    return *here ? 0 : -TT_IO;
}
