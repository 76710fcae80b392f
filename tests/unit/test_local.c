/* Real processes of this machine, through the whole of core/proc and executors/local. */
#include "core/alloc.h"
#include "core/proc.h"
#include "executors/guardian.h"
#include "executors/local.h"
#include "executors/local_spawn.h"

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

static struct tt_loop *loop;
static struct tt_env *here;
static struct tt_scope *root;
static struct tt_capture_options options;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL), 0);
    here = tx_local_new(loop, NULL);
    assert_non_null(here);
    root = tt_scope_new(loop, NULL);
    tt_capture_defaults(&options);
    return 0;
}

static int tear_down(void **state)
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

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

static void await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    assert_true(tt_loop_run(loop, &done));
}

/* Runs with `options`; the result is the caller's. */
static struct tt_result *capture(const struct tt_command *command)
{
    struct tt_op *op = tt_capture(here, root, command, &options);
    await(op);
    struct tt_result *result = tt_result_of(op);
    assert_non_null(result);
    tt_result_retain(result);
    tt_op_release(op);
    return result;
}

static struct tt_result *sh(const char *line)
{
    return capture(&(struct tt_command){.shell = (char *)line});
}

static struct tt_result *words(char *const *argv)
{
    return capture(&(struct tt_command){.argv = (char **)argv});
}

static void assert_says(const struct tt_result *r, const char *out)
{
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data ? r->out.data : "", out);
}

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "(null)", part);
}

/* How many processes have that word in their arguments; *one is one of them. */
static int find_marked(const char *mark, pid_t *one)
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

static int count_marked(const char *mark)
{
    pid_t one;
    return find_marked(mark, &one);
}

/* They were killed, or are about to be; each has ten seconds for it. */
static void await_marked_gone(const char *mark)
{
    for (pid_t one; find_marked(mark, &one);) {
        struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, one, 0), .events = POLLIN};
        if (end.fd < 0)
            continue;
        int ready = poll(&end, 1, 10000);
        close(end.fd);
        if (ready != 1)
            fail_msg("process %d is left", (int)one);
    }
}

/* A duration for `sleep` that no other process has. */
static const char *mark(void)
{
    static char text[32];
    static int count;
    snprintf(text, sizeof text, "9%d.%d", (int)getpid(), ++count);
    return text;
}

static int count_fds(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    while (readdir(fds))
        count++;
    closedir(fds);
    return count;
}

static void assert_no_zombie(void)
{
    siginfo_t ended = {0};
    int rc = waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
    assert_true(rc < 0 || ended.si_pid == 0);
}

/* --- command, result, kind --- */

static void a_string_goes_to_the_shell(void **state)
{
    (void)state;
    struct tt_result *r = sh("echo out; echo err >&2");
    assert_says(r, "out\n");
    assert_string_equal(r->err.data, "err\n");
    assert_string_equal(r->env, "local:");
    assert_int_equal(r->code, 0);
    assert_null(r->message);
    tt_result_release(r);
    r = sh("-v; echo is not an option");
    assert_contains(r->out.data, "is not an option");
    tt_result_release(r);
}

static void argv_arrives_byte_exact(void **state)
{
    (void)state;
    struct tt_result *r = words((char *[]){"printf", "[%s]", "$(id); 'x", "", "-n", " a\n\tb ",
                                           "\xff\xfe*?\\\"`", "ü", NULL});
    assert_says(r, "[$(id); 'x][][-n][ a\n\tb ][\xff\xfe*?\\\"`][ü]");
    tt_result_release(r);
}

static void ends_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum tt_kind kind;
        int code, signal;
    } rows[] = {
        {"exit 3", TT_EXIT, 3, 0},
        {"kill -KILL $$", TT_SIGNAL, 137, 9},
        {"exit 137", TT_SIGNAL, 137, 9},
        {"kill -TERM $$", TT_SIGNAL, 143, 15},
        {"no-such-command-anywhere", TT_NOT_FOUND, 127, 0},
        {"/etc/passwd", TT_PERMISSION, 126, 0},
        {"exit 255", TT_EXIT, 255, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tt_result *r = sh(rows[i].line);
        assert_int_equal(r->kind, rows[i].kind);
        assert_int_equal(r->code, rows[i].code);
        assert_int_equal(r->signal, rows[i].signal);
        tt_result_release(r);
    }
}

