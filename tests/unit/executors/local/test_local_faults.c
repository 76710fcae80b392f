/* Every fault point of local commands fails in turn, each in a process of its own. */
#include "local_support.h"

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

/* Runs of the scenario, some of them side by side, because each waits for a command's end. */
enum { at_once = 4 };
static struct run {
    pid_t pid;
    char fault[64];
} runs[at_once];

static void start_run(struct run *run, const char *variable, const char *fault)
{
    snprintf(run->fault, sizeof run->fault, "%s", fault);
    run->pid = fork();
    if (run->pid == 0) {
        setenv(variable, fault, 1);
        alarm(60);
        execl("/proc/self/exe", "test", "faulty", NULL);
        _exit(99);
    }
}

/* Waits until one of them ends well; its place is free. NULL: none runs. */
static struct run *end_one(void)
{
    int status;
    pid_t pid = wait(&status);
    for (int i = 0; i < at_once && pid > 0; i++) {
        if (runs[i].pid != pid)
            continue;
        runs[i].pid = 0;
        if (status)
            fail_msg("%s: %s %d", runs[i].fault, WIFEXITED(status) ? "code" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return &runs[i];
    }
    return NULL;
}

static struct run *place(void)
{
    for (int i = 0; i < at_once; i++)
        if (!runs[i].pid)
            return &runs[i];
    return end_one();
}

/* The passages of the scenario without a fault, one a line: see core/base/fault.h. */
static char *passages(void)
{
    char path[] = "/tmp/tutti-passages-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    start_run(&runs[0], "TUTTI_FAULT_LIST", path);
    assert_non_null(end_one());
    char *all = tt_zalloc(1 << 16);
    assert_true(read(fd, all, (1 << 16) - 1) > 0);
    close(fd);
    unlink(path);
    return all;
}

static void each_fault_is_a_clean_error(void **state)
{
    (void)state;
#ifndef TT_FAULTS
    skip();
#endif
    static const char *const points[] = {
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
    char *passed = passages();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int nth = 0; nth < 4; nth++) {
            char text[64], line[66];
            snprintf(text, sizeof text, "%s:%d%s", points[i], nth ? nth : 1, nth ? "" : "+");
            snprintf(line, sizeof line, "%s\n", text);
            if (nth < 2 || strstr(passed, line)) /* a passage that there is */
                start_run(place(), "TUTTI_FAULT", text);
        }
    while (end_one())
        continue;
    free(passed);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "faulty") == 0)
        return scenario();
    const struct CMUnitTest tests[] = {
        T(each_fault_is_a_clean_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
