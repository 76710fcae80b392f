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
                execl("/proc/self/exe", "test", "faulty", NULL);
                _exit(99);
            }
            int status;
            waitpid(pid, &status, 0);
            if (status)
                fail_msg("%s: %s %d", text, WIFEXITED(status) ? "code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        }
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