static void the_launcher_says_what_failed(void **state)
{
    (void)state;
    struct tt_result *r = words((char *[]){"no-such-command-anywhere", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    assert_int_equal(r->code, -1);
    assert_contains(r->message, "no-such-command-anywhere");
    tt_result_release(r);
    r = words((char *[]){"/no/such", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    r = words((char *[]){"", NULL});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    r = words((char *[]){"/etc/passwd", NULL});
    assert_int_equal(r->kind, TT_PERMISSION);
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "echo never", .cwd = "/no/such/folder"});
    assert_int_equal(r->kind, TT_CWD);
    assert_int_equal(r->code, -1);
    assert_contains(r->message, "/no/such/folder");
    assert_int_equal(r->out.length, 0);
    tt_result_release(r);
    /* a bad directory and a bad command: the directory comes first */
    r = capture(&(struct tt_command){.argv = (char *[]){"/no/such", NULL}, .cwd = "/etc/passwd"});
    assert_int_equal(r->kind, TT_CWD);
    tt_result_release(r);
    assert_no_zombie();
}

static void too_long_is_invalid(void **state)
{
    (void)state;
    char *long_word = malloc(200000);
    memset(long_word, 'x', 199999);
    long_word[199999] = 0;
    struct tt_op *op = tt_capture(
        here, root, &(struct tt_command){.argv = (char *[]){"true", long_word, NULL}}, &options);
    await(op);
    assert_int_equal(op->error->kind, TT_INVALID);
    tt_op_release(op);
    free(long_word);
}

static void cwd_and_env_take_effect(void **state)
{
    (void)state;
    struct tt_var vars[] = {{"A", "1 $x\n'"}, {"HOME", "/elsewhere"}};
    setenv("TEST_INHERITED", "yes", 1);
    struct tt_result *r =
        capture(&(struct tt_command){.shell = "pwd; printf '%s' \"$A|$HOME|$TEST_INHERITED\"",
                                     .cwd = "/usr/bin",
                                     .vars = vars,
                                     .var_count = 2});
    assert_says(r, "/usr/bin\n1 $x\n'|/elsewhere|yes");
    tt_result_release(r);
}

static void write_script(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, 0755);
    close(fd);
}

static void commands_are_found_along_the_childs_path(void **state)
{
    (void)state;
    char folder[] = "/tmp/tutti-test-XXXXXX", path[100];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/it", folder);
    write_script(path, "echo found $1\n"); /* without #!: a script for /bin/sh */
    struct tt_var vars[] = {{"PATH", "/no/such::/etc/passwd"}};
    struct tt_command command = {
        .argv = (char *[]){"it", "a  b", NULL}, .cwd = folder, .vars = vars, .var_count = 1};
    struct tt_result *r = capture(&command); /* the empty entry is the working directory */
    assert_says(r, "found a b\n");
    tt_result_release(r);
    vars[0].value = "/no/such";
    r = capture(&command);
    assert_int_equal(r->kind, TT_NOT_FOUND);
    tt_result_release(r);
    vars[0].value = folder;
    command.cwd = NULL;
    r = capture(&command);
    assert_says(r, "found a b\n");
    tt_result_release(r);
    chmod(path, 0644);
    r = capture(&command);
    assert_int_equal(r->kind, TT_PERMISSION);
    tt_result_release(r);
    unlink(path);
    rmdir(folder);
}

static void root_runs_as_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct tt_result *r = capture(&(struct tt_command){
        .shell = "id -un; id -gn; id -Gn; echo $HOME $USER; cat /etc/shadow", .user = "nobody"});
    assert_int_equal(r->kind, TT_EXIT);
    assert_string_equal(r->out.data, "nobody\nnogroup\nnogroup\n/nonexistent nobody\n");
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "id -u", .user = "65534"});
    assert_says(r, "65534\n");
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "true", .user = "nobody", .cwd = "/root"});
    assert_int_equal(r->kind, TT_CWD);
    tt_result_release(r);
    r = capture(&(struct tt_command){.shell = "true", .user = "no-such-user"});
    assert_int_equal(r->kind, TT_NOT_FOUND);
    assert_contains(r->message, "no-such-user");
    tt_result_release(r);
    struct tt_op *op = tt_capture(
        here, root, &(struct tt_command){.shell = "true", .user = "nobody:adm"}, &options);
    await(op);
    assert_int_equal(op->error->kind, TT_UNSUPPORTED);
    tt_op_release(op);
}

