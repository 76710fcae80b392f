/* What the tests of the engine share: plans put together by hand, user code that is a number,
 * scripted commands on a virtual clock, and the events as one line of words. */
#ifndef ENGINE_SUPPORT_H
#define ENGINE_SUPPORT_H

#include "core/base/alloc.h"
#include "core/base/json.h"
#include "core/engine/engine.h"
#include "core/engine/report.h"
#include "core/store/tasklog.h"
#include "executors/fake.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- user code: what a function does is its number --------------------------------------------
 */

enum { returns_nothing = 1, returns_false, returns_seven, fails_script, adds_task, adds_cycle };

static inline struct tt_plan *added_plan(struct tt_task_call *call, const char *need);

static inline struct tt_op *call(struct tt_script_host *host, uint32_t id, void *args,
                                 struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"call", tt_op_cancel_now, tt_value_op_free};
    (void)host;
    struct tt_value_op *op = tt_zalloc(sizeof *op);
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    struct tt_error *err = NULL;
    switch (id) {
    case returns_false:
        op->value = json_false();
        break;
    case returns_seven:
        op->value = json_integer(7);
        break;
    case fails_script:
        err = tt_error_new(TT_SCRIPT, "demo.lua:3: boom");
        break;
    case adds_task:
        ((struct tt_task_call *)args)->added = added_plan(args, "first");
        break;
    case adds_cycle:
        ((struct tt_task_call *)args)->added = added_plan(args, "extra");
        break;
    default:
        break;
    }
    tt_op_finish(&op->op, err);
    return &op->op;
}

static inline char *describe(struct tt_script_host *host, uint32_t id)
{
    (void)host;
    return tt_format("function %u", id);
}

static int no_find(struct tt_script_host *host, const char *name, uint32_t *id,
                   struct tt_error **err)
{
    (void)host, (void)id;
    return tt_fail(err, TT_NOT_FOUND, "%s", name);
}

static const char *no_name(struct tt_script_host *host, uint32_t id)
{
    (void)host, (void)id;
    return NULL;
}

static inline void nothing(struct tt_script_host *host, uint32_t id)
{
    (void)host, (void)id;
}

static const struct tt_script_host_class host_class = {call,    describe, no_name,
                                                       no_find, nothing,  nothing};
static struct tt_script_host host = {&host_class};

/* ---- the bench ---------------------------------------------------------------------------------
 */

struct bench {
    struct tt_loop *loop;
    struct tt_scope *scope;
    struct tt_env *env;
    struct tt_plan *plan;
    struct tt_op *op;
    struct tt_buf story; /* the events in short */
    struct tt_timer timer;
    bool finished;
    char dir[64];
};

