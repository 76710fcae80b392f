#include "executors/local/spawn.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { stack_size = 64 << 10, signals = 64, sigset_bytes = 8 };

enum step { STEP_NONE, STEP_SETUP, STEP_USER, STEP_CWD, STEP_EXEC };

/* All that the child uses; it allocates nothing. */
struct plan {
    char **argv;
    char **shell_argv; /* the same with /bin/sh in front, for a script without `#!` */
    char **envp;
    char **paths; /* where the program may be, in order, NULL-terminated */
    const char *cwd;
    const struct tx_user *user;
    const int *stdio;
    bool terminal;
    struct tx_slot *slot;
    char *shell_words[5];
    bool own_envp;
};

/* --- the child: our memory, its own descriptors; system calls only, no libc state --- */

#define CHILD __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

CHILD static void child_fails(const struct plan *plan, enum step step)
{
    plan->slot->errnum = errno;
    plan->slot->step = (int32_t)step;
    syscall(SYS_exit_group, 127);
}

CHILD static void child_reset_signals(void)
{
    /* The kernel's struct sigaction, all zero: SIG_DFL. libc's own function keeps books. */
    long zero[8];
    for (unsigned i = 0; i < sizeof zero / sizeof *zero; i++)
        zero[i] = 0;
    for (int number = 1; number <= signals; number++)
        syscall(SYS_rt_sigaction, number, zero, NULL, sigset_bytes);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, NULL, sigset_bytes);
}

/* libc's setuid and its like would change the parent's threads. */
CHILD static void child_become(const struct plan *plan)
{
    const struct tx_user *user = plan->user;
    if (syscall(SYS_setgroups, user->group_count, user->groups) < 0 ||
        syscall(SYS_setgid, user->gid) < 0 || syscall(SYS_setuid, user->uid) < 0)
        child_fails(plan, STEP_USER);
}

CHILD static void child_exec(const struct plan *plan)
{
    int worst = ENOENT;
    for (char **path = plan->paths; *path; path++) {
        syscall(SYS_execve, *path, plan->argv, plan->envp);
        if (errno == ENOEXEC) {
            plan->shell_argv[1] = *path;
            syscall(SYS_execve, "/bin/sh", plan->shell_argv, plan->envp);
        }
        if (errno == EACCES)
            worst = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR) {
            worst = errno;
            break;
        }
    }
    errno = worst;
    child_fails(plan, STEP_EXEC);
}

CHILD static int child(void *arg)
{
    const struct plan *plan = arg;
    long group = plan->terminal ? syscall(SYS_setsid) : syscall(SYS_setpgid, 0, 0);
    __atomic_store_n(&plan->slot->group, (int32_t)syscall(SYS_getpid), __ATOMIC_RELEASE);
    if (group < 0)
        child_fails(plan, STEP_SETUP);
    child_reset_signals();
    if (plan->terminal && syscall(SYS_ioctl, plan->stdio[1], TIOCSCTTY, 0) < 0)
        child_fails(plan, STEP_SETUP);
    for (int fd = 0; fd <= 2; fd++)
        if (syscall(SYS_dup3, plan->stdio[fd], fd, 0) < 0)
            child_fails(plan, STEP_SETUP);
    if (plan->user)
        child_become(plan);
    if (plan->cwd && syscall(SYS_chdir, plan->cwd) < 0)
        child_fails(plan, STEP_CWD);
    child_exec(plan);
    return 127;
}

/* --- the plan --- */

static const char *variable(char *const *envp, const char *name)
{
    size_t length = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
            return *envp + length + 1;
    return NULL;
}

static void set(char **envp, size_t *count, const char *name, const char *value)
{
    size_t length = strlen(name), i = 0;
    while (i < *count && !(strncmp(envp[i], name, length) == 0 && envp[i][length] == '='))
        i++;
    if (i == *count)
        envp[(*count)++] = NULL;
    free(envp[i]);
    envp[i] = tt_format("%s=%s", name, value);
}

/* Ours, then the user's identity, then the command's own. */
static void plan_environment(struct plan *plan, const struct tt_command *command)
{
    plan->envp = environ;
    plan->own_envp = plan->user || command->var_count;
    if (!plan->own_envp)
        return;
    size_t count = 0, ours = 0;
    while (environ[ours])
        ours++;
    plan->envp = tt_reallocarray(NULL, ours + command->var_count + 5, sizeof *plan->envp);
    for (; count < ours; count++)
        plan->envp[count] = tt_strdup(environ[count]);
    if (plan->user) {
        set(plan->envp, &count, "HOME", plan->user->home);
        set(plan->envp, &count, "USER", plan->user->name);
        set(plan->envp, &count, "LOGNAME", plan->user->name);
        set(plan->envp, &count, "SHELL", plan->user->shell);
    }
    for (size_t i = 0; i < command->var_count; i++)
        set(plan->envp, &count, command->vars[i].name, command->vars[i].value);
    plan->envp[count] = NULL;
}