static void usage_is_observed(void **state)
{
    (void)state;
    struct tt_result *r = sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    assert_true(r->usage.cpu_user_s > 0.01);
    assert_true(r->usage.cpu_system_s >= 0);
    assert_true(r->usage.io_read_bytes >= 0 && r->usage.io_write_bytes >= 0);
    tt_result_release(r);
    r = sh("exec dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null");
    assert_in_range(r->usage.max_rss_bytes, 200 << 20, 300 << 20);
    tt_result_release(r);
    /* Our own memory is not reported as the command's. */
    char *large = malloc(300 << 20);
    memset(large, 1, 300 << 20);
    r = sh("true");
    assert_int_equal(r->usage.max_rss_bytes, large[12345] ? -1 : 0);
    tt_result_release(r);
    free(large);
}

/* --- output and input --- */

static void both_streams_arrive_byte_exact(void **state)
{
    (void)state;
    static const size_t sizes[] = {(64 << 10) - 1, (64 << 10) + 1, 5 << 20};
    for (size_t i = 0; i < 3; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "yes abcdefg | head -c %zu & yes 1234567 | head -c %zu >&2; wait", sizes[i],
                 sizes[i]);
        struct tt_result *r = sh(line);
        assert_int_equal(r->kind, TT_OK);
        assert_int_equal(r->out.length, sizes[i]);
        assert_int_equal(r->err.length, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            if (r->out.data[k] != "abcdefg\n"[k % 8] || r->err.data[k] != "1234567\n"[k % 8])
                fail_msg("byte %zu differs", k);
        tt_result_release(r);
    }
}

static void output_has_a_limit(void **state)
{
    (void)state;
    options.max_output = 100000;
    struct tt_result *r = sh("yes");
    assert_int_equal(r->kind, TT_OUTPUT_LIMIT);
    assert_int_equal(r->out.length, 100000);
    tt_result_release(r);
    options.keep_tail = 10;
    r = sh("yes abc | head -n 100000; printf end");
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data, "bc\nabc\nend");
    assert_true(r->truncated);
    tt_result_release(r);
}

static void stdin_is_given(void **state)
{
    (void)state;
    struct tt_result *r = sh("cat; echo end");
    assert_says(r, "end\n");
    tt_result_release(r);
    char *large = malloc(3 << 20);
    for (int i = 0; i < 3 << 20; i++)
        large[i] = (char)(i * 7);
    options.input = large;
    options.input_length = 3 << 20;
    r = sh("cat");
    assert_int_equal(r->kind, TT_OK);
    assert_int_equal(r->out.length, 3 << 20);
    assert_memory_equal(r->out.data, large, 3 << 20);
    tt_result_release(r);
    options.input_length = 1 << 20;
    r = sh("true");
    assert_int_equal(r->kind, TT_OK);
    tt_result_release(r);
    r = sh("exec <&-; sleep 0.1; echo fine");
    assert_says(r, "fine\n");
    tt_result_release(r);
    /* somebody in the background holds stdin and does not read it */
    const char *seconds = mark();
    char line[100];
    snprintf(line, sizeof line, "sleep %s >/dev/null 2>&1 <&0 & echo $!", seconds);
    r = sh(line);
    assert_int_equal(r->kind, TT_OK);
    assert_int_equal(kill(atoi(r->out.data), SIGKILL), 0);
    tt_result_release(r);
    free(large);
}

static void a_terminal_on_request(void **state)
{
    (void)state;
    struct tt_command command = {
        .shell = "test -t 1 && test -t 2 && ! test -t 0 && echo tty; echo err >&2; cat; "
                 "stty size </dev/tty; exit 4",
        .pty = true};
    struct tt_result *r = capture(&command);
    assert_int_equal(r->code, 4);
    assert_string_equal(r->out.data, "tty\r\nerr\r\n24 80\r\n");
    assert_int_equal(r->err.length, 0);
    tt_result_release(r);
    command.shell = "stty -echo; test -t 0 && echo ready; cat; echo end";
    options.input = "line\npart";
    options.input_length = 9;
    r = capture(&command);
    assert_int_equal(r->kind, TT_OK);
    assert_contains(r->out.data, "ready\r\n");
    assert_contains(r->out.data, "line\r\npartend\r\n");
    tt_result_release(r);
    options.input = NULL;
    options.input_length = 0;
    command.shell = "seq 100000";
    r = capture(&command);
    assert_int_equal(r->out.length, 688895);
    tt_result_release(r);
    options.proc.timeout = 300;
    command.shell = "trap '' TERM HUP; sleep 1000; sleep 1000";
    options.proc.grace = 200;
    r = capture(&command);
    assert_int_equal(r->kind, TT_TIMEOUT);
    tt_result_release(r);
}

