/* What an engine records is all that its run was: told to another run, it leads to the same tasks,
 * and folded into records, to the same results, values, errors and artifacts. */
#include "engine_support.h"

#include "core/base/bytes.h"
#include "core/base/owner.h"
#include "core/engine/parts.h"
#include "core/journal/codec.h"

struct recording {
    struct tt_run_options options;
    struct tt_buf inputs;
    unsigned started, inputs_before_start;
};

static void on_started(void *arg, const struct tt_run_options *options, uint32_t jobs,
                       const json_t *params)
{
    struct recording *recording = arg;
    (void)jobs;
    assert_true(json_is_object(params));
    recording->options = *options;
    recording->started++;
}

static void on_input(void *arg, const struct tt_input *input)
{
    struct recording *recording = arg;
    struct tt_buf bytes = {0};
    recording->inputs_before_start += !recording->started;
    tt_input_put(&bytes, input, NULL);
    tt_put_bytes(&recording->inputs, bytes.data, bytes.length);
    tt_buf_free(&bytes);
}

static void same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static void same_error(const struct tt_error *a, const struct tt_error *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (!a)
        return;
    char *one = tt_error_text(a), *other = tt_error_text(b);
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(one, other);
    free(one);
    free(other);
}

static void same_record(const struct tt_record *a, const struct tt_record *b)
{
    same_text(a->where, b->where);
    same_error(a->error, b->error);
    same_error(a->rollback_error, b->rollback_error);
    assert_int_equal(a->error_name, b->error_name);
    assert_true(json_equal(a->value, b->value) || a->value == b->value);
    assert_int_equal(a->artifacts.count, b->artifacts.count);
    assert_int_equal(a->result == NULL, b->result == NULL);
    if (!a->result)
        return;
    assert_int_equal(a->result->code, b->result->code);
    assert_int_equal(a->result->out.length, b->result->out.length);
    if (a->result->out.length)
        assert_memory_equal(a->result->out.data, b->result->out.data, a->result->out.length);
}

static void same_view(const struct tt_run *a, const struct tt_run *b, uint32_t task)
{
    struct tt_task_view one, other;
    tt_run_task(a, task, &one);
    tt_run_task(b, task, &other);
    assert_string_equal(one.name, other.name);
    assert_int_equal(one.status, other.status);
    assert_int_equal(one.attempts, other.attempts);
    assert_int_equal(one.started, other.started);
    assert_int_equal(one.ended, other.ended);
    assert_int_equal(one.error.kind, other.error.kind);
    assert_int_equal(one.error.value, other.error.value);
    assert_int_equal(one.rollback, other.rollback);
    same_text(one.message, other.message);
}

enum { most_tasks = 16 };

struct replay {
    struct tt_run *run;
    enum tt_phase phases[most_tasks]; /* of the last operation begun */
    struct tt_record records[most_tasks];
};

static void take(struct replay *r)
{
    const struct tt_effect *fx;
    for (size_t count; (count = tt_run_take(r->run, &fx)) > 0;)
        for (size_t i = 0; i < count; i++)
            if (fx[i].type == TT_FX_BEGIN)
                r->phases[fx[i].task] = fx[i].phase;
}

static void tell_again(struct bench *b, struct replay *r, const char *bytes, size_t length)
{
    struct tt_revival revival = {b->loop, &host, b->plan};
    struct tt_input input;
    struct tt_yield yield;
    assert_int_equal(tt_input_get(bytes, length, &revival, &input, &yield, NULL), 0);
    if (input.type == TT_IN_ENDED) {
        uint32_t task = (uint32_t)(input.op >> 32);
        tt_record_fold(&r->records[task], r->phases[task], &input.outcome, &yield);
    }
    struct tt_task_spec *specs = yield.added ? tt_plan_specs(yield.added) : NULL;
    if (input.outcome.kind == TT_OK && specs) {
        input.added = specs;
        input.added_count = tt_plan_count(yield.added);
    }
    if (input.type != TT_IN_STARTED) /* tt_plan_start tells that */
        assert_int_equal(tt_run_tell(r->run, &input, NULL), 0);
    take(r);
    tt_plan_specs_free(specs);
    tt_yield_clear(&yield);
}

