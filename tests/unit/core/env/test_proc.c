/* A command's life against scripted commands: what its codes mean, its output and input, the
 * handle. */
#include "proc_support.h"

/* --- codes --- */

static void codes_are_judged(void **state)
{
    (void)state;
    static const struct {
        int code, signal;
        enum tt_kind kind;
        int shown_code, shown_signal;
    } rows[] = {
        {0, 0, TT_OK, 0, 0},
        {1, 0, TT_EXIT, 1, 0},
        {125, 0, TT_EXIT, 125, 0},
        {126, 0, TT_PERMISSION, 126, 0},
        {127, 0, TT_NOT_FOUND, 127, 0},
        {128, 0, TT_EXIT, 128, 0},
        {129, 0, TT_SIGNAL, 129, 1},
        {137, 0, TT_SIGNAL, 137, 9},
        {159, 0, TT_SIGNAL, 159, 31},
        {160, 0, TT_EXIT, 160, 0},
        {255, 0, TT_EXIT, 255, 0},
        {0, 9, TT_SIGNAL, 137, 9},
        {0, 15, TT_SIGNAL, 143, 15},
        {0, 64, TT_SIGNAL, 192, 64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tx_fake_command script = {.code = rows[i].code, .signal = rows[i].signal};
        struct tt_result *r = capture(&script);
        assert_int_equal(r->kind, rows[i].kind);
        assert_int_equal(r->code, rows[i].shown_code);
        assert_int_equal(r->signal, rows[i].shown_signal);
        assert_true((r->message == NULL) == (r->kind == TT_OK));
        tt_result_release(r);
    }
}

static void an_end_nobody_saw_has_no_code(void **state)
{
    (void)state;
    struct tx_fake_command script = {.unseen = TT_LOST, .lasts = 50};
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_LOST);
    assert_int_equal(r->code, -1);
    assert_true(r->duration > 0.049 && r->duration < 0.051);
    tt_result_release(r);
}

static void what_does_not_start_is_a_result(void **state)
{
    (void)state;
    static const enum tt_kind kinds[] = {TT_NOT_FOUND, TT_PERMISSION, TT_CWD,  TT_CONNECT,
                                         TT_AUTH,      TT_HOST_KEY,   TT_LOST, TT_IO};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tx_fake_command script = {.refused = kinds[i]};
        struct tt_result *r = capture(&script);
        assert_int_equal(r->kind, kinds[i]);
        assert_int_equal(r->code, -1);
        assert_string_equal(r->env, "fake:");
        assert_contains(r->message, "refuses");
        tt_result_release(r);
    }
}

static void refusals_are_errors(void **state)
{
    (void)state;
    static const enum tt_kind kinds[] = {TT_UNSUPPORTED, TT_INVALID};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tx_fake_command script = {.refused = kinds[i]};
        struct tt_op *op = capture_op(&script);
        await(op);
        assert_int_equal(op->error->kind, kinds[i]);
        tt_op_release(op);
    }
    const struct tt_command bad[] = {
        {0},
        {.argv = (char *[]){NULL}},
        {.shell = (char *)"x", .argv = (char *[]){(char *)"x", NULL}},
        {.shell = (char *)"x", .cwd = (char *)""},
        {.shell = (char *)"x", .user = (char *)"-r"},
        {.shell = (char *)"x", .user = (char *)"a;b"},
        {.shell = (char *)"x", .user = (char *)""},
        {.shell = (char *)"x", .password = (char *)"p"},
        {.shell = (char *)"x",
         .vars = &(struct tt_var){(char *)"A;touch x;B", (char *)""},
         .var_count = 1},
        {.shell = (char *)"x", .vars = &(struct tt_var){(char *)"1A", (char *)""}, .var_count = 1},
        {.shell = (char *)"x", .vars = &(struct tt_var){(char *)"", (char *)""}, .var_count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tt_op *op = tt_capture(env, root, &bad[i], &options);
        await(op);
        assert_int_equal(op->error->kind, TT_INVALID);
        tt_op_release(op);
    }
    assert_int_equal(tx_fake_run_count(env), 0);
}

/* --- output and input --- */

static void too_much_output_stops_the_command(void **state)
{
    (void)state;
    static const struct tx_fake_output outputs[] = {{10, TT_STDOUT, "01234"},
                                                    {20, TT_STDERR, "err"},
                                                    {30, TT_STDOUT, "56789"},
                                                    {40, TT_STDOUT, "abcde"},
                                                    {50, TT_STDERR, "or"}};
    struct tx_fake_command script = {
        .lasts = TT_NEVER, .term_takes = 100, .outputs = outputs, .output_count = 5};
    options.max_output = 8;
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_OUTPUT_LIMIT);
    assert_string_equal(r->out.data, "01234567");
    assert_string_equal(r->err.data, "error");
    assert_false(r->truncated);
    assert_int_equal(elapsed(), 130);
    assert_signals(15, 0);
    tt_result_release(r);
    /* exactly the limit is not over it; over it at the very end is */
    static const struct tx_fake_output eight[] = {{0, TT_STDOUT, "01234567"}, {5, TT_STDOUT, "8"}};
    struct tx_fake_command fits = {.lasts = 10, .outputs = eight, .output_count = 1};
    r = capture(&fits);
    assert_int_equal(r->kind, TT_OK);
    tt_result_release(r);
    struct tx_fake_command over = {.lasts = 4, .holds = 2, .outputs = eight, .output_count = 2};
    r = capture(&over);
    assert_int_equal(r->kind, TT_OUTPUT_LIMIT);
    tt_result_release(r);
}