/* --- timeout, cancel, background --- */

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static struct timespec begin(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

static void a_timeout_leaves_nothing(void **state)
{
    (void)state;
    char line[300];
    const char *m = mark();
    struct timespec began = begin();
    options.proc.timeout = 300;
    snprintf(line, sizeof line, "echo early; sleep %s; echo never", m);
    struct tt_result *r = sh(line);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_string_equal(r->out.data, "early\n");
    assert_true(seconds_since(&began) < 1.5);
    assert_int_equal(count_marked(m), 0);
    tt_result_release(r);
    /* the group's end is seen, not waited out, also without a stream to tell it */
    began = begin();
    m = mark();
    snprintf(
        line, sizeof line,
        "for i in 1 2 3 4 5; do sleep %s >/dev/null 2>&1 & done; (trap 'sleep 0.3; exit' TERM; "
        "sleep %s & wait) >/dev/null 2>&1 & wait",
        m, m);
    r = sh(line);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_in_range(seconds_since(&began) * 1000, 550, 1800);
    assert_int_equal(count_marked(m), 0);
    tt_result_release(r);
}

static void who_traps_term_is_killed_with_grandchildren(void **state)
{
    (void)state;
    char line[300];
    const char *m = mark();
    struct timespec began = begin();
    options.proc.timeout = 200;
    options.proc.grace = 300;
    snprintf(line, sizeof line, "trap '' TERM; (trap '' TERM; sleep %s; true) & sleep %s; true", m,
             m);
    struct tt_result *r = sh(line);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(r->signal, 9);
    assert_in_range(seconds_since(&began) * 1000, 499, 1500);
    tt_result_release(r);
    /* the shell dies of TERM, a grandchild without our streams does not */
    snprintf(line, sizeof line, "(trap '' TERM; sleep %s; true) >/dev/null 2>&1 & sleep 1000", m);
    r = sh(line);
    assert_int_equal(r->kind, TT_TIMEOUT);
    assert_int_equal(r->signal, 15);
    await_marked_gone(m);
    tt_result_release(r);
}

static void a_background_child_is_left_alone(void **state)
{
    (void)state;
    char line[100];
    const char *m = mark();
    struct timespec began = begin();
    snprintf(line, sizeof line, "sleep %s & echo $!", m);
    struct tt_result *r = sh(line);
    assert_int_equal(r->kind, TT_OK);
    assert_in_range(seconds_since(&began) * 1000, 195, 1500);
    assert_int_equal(count_marked(m), 1);
    kill(atoi(r->out.data), SIGKILL);
    tt_result_release(r);
    r = sh("(sleep 0.05; echo late) & echo first");
    assert_says(r, "first\nlate\n");
    tt_result_release(r);
}

static void cancelling_ends_it_first(void **state)
{
    (void)state;
    char line[100];
    const char *m = mark();
    snprintf(line, sizeof line, "sleep %s; true", m);
    struct tt_op *op = tt_capture(here, root, &(struct tt_command){.shell = line}, &options);
    struct tt_scope *other = tt_scope_new(loop, NULL);
    struct tt_op *sleep = tt_sleep(other, 50);
    await(sleep);
    tt_op_release(sleep);
    tt_scope_release(other);
    assert_int_equal(count_marked(m), 2);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
    tt_scope_cancel(root, why);
    tt_error_free(why);
    await(op);
    assert_int_equal(op->error->kind, TT_CANCELLED);
    assert_int_equal(count_marked(m), 0);
    tt_op_release(op);
}

static struct tt_proc *start(const struct tt_command *command)
{
    struct tt_op *op = tt_proc_start(here, root, command, &options.proc);
    await(op);
    assert_null(op->error);
    struct tt_proc *proc = tt_proc_of(op);
    tt_op_release(op);
    return proc;
}

static void yes_is_broken_off(void **state)
{
    (void)state;
    struct timespec began = begin();
    struct tt_proc *proc = start(&(struct tt_command){.shell = "yes"});
    struct tt_op *read = tt_proc_read(proc, root, TT_STDOUT, 2);
    await(read);
    assert_memory_equal(tt_bytes_of(read)->data, "y\n", 2);
    tt_op_release(read);
    bool idle = false, never = false;
    tt_proc_release(proc);
    while (!idle && tt_loop_live_ops(loop))
        tt_loop_run(loop, &never);
    assert_true(seconds_since(&began) < 1.5);
    assert_no_zombie();
}

static void streams_are_pulled(void **state)
{
    (void)state;
    struct tt_proc *proc = start(&(struct tt_command){
        .shell = "read x; echo got $x; cat >/dev/null; echo eof; sleep 1000", .stdin_open = true});
    struct tt_op *op = tt_proc_write(proc, root, "hello\n", 6);
    await(op);
    assert_null(op->error);
    tt_op_release(op);
    op = tt_proc_read(proc, root, TT_STDOUT, 100);
    await(op);
    assert_memory_equal(tt_bytes_of(op)->data, "got hello\n", 10);
    tt_op_release(op);
    op = tt_proc_close_stdin(proc, root);
    await(op);
    tt_op_release(op);
    op = tt_proc_write(proc, root, "x", 1);
    await(op);
    assert_int_equal(op->error->errnum, EPIPE);
    tt_op_release(op);
    op = tt_proc_read(proc, root, TT_STDOUT, 100);
    await(op);
    assert_memory_equal(tt_bytes_of(op)->data, "eof\n", 4);
    tt_op_release(op);
    op = tt_proc_signal(proc, root, SIGUSR1);
    await(op);
    assert_null(op->error);
    tt_op_release(op);
    op = tt_proc_wait(proc, root);
    await(op);
    tt_op_release(op);
    assert_int_equal(tt_proc_result(proc)->signal, SIGUSR1);
    tt_proc_release(proc);
}

/* --- references --- */

static struct tt_op *attach(const char *ref)
{
    struct tt_op *op = here->class_->attach(here, root, ref);
    await(op);
    return op;
}

static void a_reference_finds_the_process_again(void **state)
{
    (void)state;
    struct tt_proc *proc = start(&(struct tt_command){.shell = "sleep 1000"});
    char *ref = tt_strdup(tt_proc_ref(proc));
    struct tt_op *op = attach(ref);
    assert_null(op->error);
    struct tt_process *again = tt_process_of(op);
    tt_op_release(op);
    op = again->class_->read(again, root, TT_STDOUT, 10);
    await(op);
    assert_int_equal(op->error->kind, TT_LOST);
    tt_op_release(op);
    struct tt_op *wait = again->class_->wait(again, root);
    op = again->class_->signal(again, root, SIGTERM);
    await(op);
    assert_null(op->error);
    tt_op_release(op);
    await(wait);
    tt_op_release(wait);
    assert_int_equal(again->exit.kind, TT_LOST);
    assert_int_equal(again->exit.code, -1);
    again->class_->free(again);
    wait = tt_proc_wait(proc, root);
    await(wait);
    tt_op_release(wait);
    assert_int_equal(tt_proc_result(proc)->signal, SIGTERM);
    tt_proc_release(proc);
    op = attach(ref);
    assert_int_equal(op->error->kind, TT_NOT_FOUND);
    tt_op_release(op);
    free(ref);
    /* a process of that number that was born at another time */
    ref = tt_format("local:%d:1", (int)getpid());
    op = attach(ref);
    assert_int_equal(op->error->kind, TT_NOT_FOUND);
    tt_op_release(op);
    free(ref);
    static const char *const bad[] = {"local:", "local:x:1", "local:1", "local:1:2x", "ssh:1:2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        op = attach(bad[i]);
        assert_int_equal(op->error->kind, TT_INVALID);
        tt_op_release(op);
    }
}

/* --- nothing stays behind --- */

static void no_descriptor_leaks(void **state)
{
    (void)state;
    tt_result_release(sh("true"));
    int before = count_fds();
    for (int i = 0; i < 50; i++) {
        tt_result_release(sh("echo x"));
        tt_result_release(words((char *[]){"/no/such", NULL}));
        struct tt_command pty = {.shell = "true", .pty = true};
        tt_result_release(capture(&pty));
    }
    assert_int_equal(count_fds(), before);
    assert_no_zombie();
    /* and none of ours reaches a command: 0-2 and the one that ls opens */
    int inherited = 0;
    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        inherited += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    struct tt_result *r = sh("ls /proc/self/fd | wc -l");
    assert_int_equal(atoi(r->out.data), 4 + inherited);
    tt_result_release(r);
}

/* One that is given up while it runs is still reaped when it ends. */
static void a_process_given_up_is_reaped(void **state)
{
    (void)state;
    tt_result_release(sh("true"));
    int before = count_fds();
    for (int ends = 0; ends < 2; ends++) {
        struct tt_op *op =
            here->class_->start(here, root, &(struct tt_command){.shell = "sleep 1000"});
        await(op);
        struct tt_process *process = tt_process_of(op);
        pid_t pid = atoi(strchr(process->ref, ':') + 1);
        tt_op_release(op);
        process->class_->free(process);
        assert_int_equal(count_fds(), before + 1);
        kill(-pid, SIGKILL);
        if (ends) { /* its event is never handled: the environment's end lets go of it */
            siginfo_t ended;
            waitid(P_PID, (id_t)pid, &ended, WEXITED);
            tt_env_release(here);
            here = tx_local_new(loop, NULL);
            tt_result_release(sh("true"));
        } else {
            for (int i = 0; i < 1000 && count_fds() > before; i++)
                tt_result_release(sh("true"));
            assert_no_zombie();
        }
        assert_int_equal(count_fds(), before);
    }
}

static void signals_are_default_in_commands(void **state)
{
    (void)state;
    signal(SIGINT, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    struct tt_result *r =
        sh("cat /proc/self/status | grep -E 'Sig(Blk|Ign|Cgt)' | cut -f2 | sort -u");
    signal(SIGINT, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    assert_says(r, "0000000000000000\n");
    tt_result_release(r);
}

static void count_down(struct tt_op *op, void *arg)
{
    int *left = arg;
    assert_int_equal(tt_result_of(op)->kind, TT_OK);
    assert_string_equal(tt_result_of(op)->out.data, "out\n");
    tt_op_release(op);
    --*left;
}

static void many_at_once(void **state)
{
    (void)state;
    int left = 150;
    bool never = false;
    for (int i = 0; i < 150; i++)
        tt_op_await(
            tt_capture(here, root, &(struct tt_command){.shell = "sleep 0.1; echo out"}, &options),
            count_down, &left);
    tt_loop_run(loop, &never);
    assert_int_equal(left, 0);
    assert_no_zombie();
}

static void killing_all_reaches_every_group(void **state)
{
    (void)state;
    char line[100];
    const char *m = mark();
    snprintf(line, sizeof line, "sleep %s & sleep %s", m, m);
    struct tt_op *op = tt_capture(here, root, &(struct tt_command){.shell = line}, &options);
    struct tt_proc *proc = start(&(struct tt_command){.shell = line});
    tx_guardian_kill_all();
    await(op);
    assert_int_equal(tt_result_of(op)->signal, SIGKILL);
    tt_op_release(op);
    op = tt_proc_wait(proc, root);
    await(op);
    tt_op_release(op);
    tt_proc_release(proc);
    await_marked_gone(m);
}

/* --- this program started again, to be killed --- */

static void write_all(void *arg, enum tt_stream stream, const char *bytes, size_t length)
{
    (void)arg;
    (void)stream;
    if (write(1, bytes, length) < 0)
        exit(1);
}

/* Runs eight commands that would last, and reports their start on stdout. */
static int victim(const char *m)
{
    char line[200];
    bool never = false;
    tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL);
    here = tx_local_new(loop, NULL);
    root = tt_scope_new(loop, NULL);
    tt_capture_defaults(&options);
    options.on_output = write_all;
    snprintf(line, sizeof line, "trap '' TERM HUP; sleep %s & echo x; sleep %s; true", m, m);
    for (int i = 0; i < 8; i++)
        tt_capture(here, root, &(struct tt_command){.shell = line}, &options);
    return !tt_loop_run(loop, &never);
}

static pid_t start_victim(const char *m, int *out)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a check fails before the victim is killed */
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        execl("/proc/self/exe", "test_local", "victim", m, NULL);
        _exit(1);
    }
    close(fds[1]);
    *out = fds[0];
    return pid;
}

