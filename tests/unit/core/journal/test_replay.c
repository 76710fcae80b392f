/* A run is all in its inputs. Ten thousand random runs are recorded as bytes: the plan as data,
 * every input, every effect. A fresh process reads them, makes the plan again, tells the inputs to
 * new runs, and gets the same effects byte for byte. And it cuts each run somewhere, tells a new
 * run what came before the cut, and goes on by itself: to the same end, byte for byte.
 *
 * TUTTI_REPLAY_RUNS=N plays that many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/env/registry.h"
#include "core/plan/data.h"
#include "tests/unit/core/journal/world.h"

static struct tt_loop *loop;

static void put_file(FILE *file, const struct tt_buf *bytes)
{
    uint64_t length = bytes->length;
    assert_int_equal(fwrite(&length, sizeof length, 1, file), 1);
    assert_int_equal(fwrite(bytes->data ? bytes->data : "", 1, length, file), length);
}

static bool get_file(FILE *file, struct tt_buf *bytes)
{
    uint64_t length;
    bytes->length = 0;
    if (fread(&length, sizeof length, 1, file) != 1)
        return false;
    char *room = tt_buf_reserve(bytes, length + 1);
    bytes->length = fread(room, 1, length, file);
    return bytes->length == length;
}

/* ---- the recording process ------------------------------------------------------------------- */

static void record(FILE *file, uint64_t seed)
{
    struct world w;
    struct tt_buf text = {0};
    struct tt_plan *plan = world_plan(loop, seed);
    json_t *data = tt_plan_to_data(plan, NULL);
    assert_int_equal(tt_json_dump(&text, data, 0, NULL), 0);
    json_decref(data);
    world_begin(&w, loop, seed, plan);
    while (world_go(&w))
        assert_true(w.step < 20000);
    assert_true(w.over);
    put_file(file, &text);
    put_file(file, &w.inputs);
    put_file(file, &w.effects);
    tt_buf_free(&text);
    world_end(&w);
}

static void in_a_fresh_process(void **state)
{
    char path[] = "/tmp/tutti-replay.XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    const char *many = getenv("TUTTI_REPLAY_RUNS");
    uint64_t count = many ? strtoull(many, NULL, 10) : 10000;
    for (uint64_t seed = 1; seed <= count; seed++)
        record(file, seed);
    assert_int_equal(fclose(file), 0);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_replay", path, NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    unlink(path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)state;
}

/* ---- the process that replays ---------------------------------------------------------------- */

struct recorded {
    uint64_t seed;
    struct tt_buf plan, inputs, effects;
};

static int differs(const struct recorded *r, const char *what)
{
    fprintf(stderr, "run %llu: %s\n", (unsigned long long)r->seed, what);
    return 1;
}

static bool same(const struct tt_buf *a, const struct tt_buf *b)
{
    return a->length == b->length && (!a->length || memcmp(a->data, b->data, a->length) == 0);
}

/* Replays the first `cut` inputs and goes on by itself. */
static int replay(const struct recorded *r, uint64_t cut)
{
    struct world w;
    struct tt_plan *plan = NULL;
    struct tt_error *err = NULL;
    json_t *data;
    if (tt_json_parse(&data, r->plan.data, r->plan.length, "the plan", &err) < 0 ||
        tt_plan_from_data(&plan, loop, world_host(), NULL, data, &err) < 0)
        return differs(r, err->message);
    json_decref(data);
    world_begin(&w, loop, r->seed, plan);
    struct tt_bytes_reader in = {r->inputs.data, r->inputs.data + r->inputs.length, false};
    const char *wrong = NULL;
    for (uint64_t i = 0; i < cut && in.at < in.end && !wrong; i++) {
        size_t length;
        const char *bytes = tt_get_bytes(&in, &length);
        wrong = world_replay(&w, bytes, length);
    }
    while (!wrong && world_go(&w))
        continue;
    if (!wrong && !same(&w.inputs, &r->inputs))
        wrong = "after the cut something else happened";
    if (!wrong && !same(&w.effects, &r->effects))
        wrong = "the effects differ";
    world_end(&w);
    return wrong ? differs(r, wrong) : 0;
}

