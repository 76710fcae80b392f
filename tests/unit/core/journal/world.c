#include "tests/unit/core/journal/world.h"

#include "core/base/alloc.h"
#include "core/base/bytes.h"
#include "core/env/registry.h"
#include "core/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- environments and code that only have names ---------------------------------------------- */

static void env_free(struct tt_env *env)
{
    free(env);
}

static const struct tt_env_class env_class = {.kind = "named", .free = env_free};

/* "named://h2" allows two commands at once; "named://h0" any number. */
static int from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err)
{
    (void)loop;
    (void)err;
    char *identity = tt_format("%s#", text);
    *env = tt_zalloc(sizeof **env);
    tt_env_init(*env, &env_class, text, identity);
    (*env)->limit = text[strlen(text) - 1] - '0';
    free(identity);
    return 0;
}

void world_use(struct tt_loop *loop)
{
    static const struct tt_env_scheme named = {"named", from_text};
    static const struct tt_env_scheme *const schemes[] = {&named, NULL};
    tt_env_schemes_use(loop, schemes);
}

static const char *name_of(struct tt_script_host *host, uint32_t id)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3"};
    (void)host;
    return names[id];
}

static int find(struct tt_script_host *host, const char *name, uint32_t *id, struct tt_error **err)
{
    (void)host;
    (void)err;
    *id = (uint32_t)(name[1] - '0');
    return 0;
}

static void hold(struct tt_script_host *host, uint32_t id)
{
    (void)host;
    (void)id;
}

struct tt_script_host *world_host(void)
{
    static const struct tt_script_host_class class_ = {
        .name = name_of, .find = find, .retain = hold, .release = hold};
    static struct tt_script_host host = {&class_};
    return &host;
}

/* ---- dice ------------------------------------------------------------------------------------ */

static struct tt_random dice;

static uint32_t roll(uint32_t sides)
{
    return (uint32_t)(tt_random_next(&dice) % sides);
}

static bool chance(uint32_t percent)
{
    return roll(100) < percent;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static char *text_in(struct tt_plan *plan, const char *text)
{
    return tt_plan_text(plan, text, strlen(text));
}

static struct tt_action random_action(struct tt_plan *plan)
{
    struct tt_action action = {.form = TT_ACTION_SHELL};
    switch (roll(3)) {
    case 0:
        action.shell = text_in(plan, chance(50) ? "make \"$X\"" : "printf '\xff\xfe\n'");
        break;
    case 1:
        action.form = TT_ACTION_ARGV;
        action.argv = tt_plan_alloc(plan, 3 * sizeof(char *));
        action.argv[0] = text_in(plan, "echo");
        action.argv[1] = text_in(plan, "\xc3\xa4 b\x01");
        break;
    default:
        action.form = TT_ACTION_CALL;
        action.function = roll(4);
        tt_plan_hold_function(plan, action.function);
    }
    return action;
}

static void random_more(struct tt_plan *plan, struct tt_task *task)
{
    struct tt_task_more *more = tt_task_need_more(plan, task);
    if (chance(15))
        more->when = chance(70) ? TT_WHEN_CALL : TT_WHEN_NEVER;
    more->when_function = more->when == TT_WHEN_CALL ? roll(4) : 0;
    if (chance(50))
        more->retry = (struct tt_retry){roll(4), chance(50), roll(20), 2, 50, 0.5};
    if (chance(50))
        more->rollback = random_action(plan);
    if (chance(20))
        more->rollback_timeout = 1 + roll(20);
    if (chance(30))
        more->health = random_action(plan);
    more->health_retries = roll(3);
    more->health_interval = roll(10);
    if (chance(20)) {
        more->output.items = tt_plan_alloc(plan, sizeof(char *));
        more->output.items[0] = text_in(plan, "dist/**");
        more->output.count = 1;
    }
    if (chance(20)) {
        more->matrix = tt_plan_alloc(plan, sizeof *more->matrix);
        more->matrix[0] =
            (struct tt_matrix_value){text_in(plan, "v"), text_in(plan, "MATRIX_v"),
                                     text_in(plan, "1"), tt_plan_keep(plan, json_integer(1))};
        more->matrix_count = 1;
    }
}

static struct tt_env *env_of(struct tt_plan *plan, struct tt_loop *loop)
{
    char text[] = "named://h0", identity[] = "named://h0#";
    text[9] = identity[9] = (char)('0' + roll(4));
    struct tt_env *env = tt_plan_find_env(plan, identity);
    if (!env) {
        tt_env_from_text(&env, loop, text, NULL);
        tt_plan_hold_env(plan, env);
        tt_env_release(env);
    }
    return env;
}

static struct tt_task *random_task(struct tt_plan *plan, struct tt_loop *loop, const char *name)
{
    struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
    task->name = text_in(plan, name);
    task->file = tt_plan_intern(plan, "random.lua");
    task->line = 1 + (int)roll(100);
    if (chance(90))
        task->run = random_action(plan);
    task->env = env_of(plan, loop);
    task->timeout = chance(25) ? 1 + roll(40) : 0;
    task->deadline = chance(25) ? 1 + roll(80) : 0;
    if (chance(30))
        task->cwd = text_in(plan, "/tmp/\x80");
    if (chance(30)) {
        task->vars = tt_plan_alloc(plan, sizeof *task->vars);
        task->vars[0].name = text_in(plan, "X");
        task->vars[0].value = tt_plan_secret(plan, "1 2");
        task->var_count = 1;
    }
    if (chance(80))
        random_more(plan, task);
    return task;
}

/* Needs some of the tasks t0 … t<count-1>. */
static void random_needs(struct tt_plan *plan, struct tt_task *task, uint32_t count)
{
    struct tt_texts *lists[] = {&task->needs, &task->after};
    for (int l = 0; l < 2 && count; l++) {
        uint32_t links = roll(3);
        lists[l]->items = tt_plan_alloc(plan, (links + 1) * sizeof(char *));
        for (lists[l]->count = 0; lists[l]->count < links; lists[l]->count++) {
            char name[16];
            snprintf(name, sizeof name, "t%u", roll(count));
            lists[l]->items[lists[l]->count] = text_in(plan, name);
        }
    }
}

static struct tt_plan *random_plan(struct tt_loop *loop, uint32_t first, uint32_t count)
{
    struct tt_plan *plan = tt_plan_new(world_host(), "random", "random.lua", 1);
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", first + i);
        struct tt_task *task = random_task(plan, loop, name);
        random_needs(plan, task, first + i);
        tt_plan_add(plan, task, NULL);
    }
    return plan;
}