static pid_t look_for_guardian(pid_t parent, pid_t but)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *in = fopen(path, "r");
    int pid, found = 0;
    while (in && fscanf(in, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
        FILE *command = fopen(path, "r");
        if (command && fgets(text, sizeof text, command) && strcmp(text, "tutti-guardian") == 0 &&
            pid != but)
            found = pid;
        if (command)
            fclose(command);
    }
    if (in)
        fclose(in);
    return found;
}

/* Its exec shows its name a moment after the call that started it returned. */
static pid_t find_guardian(pid_t parent, pid_t but)
{
    struct timespec began = begin();
    pid_t found;
    while (!(found = look_for_guardian(parent, but)))
        assert_true(seconds_since(&began) < 10);
    return found;
}

static void no_orphan_when_we_are_killed(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        const char *m = mark();
        int out;
        char byte;
        pid_t pid = start_victim(m, &out);
        /* half of them when all run, half at any moment of the start */
        for (int i = 0; round % 2 && i < 16; i++)
            assert_int_equal(read(out, &byte, 1), 1);
        if (round % 2 == 0)
            poll(&(struct pollfd){.fd = out, .events = POLLIN}, 1, round / 2);
        if (round == 1) {
            pid_t guardian = find_guardian(pid, 0);
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/fd", (int)guardian);
            DIR *fds = opendir(path);
            for (struct dirent *entry; (entry = readdir(fds));)
                assert_true(*entry->d_name == '.' || atoi(entry->d_name) <= 4);
            closedir(fds);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(out, &byte, 1) == 1) /* its end: nobody holds the pipe any more */
            continue;
        close(out);
        await_marked_gone(m);
    }
}

