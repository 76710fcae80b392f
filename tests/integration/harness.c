#include "harness.h"

struct tt_loop *loop;
struct tt_scope *root;

enum { patience_ms = 40000 };

int set_up_loop(void **state)
{
    (void)state;
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_REAL, 1, NULL), 0);
    root = tt_scope_new(loop, NULL);
    return 0;
}

int tear_down_loop(void **state)
{
    (void)state;
    bool never = false;
    tt_scope_release(root);
    while (tt_loop_live_ops(loop) && tt_loop_run(loop, &never))
        continue;
    assert_int_equal(tt_loop_live_ops(loop), 0);
    tt_loop_free(loop);
    return 0;
}

struct patience {
    struct tt_timer timer;
    bool done, over;
};

static void on_over(struct tt_timer *timer)
{
    struct patience *patience = (struct patience *)(void *)timer;
    patience->done = patience->over = true;
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    ((struct patience *)arg)->done = true;
}

void await(struct tt_op *op)
{
    struct patience patience = {0};
    tt_timer_start(loop, &patience.timer, tt_loop_now(loop) + patience_ms, on_over);
    tt_op_await(op, on_done, &patience);
    tt_loop_run(loop, &patience.done);
    tt_timer_stop(loop, &patience.timer);
    if (patience.over)
        print_error("%s did not finish\n", op->class_->name);
    assert_false(patience.over);
    assert_true(tt_op_finished(op));
}

void await_release(struct tt_op *op)
{
    await(op);
    assert_done(op);
    tt_op_release(op);
}

void pass(int64_t ms)
{
    await_release(tt_sleep(root, ms));
}

struct tt_result *run_command(struct tt_env *env, struct tt_command *command,
                              const struct tt_capture_options *options)
{
    struct tt_capture_options defaults;
    tt_capture_defaults(&defaults);
    struct tt_op *op = tt_capture(env, root, command, options ? options : &defaults);
    await(op);
    assert_done(op);
    struct tt_result *result = tt_result_retain(tt_result_of(op));
    tt_op_release(op);
    return result;
}

struct tt_result *run_shell(struct tt_env *env, const char *line)
{
    struct tt_command command = {.shell = tt_strdup(line)};
    struct tt_result *result = run_command(env, &command, NULL);
    tt_command_clear(&command);
    return result;
}

struct tt_result *run_words(struct tt_env *env, char *const *words)
{
    struct tt_command given = {.argv = (char **)(uintptr_t)words}, command;
    tt_command_copy(&command, &given);
    struct tt_result *result = run_command(env, &command, NULL);
    tt_command_clear(&command);
    return result;
}

int host(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *line = tt_vformat(format, args);
    va_end(args);
    int status = system(line);
    free(line);
    return status < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

char *host_output(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *line = tt_vformat(format, args);
    va_end(args);
    struct tt_buf out = {0};
    FILE *pipe = popen(line, "re");
    char piece[4096];
    assert_non_null(pipe);
    for (size_t got; (got = fread(piece, 1, sizeof piece, pipe)) > 0;)
        tt_buf_add(&out, piece, got);
    pclose(pipe);
    free(line);
    return tt_buf_take(&out);
}