struct tt_plan *world_plan(struct tt_loop *loop, uint64_t seed)
{
    dice.state = seed;
    return random_plan(loop, 0, 1 + roll(10));
}

/* ---- what operations yield ------------------------------------------------------------------- */

static void random_bytes(struct tt_buf *buf)
{
    for (uint32_t i = roll(chance(5) ? 5000 : 20); i > 0; i--)
        tt_buf_add(buf, &(unsigned char){(unsigned char)roll(256)}, 1);
}

static struct tt_result *random_result(enum tt_kind kind)
{
    struct tt_result *result = tt_result_new();
    result->kind = kind;
    result->code = (int)roll(257) - 1;
    result->signal = (int)roll(32);
    random_bytes(&result->out);
    random_bytes(&result->err);
    result->truncated = chance(20);
    result->duration = roll(1000) / 7.0;
    result->env = tt_strdup("named://h1");
    result->usage = (struct tt_usage){roll(10) / 3.0, -1, roll(100000), -1, -1};
    result->message = kind ? tt_strdup("it failed") : NULL;
    return result;
}

static void random_yield(struct world *w, const struct tt_input *input, enum tt_phase phase,
                         struct tt_yield *yield)
{
    enum tt_kind kind = input->outcome.kind;
    yield->called = chance(30);
    yield->environment = chance(80) ? tt_strdup("named://h2") : NULL;
    if (chance(60))
        yield->result = random_result(kind);
    if (chance(30))
        yield->value =
            json_pack("{s:[i, f, n, b], s:s}", "a", (int)roll(1000), 0.1, 1, "\xc3\xa4", "text");
    if (kind) {
        yield->error = tt_error_new(kind, "cause %u", roll(10));
        if (chance(50))
            tt_fail(&yield->error, kind, "what was done");
    }
    if (chance(10))
        yield->trace = tt_strdup("random.lua:1: in function\nrandom.lua:2");
    if (phase == TT_PHASE_OUTPUT && !kind) {
        struct tt_artifact one = {
            .path = (char *)(uintptr_t) "dist/a", .size = roll(1000), .mode = 0644};
        memset(one.sha256, 'a', 64);
        yield->artifacts = tt_zalloc(sizeof *yield->artifacts);
        tt_artifacts_add(yield->artifacts, &one);
    }
    if (phase == TT_PHASE_RUN && tt_run_count(w->run) < 30 && chance(10))
        yield->added = random_plan(w->revival.loop, tt_run_count(w->run), 1 + roll(3));
}

/* ---- telling --------------------------------------------------------------------------------- */

static void record_effect(struct tt_buf *out, const struct tt_effect *fx)
{
    uint64_t numbers[] = {fx->type,
                          fx->phase,
                          fx->status,
                          fx->run_status,
                          fx->task,
                          fx->attempt,
                          fx->check,
                          fx->first,
                          fx->count,
                          fx->op,
                          fx->set,
                          fx->priority,
                          (uint64_t)fx->deadline,
                          (uint64_t)fx->limit,
                          (uint64_t)fx->at,
                          (uint64_t)fx->now,
                          fx->outcome.kind,
                          fx->outcome.refused,
                          (uint64_t)fx->outcome.code,
                          fx->outcome.value};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        tt_put_number(out, numbers[i]);
    tt_put_text(out, fx->message);
}