static void a_killed_guardian_is_replaced(void **state)
{
    (void)state;
    tt_result_release(sh("true"));
    pid_t guardian = find_guardian(getpid(), 0);
    kill(guardian, SIGKILL);
    siginfo_t ended;
    waitid(P_PID, (id_t)guardian, &ended, WEXITED | WNOWAIT);
    tt_result_release(sh("true"));
    find_guardian(getpid(), guardian);
    assert_no_zombie();
}

/* As process 1 it reaps orphans. */
static int first_process(void)
{
    tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL);
    here = tx_local_new(loop, NULL);
    root = tt_scope_new(loop, NULL);
    tt_capture_defaults(&options);
    for (int i = 0; i < 5; i++) {
        struct tt_result *r =
            sh("for i in 1 2 3 4 5; do sleep 0.0$i >/dev/null 2>&1 & done; exit 6");
        if (r->code != 6)
            return 2;
        tt_result_release(r);
    }
    tt_result_release(sh("sleep 0.5"));
    siginfo_t ended = {0};
    return waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid ? 3 : 0;
}

static void process_1_reaps_orphans(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime holds SIGCHLD back while the loop sleeps */
#endif
    if (geteuid() != 0)
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        char self[4096] = "";
        if (readlink("/proc/self/exe", self, sizeof self - 1) > 0)
            execlp("unshare", "unshare", "--pid", "--fork", "--mount-proc", self, "first", NULL);
        _exit(99);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- faults: each point fails in a process of its own --- */

/* Everything that passes a fault point; each outcome is success or one of the kinds. */
static int scenario(void)
{
    struct tt_error *err = NULL;
    if (tt_loop_new(&loop, TT_CLOCK_REAL, 1, &err) < 0 || !(here = tx_local_new(loop, &err))) {
        int code = err && err->message ? 0 : 2;
        tt_error_free(err);
        tt_loop_free(loop);
        return code;
    }
    root = tt_scope_new(loop, NULL);
    tt_capture_defaults(&options);
    int before = count_fds();
    static const struct tt_command commands[] = {
        {.shell = "echo out; echo err >&2"},
        {.shell = "cat; echo end"},
        {.shell = "echo out", .pty = true},
        {.shell = "id -u", .user = "root"},
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
            options.input = i == 1 || round ? "input" : NULL;
            options.input_length = options.input ? 5 : 0;
            struct tt_result *r = capture(&commands[i]);
            if (r->kind == TT_OK && (r->code != 0 || !r->out.length || r->message))
                return 3;
            if (r->kind != TT_OK && r->kind != TT_IO && r->kind != TT_LOST)
                return 4;
            if (r->kind != TT_OK && !r->message)
                return 5;
            tt_result_release(r);
        }
    }
    options.input = NULL;
    options.input_length = 0;
    options.proc.timeout = 100;
    options.proc.grace = 100;
    struct tt_result *r =
        sh("(trap 'sleep 0.05; exit' TERM; sleep 5 & wait) >/dev/null 2>&1 & sleep 5");
    if (r->kind != TT_TIMEOUT && r->kind != TT_IO && r->kind != TT_LOST)
        return 6;
    tt_result_release(r);
    char *ref = tt_format("local:%d:%lld", (int)getpid(), (long long)tx_born_ms(getpid()));
    struct tt_op *op = attach(ref);
    if (op->error && op->error->kind != TT_IO && op->error->kind != TT_NOT_FOUND &&
        op->error->kind != TT_INVALID)
        return 7;
    tt_op_release(op);
    free(ref);
    bool never = false;
    tt_loop_run(loop, &never);
    tx_guardian_stop();
    if (count_fds() > before)
        return 8;
    int left;
    while ((left = waitpid(-1, NULL, WNOHANG)) > 0)
        return 9;
    if (left == 0)
        return 10;
    tt_scope_release(root);
    if (tt_loop_live_ops(loop))
        return 11;
    tt_env_release(here);
    tt_loop_free(loop);
    return 0;
}