static inline struct bench *bench_new(void)
{
    static const char dir[] = "/tmp/tutti-test-engine-XXXXXX";
    struct bench *b = tt_zalloc(sizeof *b);
    assert_int_equal(tt_loop_new(&b->loop, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    b->scope = tt_scope_new(b->loop, NULL);
    b->env = tx_fake_new(b->loop, "fake:");
    b->plan = tt_plan_new(&host, "demo", "demo.lua", 1);
    tt_plan_hold_env(b->plan, b->env);
    memcpy(b->dir, dir, sizeof dir);
    assert_non_null(mkdtemp(b->dir));
    return b;
}

static inline int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

static inline void bench_free(struct bench *b)
{
    tt_op_release(b->op);
    tt_plan_release(b->plan);
    tt_scope_release(b->scope);
    tt_env_release(b->env);
    assert_int_equal(tt_loop_live_ops(b->loop), 0);
    tt_loop_free(b->loop);
    tt_buf_free(&b->story);
    assert_int_equal(nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(b);
}

static inline struct tt_texts names(struct tt_plan *plan, const char *words)
{
    struct tt_texts list = {tt_plan_alloc(plan, 16 * sizeof(char *)), 0};
    while (words && *words) {
        size_t length = strcspn(words, " ");
        list.items[list.count++] = tt_plan_text(plan, words, length);
        words += length;
        words += strspn(words, " ");
    }
    return list;
}

static inline struct tt_action shell(struct tt_plan *plan, const char *line)
{
    return (struct tt_action){.form = TT_ACTION_SHELL,
                              .shell = tt_plan_text(plan, line, strlen(line))};
}

static inline struct tt_action function(uint32_t id)
{
    return (struct tt_action){.form = TT_ACTION_CALL, .function = id};
}

static inline struct tt_task *declare(struct tt_plan *plan, struct tt_env *env, const char *name,
                                      const char *run, const char *needs)
{
    struct tt_task *task = tt_plan_alloc(plan, sizeof *task);
    task->name = tt_plan_text(plan, name, strlen(name));
    task->file = tt_plan_intern(plan, "demo.lua");
    task->env = env;
    task->run = shell(plan, run ? run : name);
    task->needs = names(plan, needs);
    assert_int_equal(tt_plan_add(plan, task, NULL), 0);
    return task;
}

static inline struct tt_task *task(struct bench *b, const char *name, const char *needs)
{
    return declare(b->plan, b->env, name, NULL, needs);
}

static inline struct tt_task_more *more(struct bench *b, struct tt_task *of)
{
    return tt_task_need_more(b->plan, of);
}

static inline struct tt_plan *added_plan(struct tt_task_call *about, const char *need)
{
    const struct tt_plan *whole = tt_engine_plan(about->engine);
    struct tt_plan *plan = tt_plan_new(tt_plan_host(whole), "demo", "demo.lua", 1);
    tt_plan_hold_env(plan, about->env);
    declare(plan, about->env, "extra", NULL, need);
    return plan;
}

static inline void on_event(void *arg, const struct tt_event *event)
{
    struct bench *b = arg;
    static const char *const words[] = {
        [TT_EV_RUN_STARTED] = "run",       [TT_EV_ATTEMPT_STARTED] = "start",
        [TT_EV_OUTPUT] = "output",         [TT_EV_RETRY] = "retry",
        [TT_EV_HEALTH] = "health",         [TT_EV_TASK_ENDED] = "end",
        [TT_EV_TASKS_ADDED] = "added",     [TT_EV_CANCELLING] = "cancelling",
        [TT_EV_ROLLBACK_STARTED] = "back", [TT_EV_ROLLBACK_ENDED] = "undone",
        [TT_EV_WARNING] = "warning",       [TT_EV_RUN_ENDED] = "over"};
    const struct tt_run *run = tt_engine_run(tt_engine_of(b->op));
    tt_buf_format(&b->story, "%s%s", b->story.length ? " " : "", words[event->type]);
    switch (event->type) {
    case TT_EV_RUN_STARTED:
    case TT_EV_RUN_ENDED:
    case TT_EV_CANCELLING:
        break;
    default:
        tt_buf_format(&b->story, ":%s", tt_run_name(run, event->task));
    }
    if (event->type == TT_EV_TASK_ENDED)
        tt_buf_format(&b->story, "=%s", tt_task_status_name(event->status));
    if (event->type == TT_EV_ROLLBACK_ENDED)
        tt_buf_format(&b->story, "=%s", event->error ? "failed" : "ok");
    if (event->type == TT_EV_HEALTH)
        tt_buf_format(&b->story, "=%s", event->error ? "bad" : "good");
    if (event->type == TT_EV_OUTPUT)
        tt_buf_format(&b->story, "=%.*s", (int)event->length, event->text);
}

static inline void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    ((struct bench *)arg)->finished = true;
}

static inline void begin(struct bench *b, uint32_t jobs, json_t *params)
{
    struct tt_engine_options options = {.plan = b->plan,
                                        .params = params,
                                        .jobs = jobs,
                                        .state_dir = b->dir,
                                        .listener = {on_event, b, true}};
    b->op = tt_engine_start(b->scope, &options);
    tt_op_await(b->op, on_done, b);
}

static inline struct tt_engine *finish(struct bench *b)
{
    assert_true(tt_loop_run(b->loop, &b->finished));
    return tt_engine_of(b->op);
}

static inline struct tt_engine *run(struct bench *b, uint32_t jobs)
{
    begin(b, jobs, NULL);
    return finish(b);
}

static inline void assert_story(struct bench *b, const char *story)
{
    assert_string_equal(b->story.data, story);
}

static inline void assert_status(struct bench *b, enum tt_run_status status)
{
    assert_null(b->op->error);
    assert_int_equal(tt_run_status(tt_engine_run(tt_engine_of(b->op))), status);
}

static inline bool exists(const char *dir, const char *below)
{
    char *path = tt_format("%s%s", dir, below);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

#endif