static void follow(struct world *w, const struct tt_effect *fx)
{
    record_effect(&w->effects, fx);
    tt_slots_effect(&w->slots, fx);
    if (fx->type == TT_FX_BEGIN) {
        w->running[w->running_count].op = fx->op;
        w->running[w->running_count].task = fx->task;
        w->running[w->running_count].phase = fx->phase;
        w->running[w->running_count++].told = false;
    } else if (fx->type == TT_FX_CANCEL) {
        for (uint32_t i = 0; i < w->running_count; i++)
            w->running[i].told |= w->running[i].op == fx->op;
    } else if (fx->type == TT_FX_RUN_ENDED) {
        w->over = true;
    }
}

static int tell(struct world *w, struct tt_input *input)
{
    struct tt_plan *added = input->yield ? input->yield->added : NULL;
    if (added && input->outcome.kind == TT_OK) {
        input->added = tt_plan_specs(added);
        input->added_count = tt_plan_count(added);
    }
    if (input->type == TT_IN_ENDED)
        for (uint32_t i = 0; i < w->running_count; i++)
            if (w->running[i].op == input->op)
                w->running[i--] = w->running[--w->running_count];
    w->now = input->now;
    w->step++;
    int rc = tt_run_tell(w->run, input, NULL);
    tt_plan_specs_free((struct tt_task_spec *)(uintptr_t)input->added);
    const struct tt_effect *effects;
    for (size_t count; (count = tt_run_take(w->run, &effects)) > 0;)
        for (size_t i = 0; i < count; i++)
            follow(w, &effects[i]);
    return rc;
}

void world_begin(struct world *w, struct tt_loop *loop, uint64_t seed, struct tt_plan *plan)
{
    dice.state = seed ^ 0x5eed;
    struct tt_run_options options = {.on_failure = (enum tt_on_failure)roll(3),
                                     .rollback = (enum tt_rollback_mode)roll(3),
                                     .seed = seed};
    *w = (struct world){.seed = seed, .revival = {loop, world_host(), plan}, .plan = plan};
    w->run = tt_run_new(&options);
    struct tt_task_spec *specs = tt_plan_specs(plan);
    tt_run_add(w->run, specs, tt_plan_count(plan), NULL, NULL);
    tt_plan_specs_free(specs);
    tt_slots_init(&w->slots, w->run, roll(4));
}

static void choose(struct world *w, struct tt_input *input, struct tt_yield *yield)
{
    dice.state = (w->seed + 1) * 0x9e3779b97f4a7c15u + w->step;
    *input = (struct tt_input){.type = TT_IN_TICK, .now = w->now + roll(6), .outcome.code = -1};
    int64_t wake = tt_run_wake_at(w->run);
    if (w->step == 0) {
        input->type = TT_IN_STARTED;
    } else if (chance(1)) {
        input->type = TT_IN_CANCELLED;
    } else if (w->running_count == 0 || chance(15)) {
        input->now = wake == TT_NEVER || (w->running_count && chance(30)) ? input->now : wake;
    } else {
        uint32_t i = roll(w->running_count);
        input->type = TT_IN_ENDED;
        input->op = w->running[i].op;
        if (w->running[i].told && chance(80))
            input->outcome.kind = TT_CANCELLED;
        else if (chance(15))
            input->outcome.kind = (enum tt_kind)(1 + roll(TT_KIND_COUNT - 1));
        input->outcome.refused = w->running[i].phase == TT_PHASE_WHEN && chance(20);
        input->outcome.value = roll(1000);
        input->yield = yield;
        random_yield(w, input, w->running[i].phase, yield);
    }
}

bool world_go(struct world *w)
{
    struct tt_input input;
    struct tt_yield yield = {0};
    struct tt_buf bytes = {0};
    if (w->over)
        return false;
    if (tt_slots_next(&w->slots, &input))
        input.now = w->now;
    else
        choose(w, &input, &yield);
    tt_input_put(&bytes, &input, NULL);
    tt_put_bytes(&w->inputs, bytes.data, bytes.length);
    tt_buf_free(&bytes);
    int rc = tell(w, &input);
    tt_yield_clear(&yield);
    return rc == 0;
}

const char *world_replay(struct world *w, const char *bytes, size_t length)
{
    struct tt_input input, grant;
    struct tt_yield yield;
    struct tt_buf again = {0};
    struct tt_error *err = NULL;
    const char *wrong = NULL;
    if (tt_input_get(bytes, length, &w->revival, &input, &yield, &err) < 0) {
        fprintf(stderr, "%s\n", err->message);
        tt_error_free(err);
        return "an input cannot be read";
    }
    tt_input_put(&again, &input, NULL);
    if (again.length != length || memcmp(again.data, bytes, length) != 0)
        wrong = "an input that was read is written otherwise";
    else if (input.type == TT_IN_GRANTED &&
             (!tt_slots_next(&w->slots, &grant) || grant.op != input.op))
        wrong = "another task is granted its slots";
    else if (tell(w, &input) < 0)
        wrong = "an input is refused";
    tt_put_bytes(&w->inputs, bytes, length);
    tt_buf_free(&again);
    tt_yield_clear(&yield);
    return wrong;
}

void world_end(struct world *w)
{
    tt_slots_clear(&w->slots);
    tt_run_free(w->run);
    tt_plan_release(w->plan);
    tt_buf_free(&w->inputs);
    tt_buf_free(&w->effects);
}
