/* For unit tests of real processes: a loop, the local environment, commands run to their end, looks
 * at what is left. */
#ifndef LOCAL_SUPPORT_H
#define LOCAL_SUPPORT_H

#include "core/base/alloc.h"
#include "core/env/proc.h"
#include "executors/local/guardian.h"
#include "executors/local/local.h"
#include "executors/local/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAYBE   __attribute__((unused)) /* not every test uses all of it */
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static struct tt_loop *loop;
static struct tt_env *here;
static struct tt_scope *root;
static struct tt_capture_options options;

MAYBE static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL), 0);
    here = tx_local_new(loop, NULL);
    assert_non_null(here);
    root = tt_scope_new(loop, NULL);
    tt_capture_defaults(&options);
    return 0;
}

MAYBE static int tear_down(void **state)
{
    (void)state;
    bool never = false;
    tt_scope_release(root);
    while (tt_loop_live_ops(loop) && tt_loop_run(loop, &never))
        continue;
    tt_loop_run(loop, &never);
    assert_int_equal(tt_loop_live_ops(loop), 0);
    tt_env_release(here);
    tt_loop_free(loop);
    return 0;
}

MAYBE static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

MAYBE static void await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    assert_true(tt_loop_run(loop, &done));
}

/* Runs with `options`; the result is the caller's. */
MAYBE static struct tt_result *capture(const struct tt_command *command)
{
    struct tt_op *op = tt_capture(here, root, command, &options);
    await(op);
    struct tt_result *result = tt_result_of(op);
    assert_non_null(result);
    tt_result_retain(result);
    tt_op_release(op);
    return result;
}

MAYBE static struct tt_result *sh(const char *line)
{
    return capture(&(struct tt_command){.shell = (char *)line});
}

MAYBE static struct tt_result *words(char *const *argv)
{
    return capture(&(struct tt_command){.argv = (char **)argv});
}

MAYBE static void assert_says(const struct tt_result *r, const char *out)
{
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data ? r->out.data : "", out);
}

MAYBE static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "(null)", part);
}

/* How many processes have that word in their arguments; *one is one of them. */
MAYBE static int find_marked(const char *mark, pid_t *one)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[300], text[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *in = *entry->d_name >= '1' && *entry->d_name <= '9' ? fopen(path, "r") : NULL;
        size_t length = in ? fread(text, 1, sizeof text, in) : 0;
        if (in)
            fclose(in);
        if (memmem(text, length, mark, strlen(mark))) {
            count++;
            *one = atoi(entry->d_name);
        }
    }
    closedir(proc);
    return count;
}

MAYBE static int count_marked(const char *mark)
{
    pid_t one;
    return find_marked(mark, &one);
}

/* They were killed, or are about to be; a loaded machine may take long over it. */
MAYBE static void await_marked_gone(const char *mark)
{
    for (pid_t one; find_marked(mark, &one);) {
        struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, one, 0), .events = POLLIN};
        if (end.fd < 0)
            continue;
        int ready = poll(&end, 1, 60000);
        close(end.fd);
        if (ready != 1)
            fail_msg("process %d is left", (int)one);
    }
}

/* A duration for `sleep` that no other process has. */
MAYBE static const char *mark(void)
{
    static char text[32];
    static int count;
    snprintf(text, sizeof text, "9%d.%d", (int)getpid(), ++count);
    return text;
}

MAYBE static int count_fds(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    while (readdir(fds))
        count++;
    closedir(fds);
    return count;
}

MAYBE static void assert_no_zombie(void)
{
    siginfo_t ended = {0};
    int rc = waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
    assert_true(rc < 0 || ended.si_pid == 0);
}

MAYBE static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

MAYBE static struct timespec begin(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

MAYBE static struct tt_proc *start(const struct tt_command *command)
{
    struct tt_op *op = tt_proc_start(here, root, command, &options.proc);
    await(op);
    assert_null(op->error);
    struct tt_proc *proc = tt_proc_of(op);
    tt_op_release(op);
    return proc;
}

MAYBE static struct tt_op *attach(const char *ref)
{
    struct tt_op *op = here->class_->attach(here, root, ref);
    await(op);
    return op;
}

#endif