static void replay(struct bench *b, const struct recording *recording,
                   const struct tt_engine *engine)
{
    struct replay r = {0};
    assert_int_equal(recording->started, 1);
    assert_int_equal(recording->inputs_before_start, 0);
    assert_int_equal(tt_plan_start(b->plan, &recording->options, &r.run, NULL), 0);
    struct tt_bytes_reader in = {recording->inputs.data,
                                 recording->inputs.data + recording->inputs.length, false};
    while (in.at < in.end) {
        size_t length;
        const char *bytes = tt_get_bytes(&in, &length);
        tell_again(b, &r, bytes, length);
    }
    assert_int_equal(tt_run_status(r.run), tt_run_status(tt_engine_run(engine)));
    assert_int_equal(tt_run_count(r.run), tt_run_count(tt_engine_run(engine)));
    for (uint32_t t = 0; t < tt_run_count(r.run); t++) {
        const struct tt_record *record = tt_engine_record(engine, t);
        same_view(tt_engine_run(engine), r.run, t);
        if (record)
            same_record(record, &r.records[t]);
        tt_record_clear(&r.records[t]);
    }
    tt_run_free(r.run);
}

static struct tt_engine *record(struct bench *b, struct recording *recording)
{
    struct tt_engine_options options = {
        .plan = b->plan,
        .jobs = 2,
        .state_dir = b->dir,
        .listener = {on_event, b, true},
        .recorder = {on_started, on_input, recording},
    };
    b->op = tt_engine_start(b->scope, &options);
    tt_op_await(b->op, on_done, b);
    return finish(b);
}

static void a_run_with_all_that_there_is(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    struct recording recording = {0};
    static const struct tx_fake_output output = {.text = "done \xff\n"};
    static const struct tx_fake_command commands[] = {
        {.line = "flaky", .code = 3, .lasts = 100, .outputs = &output, .output_count = 1},
        {.line = "well", .lasts = 50, .outputs = &output, .output_count = 1},
        {.line = "extra", .lasts = 10},
        {.line = "check", .code = 1, .lasts = 5},
        {.line = "undo", .lasts = 5},
    };
    tx_fake_add(b->env, commands, sizeof commands / sizeof *commands);
    b->env->limit = 1;
    declare(b->plan, b->env, "first", "well", NULL);
    struct tt_task *adds = declare(b->plan, b->env, "gen", "well", "first");
    adds->run = function(adds_task);
    struct tt_task *value = declare(b->plan, b->env, "value", "well", "first");
    value->run = function(returns_seven);
    struct tt_task *sick = declare(b->plan, b->env, "sick", "well", "value");
    more(b, sick)->health = shell(b->plan, "check");
    more(b, sick)->health_retries = 1;
    more(b, sick)->health_interval = 10;
    more(b, sick)->rollback = shell(b->plan, "undo");
    struct tt_task *flaky = declare(b->plan, b->env, "flaky", "flaky", NULL);
    more(b, flaky)->retry = (struct tt_retry){.retries = 2, .first = 20, .jitter = 0.5};
    more(b, flaky)->rollback = shell(b->plan, "undo");
    tt_plan_set_options(b->plan, &(struct tt_plan_options){.on_failure = TT_ON_FAILURE_CONTINUE});
    struct tt_engine *engine = record(b, &recording);
    assert_status(b, TT_RUN_FAILED);
    assert_int_equal(tt_run_count(tt_engine_run(engine)), 6);
    replay(b, &recording, engine);
    tt_buf_free(&recording.inputs);
    bench_free(b);
}

static void stop(struct tt_timer *timer)
{
    struct bench *b = tt_owner(timer, struct bench, timer);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "somebody pressed Ctrl-C");
    tt_op_cancel(b->op, why);
    tt_error_free(why);
}

static void a_cancelled_run(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    struct recording recording = {0};
    static const struct tx_fake_command commands[] = {{.line = "long", .lasts = 1000},
                                                      {.line = "undo", .lasts = 5}};
    tx_fake_add(b->env, commands, 2);
    struct tt_task *task = declare(b->plan, b->env, "long", "long", NULL);
    more(b, task)->rollback = shell(b->plan, "undo");
    declare(b->plan, b->env, "never", "long", "long");
    tt_timer_start(b->loop, &b->timer, tt_loop_now(b->loop) + 100, stop);
    struct tt_engine *engine = record(b, &recording);
    assert_status(b, TT_RUN_CANCELLED);
    replay(b, &recording, engine);
    tt_buf_free(&recording.inputs);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_with_all_that_there_is),
        cmocka_unit_test(a_cancelled_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