static void plan_words(struct plan *plan, const struct tt_command *command)
{
    plan->argv = command->argv;
    if (command->shell) {
        /* A line that starts like an option is still a line. */
        bool guard = *command->shell == '-' || *command->shell == '+';
        char **word = plan->argv = plan->shell_words;
        *word++ = (char *)"/bin/sh";
        *word++ = (char *)"-c";
        if (guard)
            *word++ = (char *)"--";
        *word++ = command->shell;
        *word = NULL;
    }
    size_t count = 0;
    while (plan->argv[count])
        count++;
    plan->shell_argv = tt_reallocarray(NULL, count + 2, sizeof *plan->shell_argv);
    plan->shell_argv[0] = (char *)"/bin/sh";
    memcpy(plan->shell_argv + 1, plan->argv, (count + 1) * sizeof *plan->argv);
}

/* As execvp looks, but along the child's PATH. */
static void plan_paths(struct plan *plan)
{
    const char *program = plan->argv[0], *path = variable(plan->envp, "PATH");
    size_t count = 0;
    if (!path)
        path = "/bin:/usr/bin";
    if (!*program || strchr(program, '/')) {
        plan->paths = tt_reallocarray(NULL, 2, sizeof *plan->paths);
        plan->paths[count++] = tt_strdup(program);
        plan->paths[count] = NULL;
        return;
    }
    size_t room = 2;
    for (const char *c = path; *c; c++)
        room += *c == ':';
    plan->paths = tt_reallocarray(NULL, room, sizeof *plan->paths);
    for (;;) {
        size_t length = strcspn(path, ":");
        plan->paths[count++] =
            length ? tt_format("%.*s/%s", (int)length, path, program) : tt_format("./%s", program);
        if (!path[length])
            break;
        path += length + 1;
    }
    plan->paths[count] = NULL;
}

static void plan_clear(struct plan *plan)
{
    for (char **path = plan->paths; *path; path++)
        free(*path);
    free(plan->paths);
    free(plan->shell_argv);
    for (char **var = plan->envp; plan->own_envp && *var; var++) {
        explicit_bzero(*var, strlen(*var));
        free(*var);
    }
    if (plan->own_envp)
        free(plan->envp);
}

/* --- the parent --- */

/* The child's stack; one is enough, since the parent is suspended while it is used. */
static char *child_stack(void)
{
    static char *stack;
    if (!stack && !TT_FAULT("local_spawn.stack")) {
        void *at = mmap(NULL, stack_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        stack = at == MAP_FAILED ? NULL : at;
    }
    return stack;
}

/* The system's clock, not the loop's: it is compared with the start that the kernel notes. */
static int64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int why_not(const struct plan *plan, struct tt_error **err)
{
    int errnum = plan->slot->errnum;
    const char *program = plan->argv[0];
    switch ((enum step)plan->slot->step) {
    case STEP_USER:
        return tt_fail_errno(err, errnum, "cannot become user \"%s\"", plan->user->name);
    case STEP_CWD:
        return tt_error_set(err, TT_CWD, errnum, __FILE__, __LINE__, "cannot work in \"%s\"",
                            plan->cwd);
    case STEP_EXEC:
        if (errnum == E2BIG)
            return tt_error_set(err, TT_INVALID, errnum, __FILE__, __LINE__, "\"%s\"", program);
        if (errnum == ENOENT && !strchr(program, '/'))
            return tt_fail(err, TT_NOT_FOUND, "command not found: \"%s\"", program);
        return tt_fail_errno(err, errnum, "cannot run \"%s\"", program);
    default:
        return tt_error_set(err, TT_IO, errnum, __FILE__, __LINE__, "cannot start \"%s\"", program);
    }
}

static int launch(struct tx_spawned *out, struct plan *plan, struct tt_error **err)
{
    char *stack = child_stack();
    sigset_t all, before;
    if (!stack)
        return tt_fail_errno(err, errno, "no stack for a child");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    out->born_ms = boot_ms();
    out->pid = TT_FAULT("local_spawn.clone")
                   ? -1
                   : clone(child, stack + stack_size,
                           CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, plan, &out->pidfd);
    int errnum = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (out->pid < 0)
        return tt_fail_errno(err, errnum, "cannot start a process");
    if (plan->slot->step == STEP_NONE)
        return 0;
    int rc = why_not(plan, err);
    __atomic_store_n(&plan->slot->group, 0, __ATOMIC_RELEASE);
    while (waitpid(out->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(out->pidfd);
    return rc;
}

int tx_spawn(struct tx_spawned *out, const struct tt_command *command, const struct tx_user *user,
             const int stdio[3], bool terminal, struct tt_error **err)
{
    struct plan plan = {.cwd = command->cwd, .user = user, .stdio = stdio, .terminal = terminal};
    if (tx_guardian_take(&plan.slot, err) < 0)
        return -TT_IO;
    plan_environment(&plan, command);
    plan_words(&plan, command);
    plan_paths(&plan);
    int rc = launch(out, &plan, err);
    plan_clear(&plan);
    out->slot = plan.slot;
    if (rc < 0)
        tx_guardian_release(plan.slot);
    return rc;
}

int64_t tx_born_ms(pid_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = TT_FAULT("local_spawn.stat") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return -1;
    text[length] = 0;
    /* The name, in parentheses, may hold anything; the start is the 20th field after it. */
    char *at = strrchr(text, ')');
    for (int field = 0; at && field < 20; field++)
        at = strchr(at + 1, ' ');
    return at ? (int64_t)strtoull(at + 1, NULL, 10) * 1000 / sysconf(_SC_CLK_TCK) : -1;
}
