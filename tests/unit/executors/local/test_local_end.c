/* Commands of this machine: timeout, cancel, background, streams, references; nothing stays behind.
 */
#include "local_support.h"

/* --- timeout, cancel, background --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
