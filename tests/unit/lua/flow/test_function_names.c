/* The names of a workflow's functions: unlike, made of what they are, and good for finding the same
 * function in another process that loaded the same file (here: in another vm). */
#include "core/base/alloc.h"
#include "executors/schemes.h"
#include "lua/flow/flow.h"
#include "lua/flow/host.h"
#include "lua/libraries.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char script[] =
    "local tutti = require 'tutti'\n"
    "local flow = tutti.workflow 'deploy'\n"
    "local shared = flow:fn('shared', function() end)\n"
    "flow.task 'build' {\n"
    "  run = function() end,\n"
    "  when = function() return true end,\n"
    "  rollback = function() end,\n"
    "  health = { run = function() end, retries = 2 },\n"
    "}\n"
    "flow.task 'test' { run = function() end, matrix = { os = { 'linux', 'mac' } } }\n"
    "flow.task 'a/b%' { run = function() end, needs = 'build' }\n"
    "flow.task 'reuse' { run = shared, rollback = { run = shared } }\n"
    "flow.task 'shell' { run = 'true' }\n"
    "local second = tutti.workflow 'deploy'\n"
    "second.task 'build' { run = function() end }\n"
    "local third = tutti.workflow 'deploy/a'\n"
    "third.task 'b%' { run = function() end }\n"
    "third.task 'build/run' { run = function() end }\n"
    "return flow, second, third\n";

enum { most = 32 };

/* A vm that has loaded the script. */
struct loaded {
    struct tt_loop *loop;
    struct lt_vm *vm;
    struct tt_script_host *host;
    uint32_t ids[most];
    size_t count;
};

static void note(struct loaded *loaded, uint32_t id)
{
    for (size_t i = 0; i < loaded->count; i++)
        if (loaded->ids[i] == id)
            return;
    assert_true(loaded->count < most);
    loaded->ids[loaded->count++] = id;
}

static void note_action(struct loaded *loaded, const struct tt_action *action)
{
    if (action->form == TT_ACTION_CALL)
        note(loaded, action->function);
}

static int load(lua_State *L)
{
    struct loaded *loaded = lua_touserdata(L, 1);
    lua_settop(L, 0);
    if (luaL_loadbuffer(L, script, strlen(script), "@deploy.lua") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, LUA_MULTRET);
    loaded->host = lt_host(L);
    for (int i = 1; i <= 3; i++) {
        struct tt_plan *plan = lt_check_flow(L, i)->plan;
        for (uint32_t k = 0; k < tt_plan_count(plan); k++) {
            const struct tt_task *task = tt_plan_task(plan, k);
            note_action(loaded, &task->run);
            if (!task->more)
                continue;
            note_action(loaded, &task->more->rollback);
            note_action(loaded, &task->more->health);
            if (task->more->when == TT_WHEN_CALL)
                note(loaded, task->more->when_function);
        }
    }
    lua_setfield(L, LUA_REGISTRYINDEX, "test.third"); /* kept from the collector */
    lua_setfield(L, LUA_REGISTRYINDEX, "test.second");
    lua_setfield(L, LUA_REGISTRYINDEX, "test.first");
    return 0;
}

static void open_one(struct loaded *loaded, uint64_t seed)
{
    struct tt_error *err = NULL;
    *loaded = (struct loaded){0};
    assert_int_equal(tt_loop_new(&loaded->loop, TT_CLOCK_REAL, seed, &err), 0);
    tt_env_schemes_use(loaded->loop, tx_schemes);
    assert_int_equal(lt_vm_new(&loaded->vm, loaded->loop, &err), 0);
    if (lt_libraries_open(loaded->vm, &err) < 0 ||
        lt_vm_protect(loaded->vm, load, loaded, &err) < 0)
        fail_msg("%s", err->message);
}

static void close_one(struct loaded *loaded)
{
    lt_vm_free(loaded->vm);
    tt_loop_settle(loaded->loop, 1000);
    tt_loop_free(loaded->loop);
}

static const char *name(const struct loaded *loaded, size_t i)
{
    return loaded->host->class_->name(loaded->host, loaded->ids[i]);
}

static void test_names_say_what_they_are(void **state)
{
    static const char *const expected[] = {"deploy/build/run",    "deploy/build/rollback",
                                           "deploy/build/health", "deploy/build/when",
                                           "deploy/test/run",     "deploy/a%2Fb%25/run",
                                           "deploy/shared",       "deploy/build/run#2",
                                           "deploy%2Fa/b%25/run", "deploy%2Fa/build%2Frun/run"};
    (void)state;
    struct loaded a;
    open_one(&a, 1);
    assert_int_equal(a.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < a.count; i++)
        assert_string_equal(name(&a, i), expected[i]);
    close_one(&a);
}

static void test_another_process_finds_each(void **state)
{
    (void)state;
    struct loaded a, b;
    open_one(&a, 1);
    open_one(&b, 2);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        uint32_t id = 0;
        struct tt_error *err = NULL;
        assert_int_equal(b.host->class_->find(b.host, name(&a, i), &id, &err), 0);
        assert_int_equal(id, b.ids[i]);
        char *here = a.host->class_->describe(a.host, a.ids[i]);
        char *there = b.host->class_->describe(b.host, id);
        assert_string_equal(here, there);
        free(here);
        free(there);
    }
    close_one(&a);
    close_one(&b);
}

static void test_what_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct loaded a;
    uint32_t id = 7;
    struct tt_error *err = NULL;
    open_one(&a, 1);
    assert_int_equal(a.host->class_->find(a.host, "deploy/no/run", &id, &err), -TT_NOT_FOUND);
    assert_string_equal(err->message, "the script has no function deploy/no/run");
    tt_error_free(err);
    close_one(&a);
}

/* Adds a function and gives it back. */
static int add_again(lua_State *L)
{
    struct loaded *loaded = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_loadstring(L, "");
    loaded->ids[0] = lt_host_add(L, 1, "w", "t", "run");
    return 0;
}

static void test_a_name_is_never_given_twice(void **state)
{
    (void)state;
    struct loaded a;
    uint32_t id;
    open_one(&a, 1);
    assert_int_equal(lt_vm_protect(a.vm, add_again, &a, NULL), 0);
    a.host->class_->release(a.host, a.ids[0]);
    assert_int_equal(a.host->class_->find(a.host, "w/t/run", &id, NULL), -TT_NOT_FOUND);
    assert_int_equal(lt_vm_protect(a.vm, add_again, &a, NULL), 0); /* has the same number */
    assert_string_equal(name(&a, 0), "w/t/run#2");
    assert_int_equal(a.host->class_->find(a.host, "w/t/run", &id, NULL), -TT_NOT_FOUND);
    assert_int_equal(a.host->class_->find(a.host, "w/t/run#2", &id, NULL), 0);
    assert_int_equal(id, a.ids[0]);
    a.host->class_->release(a.host, id);
    close_one(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_say_what_they_are),
        cmocka_unit_test(test_another_process_finds_each),
        cmocka_unit_test(test_what_is_not_there_is_not_found),
        cmocka_unit_test(test_a_name_is_never_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