static int replay_all(const char *path)
{
    FILE *file = fopen(path, "r");
    struct recorded r = {.seed = 1};
    int rc = 0;
    for (; rc == 0 && get_file(file, &r.plan); r.seed++) {
        if (!get_file(file, &r.inputs) || !get_file(file, &r.effects))
            rc = differs(&r, "the recording is short");
        if (rc == 0)
            rc = replay(&r, UINT64_MAX);
        if (rc == 0)
            rc = replay(&r, (r.seed * 0x9e3779b97f4a7c15u >> 33) % 60);
    }
    fclose(file);
    tt_buf_free(&r.plan);
    tt_buf_free(&r.inputs);
    tt_buf_free(&r.effects);
    return rc;
}

/* ---- the plan, and bytes that are none ------------------------------------------------------- */

static void a_plan_is_the_same_as_data(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 200; seed++) {
        struct tt_plan *plan = world_plan(loop, seed), *again;
        json_t *data = tt_plan_to_data(plan, NULL);
        assert_int_equal(tt_plan_from_data(&again, loop, world_host(), NULL, data, NULL), 0);
        json_t *second = tt_plan_to_data(again, NULL);
        assert_true(json_equal(data, second));
        json_decref(data);
        json_decref(second);
        tt_plan_release(plan);
        tt_plan_release(again);
    }
}

static void secrets_are_not_stored(void **state)
{
    (void)state;
    struct tt_plan *plan = tt_plan_new(world_host(), "s", "s.lua", 1), *again;
    struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
    struct tt_masker *masker = tt_masker_new();
    struct tt_error *err = NULL;
    struct tt_buf text = {0};
    tt_masker_add(masker, "hunter2", 7);
    task->name = tt_plan_text(plan, "build", 5);
    task->file = tt_plan_intern(plan, "s.lua");
    task->run = (struct tt_action){.form = TT_ACTION_SHELL,
                                   .shell = tt_plan_text(plan, "login hunter2", 13)};
    struct tt_env *env;
    assert_int_equal(tt_env_from_text(&env, loop, "named://h0", NULL), 0);
    tt_plan_hold_env(plan, env);
    tt_env_release(env);
    task->env = env;
    tt_plan_add(plan, task, NULL);
    json_t *data = tt_plan_to_data(plan, masker);
    tt_json_dump(&text, data, 0, NULL);
    assert_null(strstr(text.data, "hunter2"));
    assert_int_equal(tt_plan_from_data(&again, loop, world_host(), NULL, data, &err), -TT_INVALID);
    assert_string_equal(err->message, "task \"build\": run held a secret, which is not stored");
    tt_error_free(err);
    json_decref(data);
    tt_buf_free(&text);
    tt_masker_free(masker);
    tt_plan_release(plan);
}

/* Every beginning of an input, and every input with a bit flipped, is read or refused, and what is
 * read is written again. */
static void torn_and_damaged_inputs(void **state)
{
    (void)state;
    struct world w;
    world_begin(&w, loop, 7, world_plan(loop, 7));
    while (world_go(&w))
        continue;
    struct tt_bytes_reader in = {w.inputs.data, w.inputs.data + w.inputs.length, false};
    while (in.at < in.end) {
        size_t length;
        char *bytes = (char *)(uintptr_t)tt_get_bytes(&in, &length);
        struct tt_input input;
        struct tt_yield yield;
        for (size_t cut = 0; cut < length; cut++)
            assert_int_equal(tt_input_get(bytes, cut, &w.revival, &input, &yield, NULL),
                             -TT_INVALID);
        for (size_t bit = 0; bit < length * 8; bit += 3) {
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            if (tt_input_get(bytes, length, &w.revival, &input, &yield, NULL) == 0)
                tt_yield_clear(&yield);
            bytes[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
    world_end(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_the_same_as_data),
        cmocka_unit_test(secrets_are_not_stored),
        cmocka_unit_test(torn_and_damaged_inputs),
        cmocka_unit_test(in_a_fresh_process),
    };
    if (tt_loop_new(&loop, TT_CLOCK_VIRTUAL, 1, NULL) < 0)
        return 1;
    world_use(loop);
    int rc = argc > 1 ? replay_all(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
    tt_loop_free(loop);
    return rc;
}
