/* No orphans, whoever dies: this program is started again, to be killed. */
#include "local_support.h"

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
        execl("/proc/self/exe", "test", "victim", m, NULL);
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
        assert_true(seconds_since(&began) < 60);
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

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "victim") == 0)
        return victim(argv[2]);
    if (argc == 2 && strcmp(argv[1], "first") == 0)
        return first_process();
    const struct CMUnitTest tests[] = {
        T(killing_all_reaches_every_group),
        T(no_orphan_when_we_are_killed),
        T(a_killed_guardian_is_replaced),
        T(process_1_reaps_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