static void each_fault_is_a_clean_error(void **state)
{
    (void)state;
#ifndef TT_FAULTS
    skip();
#endif
    static const char *const points[] = {
        "none",
        "watch.create",
        "watch.poll",
        "watch.add",
        "guardian.memfd",
        "guardian.map",
        "guardian.pipe",
        "guardian.spawn",
        "local.stdio",
        "local.null",
        "local.pipe",
        "local.nonblock",
        "local.ptmx",
        "local.terminal",
        "local.dup",
        "local.pidfd",
        "local_user.lookup",
        "local_spawn.stack",
        "local_spawn.clone",
        "local_spawn.stat",
        "local_process.read",
        "local_process.write",
        "local_process.wait",
        "local_process.signal",
        "local_group.pidfd",
        "local_group.proc",
        "work.queue",
        "buf.reserve",
        "loop.init",
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int nth = 0; nth < 4; nth++) {
            char text[64];
            snprintf(text, sizeof text, "%s:%d%s", points[i], nth ? nth : 1, nth ? "" : "+");
            pid_t pid = fork();
            if (pid == 0) {
                setenv("TUTTI_FAULT", text, 1);
                alarm(60);
                execl("/proc/self/exe", "test_local", "faulty", NULL);
                _exit(99);
            }
            int status;
            waitpid(pid, &status, 0);
            if (status)
                fail_msg("%s: %s %d", text, WIFEXITED(status) ? "code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "victim") == 0)
        return victim(argv[2]);
    if (argc == 2 && strcmp(argv[1], "first") == 0)
        return first_process();
    if (argc == 2 && strcmp(argv[1], "faulty") == 0)
        return scenario();
    if (argc == 3 && strcmp(argv[1], "only") == 0)
        cmocka_set_test_filter(argv[2]);
    const struct CMUnitTest tests[] = {
        T(a_string_goes_to_the_shell),
        T(argv_arrives_byte_exact),
        T(ends_are_told_apart),
        T(the_launcher_says_what_failed),
        T(too_long_is_invalid),
        T(cwd_and_env_take_effect),
        T(commands_are_found_along_the_childs_path),
        T(root_runs_as_another_user),
        T(both_streams_arrive_byte_exact),
        T(output_has_a_limit),
        T(stdin_is_given),
        T(a_terminal_on_request),
        T(a_timeout_leaves_nothing),
        T(who_traps_term_is_killed_with_grandchildren),
        T(a_background_child_is_left_alone),
        T(cancelling_ends_it_first),
        T(yes_is_broken_off),
        T(streams_are_pulled),
        T(a_reference_finds_the_process_again),
        T(no_descriptor_leaks),
        T(a_process_given_up_is_reaped),
        T(signals_are_default_in_commands),
        T(many_at_once),
        T(killing_all_reaches_every_group),
        T(no_orphan_when_we_are_killed),
        T(a_killed_guardian_is_replaced),
        T(process_1_reaps_orphans),
        T(each_fault_is_a_clean_error),
        T(usage_is_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