static void a_tail_never_stops_the_command(void **state)
{
    (void)state;
    static const struct tx_fake_output outputs[] = {{1, TT_STDOUT, "0123456789"},
                                                    {2, TT_STDOUT, "abcdefghij"},
                                                    {3, TT_STDOUT, "KLM"},
                                                    {4, TT_STDERR, "short"}};
    struct tx_fake_command script = {.lasts = 10, .outputs = outputs, .output_count = 4};
    options.max_output = 2;
    options.keep_tail = 6;
    struct tt_result *r = capture(&script);
    assert_int_equal(r->kind, TT_OK);
    assert_string_equal(r->out.data, "hijKLM");
    assert_string_equal(r->err.data, "short");
    assert_true(r->truncated);
    tt_result_release(r);
}

static void see(void *arg, enum tt_stream stream, const char *bytes, size_t length)
{
    tt_buf_format(arg, "%d:", (int)stream);
    tt_buf_add(arg, bytes, length);
    tt_buf_text(arg, " ");
}

static void every_chunk_is_shown(void **state)
{
    (void)state;
    struct tt_buf seen = {0};
    struct tx_fake_command script = {.lasts = 50, .outputs = early, .output_count = 2};
    options.on_output = see;
    options.arg = &seen;
    tt_result_release(capture(&script));
    assert_string_equal(seen.data, "0:partial 1:why ");
    tt_buf_free(&seen);
}

static void input_arrives(void **state)
{
    (void)state;
    static char big[200000];
    memset(big, 'i', sizeof big);
    struct tx_fake_command script = {.lasts = 50};
    options.input = big;
    options.input_length = sizeof big;
    tt_result_release(capture(&script));
    assert_int_equal(tx_fake_run(env, 0)->input.length, sizeof big);
    assert_memory_equal(tx_fake_run(env, 0)->input.data, big, sizeof big);
}

/* --- the handle --- */

static struct tt_proc *start(struct tx_fake_command *script, struct tt_scope *scope)
{
    script->line = "it";
    tx_fake_add(env, script, 1);
    struct tt_op *op =
        tt_proc_start(env, scope, &(struct tt_command){.shell = (char *)"it"}, &options.proc);
    await(op);
    assert_null(op->error);
    struct tt_proc *proc = tt_proc_of(op);
    tt_op_release(op);
    return proc;
}

static size_t read_some(struct tt_proc *proc, enum tt_stream stream)
{
    struct tt_op *op = tt_proc_read(proc, root, stream, 1000);
    await(op);
    assert_null(op->error);
    size_t length = tt_bytes_of(op)->length;
    tt_op_release(op);
    return length;
}

static void set_idle(void *arg)
{
    *(bool *)arg = true;
}

static void the_last_reference_ends_the_command(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = TT_NEVER, .term_takes = 1500};
    struct tt_scope *scope = tt_scope_new(loop, root);
    bool idle = false;
    struct tt_proc *proc = start(&script, scope);
    tt_scope_on_idle(scope, set_idle, &idle);
    tt_proc_release(proc);
    pass(1000);
    assert_false(idle);
    assert_true(tt_loop_run(loop, &idle));
    assert_int_equal(elapsed(), 1500);
    assert_signals(15, 0);
    tt_scope_release(scope);
}

static void wait_does_not_need_a_reader(void **state)
{
    (void)state;
    struct tx_fake_command script = {
        .lasts = 100, .holds = TT_NEVER, .outputs = early, .output_count = 2};
    struct tt_proc *proc = start(&script, root);
    struct tt_op *op = tt_proc_wait(proc, root);
    await(op);
    assert_null(op->error);
    tt_op_release(op);
    assert_int_equal(elapsed(), 100);
    assert_int_equal(tt_proc_result(proc)->kind, TT_OK);
    /* A slow reader still gets what the command wrote, then the end. */
    pass(60000);
    assert_int_equal(read_some(proc, TT_STDOUT), 7);
    int64_t before = tt_loop_now(loop);
    assert_int_equal(read_some(proc, TT_STDOUT), 0);
    assert_in_range(tt_loop_now(loop) - before, 0, 200);
    assert_int_equal(read_some(proc, TT_STDOUT), 0);
    assert_int_equal(read_some(proc, TT_STDERR), 3);
    struct tt_op *sig = tt_proc_signal(proc, root, 1);
    await(sig);
    assert_int_equal(sig->error->kind, TT_NOT_FOUND);
    tt_op_release(sig);
    tt_proc_release(proc);
}

