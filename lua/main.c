/* The process: state, signals, the command line in Lua, the exit code. */
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/local/guardian.h"
#include "executors/schemes.h"
#include "lua/env/env.h"
#include "lua/libraries.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"
#include "lua/vm/masked.h"
#include "lua/vm/masker.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { closing_ms = 15000 };

static struct lt_vm *vm;
static uv_async_t wake;
static volatile sig_atomic_t first_signal;

/* --- signals ---
 *
 * The handler runs at any moment, also while Lua does not return to the loop: the first signal asks
 * the running code to stop and wakes the loop; a second Ctrl-C ends the process at once. */

static void on_signal(int signal)
{
    int saved = errno;
    if (first_signal && signal == SIGINT) {
        static const char told[] = "tutti: stopped at once: what ran here was killed\n";
        (void)!write(STDERR_FILENO, told, sizeof told - 1);
        tx_guardian_kill_all();
        _exit(128 + SIGINT);
    }
    if (!first_signal) {
        first_signal = signal;
        lt_vm_interrupt(vm);
        uv_async_send(&wake);
    }
    errno = saved;
}

static const char *signal_text(int signal)
{
    return signal == SIGINT ? "interrupted" : signal == SIGHUP ? "hung up" : "terminated";
}

static void on_wake(uv_async_t *async)
{
    (void)async;
    lt_vm_cancel_program(vm, signal_text(first_signal));
}

/* Also those that were inherited as ignored: a background job can still be interrupted. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* --- the beginning --- */

static int start(struct tt_loop **loop, struct tt_error **err)
{
    uint64_t seed; /* of all the loop's numbers: the only ones that come from the system */
    int rc = TT_FAULT("main.random") ? UV_EIO : uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL);
    if (rc < 0)
        return tt_fail(err, TT_IO, "no random numbers: %s", uv_strerror(rc));
    rc = tt_loop_new(loop, TT_CLOCK_REAL, seed, err);
    if (rc < 0)
        return rc;
    tt_env_schemes_use(*loop, tx_schemes);
    rc = lt_vm_new(&vm, *loop, err);
    if (rc == 0 && (rc = lt_libraries_open(vm, err)) < 0)
        lt_vm_free(vm);
    return rc;
}

/* --- the command line --- */

/* A descriptor of ours that is given the number of a closed standard one would get what a script or
 * a child prints. Reading a closed one finds its end; writing to a closed standard output fails,
 * for results are lost there. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

struct arguments {
    int argc;
    char **argv;
};

static int prepare_main(lua_State *L, void *arg)
{
    const struct arguments *a = arg;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tutti.cli.main");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_remove(L, -2);
    lua_createtable(L, a->argc, 0);
    for (int i = 1; i < a->argc; i++) {
        lua_pushstring(L, a->argv[i]);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

struct outcome {
    struct tt_op *op;
    int code;
};

static int read_code(lua_State *L)
{
    struct outcome *outcome = lua_touserdata(L, 1);
    if (lt_call_push(L, outcome->op) > 0 && lua_isinteger(L, -1))
        outcome->code = (int)lua_tointeger(L, -1);
    return 0;
}

static void on_done(struct tt_op *op, void *finished)
{
    (void)op;
    *(bool *)finished = true;
}

static void await(struct tt_loop *loop, struct tt_op *op)
{
    bool finished = false;
    tt_op_await(op, on_done, &finished);
    if (tt_loop_run(loop, &finished))
        return;
    fprintf(stderr, "tutti: nothing is left that could happen: tasks wait for each other\n");
    fflush(NULL);
    _exit(1);
}

static void report(const struct outcome *outcome)
{
    char *text = tt_error_text(outcome->op->error);
    const char *traceback = lt_call_traceback(outcome->op);
    lt_warn(vm, "%s%s%s", text, traceback ? "\n" : "", traceback ? traceback : "");
    free(text);
}

/* Connections and containers of our own do not outlive us, but they do not hold us up for long. */
static void close_environments(struct tt_loop *loop)
{
    struct tt_scope *scope =
        tt_scope_shielded(loop, tt_deadline_after(tt_loop_now(loop), closing_ms));
    struct tt_op *op = lt_envs_close(vm, scope);
    await(loop, op);
    tt_op_release(op);
    tt_scope_release(scope);
}

/* Runs cli.main to its end. */
static int run_main(struct tt_loop *loop, struct arguments *arguments)
{
    struct outcome outcome = {lt_call(vm, lt_vm_base(vm), "tutti", prepare_main, arguments), 1};
    await(loop, outcome.op);
    if (outcome.op->error)
        report(&outcome);
    else
        lt_vm_protect(vm, read_code, &outcome, NULL);
    tt_op_release(outcome.op);
    lt_vm_exiting(vm, &outcome.code);
    close_environments(loop);
    return first_signal ? 128 + first_signal : outcome.code;
}

#ifdef TT_FAULTS
/* The loop's own timer stays until the loop is freed. */
static void name_handle(uv_handle_t *handle, void *count)
{
    if (uv_is_closing(handle) || !uv_is_active(handle) || handle->type == UV_TIMER)
        return;
    ++*(int *)count;
    fprintf(stderr, "tutti: left alive: a %s handle\n", uv_handle_type_name(handle->type));
}

/* What is left now was forgotten by somebody. */
static void check_leaks(struct tt_loop *loop)
{
    int handles = 0;
    size_t ops = tt_op_report_leaks();
    uv_walk(tt_loop_uv(loop), name_handle, &handles);
    if (ops > 0 || handles > 0)
        abort();
}
#endif

int main(int argc, char **argv)
{
    struct tt_loop *loop = NULL;
    struct tt_error *err = NULL;
    struct arguments arguments = {argc, argv};
    fill_standard_descriptors();
    if (start(&loop, &err) < 0) {
        char *text = tt_error_text(err);
        fprintf(stderr, "tutti: %s\n", text);
        free(text);
        tt_error_free(err);
        tt_loop_free(loop);
        return 1;
    }
    uv_async_init(tt_loop_uv(loop), &wake, on_wake);
    uv_unref((uv_handle_t *)&wake);
    catch_signals();
    int code = run_main(loop, &arguments);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    uv_close((uv_handle_t *)&wake, NULL);
    lt_vm_free(vm);
    /* what was cancelled when its owner went: a process that is being ended, a worker's last work
     */
    tt_loop_settle(loop, closing_ms);
#ifdef TT_FAULTS
    check_leaks(loop);
#endif
    tt_loop_free(loop);
    tx_guardian_stop();
    return lt_stdout_end() || code ? code : 1;
}