static void a_wait_follows_the_reader(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = 100, .holds = TT_NEVER};
    struct tt_proc *proc = start(&script, root);
    struct tt_op *op = tt_proc_wait(proc, root);
    struct tt_op *read = tt_proc_read(proc, root, TT_STDOUT, 10);
    struct tt_op *second = tt_proc_read(proc, root, TT_STDOUT, 10);
    await(second);
    assert_int_equal(second->error->kind, TT_INVALID);
    tt_op_release(second);
    await(op);
    assert_int_equal(elapsed(), 300);
    assert_true(tt_op_finished(read));
    assert_null(read->error);
    tt_op_release(read);
    tt_op_release(op);
    tt_proc_release(proc);
}

static void a_cancelled_read_loses_nothing(void **state)
{
    (void)state;
    struct tx_fake_command script = {.lasts = 100, .outputs = early, .output_count = 2};
    struct tt_proc *proc = start(&script, root);
    struct tt_op *read = tt_proc_read(proc, root, TT_STDOUT, 100);
    tt_op_cancel(read, &(struct tt_error){.kind = TT_CANCELLED, .message = (char[]){"x"}});
    await(read);
    assert_int_equal(read->error->kind, TT_CANCELLED);
    tt_op_release(read);
    struct tt_op *wait = tt_proc_wait(proc, root);
    tt_op_cancel(wait, &(struct tt_error){.kind = TT_CANCELLED, .message = (char[]){"x"}});
    await(wait);
    assert_int_equal(wait->error->kind, TT_CANCELLED);
    tt_op_release(wait);
    assert_int_equal(read_some(proc, TT_STDOUT), 7);
    assert_int_equal(read_some(proc, TT_STDOUT), 0);
    assert_signals(0, 0);
    tt_proc_release(proc);
}

static void a_dropped_start_is_ended(void **state)
{
    (void)state;
    struct tx_fake_command script = {.line = "it", .lasts = TT_NEVER, .start_takes = 10};
    tx_fake_add(env, &script, 1);
    tt_op_release(
        tt_proc_start(env, root, &(struct tt_command){.shell = (char *)"it"}, &options.proc));
    pass(5000);
    assert_signals(15, 0);
}

static void signal_names(void **state)
{
    (void)state;
    assert_string_equal(tt_signal_name(9), "KILL");
    assert_string_equal(tt_signal_name(31), "SYS");
    assert_string_equal(tt_signal_name(40), "40");
    assert_int_equal(tt_signal_number("TERM"), 15);
    assert_int_equal(tt_signal_number("SIGHUP"), 1);
    assert_int_equal(tt_signal_number("9"), 9);
    assert_int_equal(tt_signal_number("40"), 40);
    assert_int_equal(tt_signal_number("65"), 0);
    assert_int_equal(tt_signal_number("nope"), 0);
    assert_int_equal(tt_signal_number(""), 0);
    assert_int_equal(tt_signal_number("-9"), 0);
    for (int i = 1; i <= 64; i++)
        assert_int_equal(tt_signal_number(tt_signal_name(i)), i);
}

static void commands_copy_deeply(void **state)
{
    (void)state;
    struct tt_command a = {.argv = (char *[]){(char *)"a", (char *)"", NULL}, .cwd = (char *)"/"};
    struct tt_command b, c;
    tt_command_copy(&b, &a);
    for (int i = 0; i < 20; i++) {
        char name[8] = {'V', (char)('A' + i)};
        tt_command_set_var(&b, name, "1");
        tt_command_set_var(&b, name, i % 2 ? "odd" : "even");
    }
    tt_command_copy(&c, &b);
    tt_command_clear(&b);
    assert_int_equal(c.var_count, 20);
    assert_string_equal(c.vars[3].value, "odd");
    assert_string_equal(c.argv[1], "");
    assert_null(c.argv[2]);
    assert_string_equal(c.cwd, "/");
    assert_int_equal(tt_command_check(&c, NULL), 0);
    tt_command_clear(&c);
    assert_null(c.argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(codes_are_judged),
        T(an_end_nobody_saw_has_no_code),
        T(what_does_not_start_is_a_result),
        T(refusals_are_errors),
        T(too_much_output_stops_the_command),
        T(a_tail_never_stops_the_command),
        T(every_chunk_is_shown),
        T(input_arrives),
        T(the_last_reference_ends_the_command),
        T(wait_does_not_need_a_reader),
        T(a_wait_follows_the_reader),
        T(a_cancelled_read_loses_nothing),
        T(a_dropped_start_is_ended),
        T(signal_names),
        T(commands_copy_deeply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
