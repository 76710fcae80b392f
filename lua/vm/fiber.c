#include "lua/vm/fiber.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "lua/value/error.h"
#include "lua/vm/spawn.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* --- the body: the user's function, then what it spawned, then what it deferred --- */

/* "tutti/NAME.lua:12: ": how long that is at the beginning of a message; else 0. */
static size_t own_position(const char *message)
{
    static const char folder[] = "tutti/";
    const char *at = strstr(message, ".lua:");
    if (strncmp(message, folder, sizeof folder - 1) != 0 || !at ||
        memchr(message, ' ', (size_t)(at - message)))
        return 0;
    at += strlen(".lua:");
    size_t digits = strspn(at, "0123456789");
    return digits && strncmp(at + digits, ": ", 2) == 0 ? (size_t)(at - message) + digits + 2 : 0;
}

/* The message handler of the body: notes where the error came from. What a function of the standard
 * library found wrong is told at the line of the user's that called it. */
static int note_traceback(lua_State *L)
{
    struct lt_task *task = lt_vm_of(L)->current;
    size_t own = lua_type(L, 1) == LUA_TSTRING ? own_position(lua_tostring(L, 1)) : 0;
    if (own && *lt_push_where(L)) {
        lua_pushstring(L, lua_tostring(L, 1) + own);
        lua_concat(L, 2);
        lua_replace(L, 1);
    }
    lua_settop(L, 1);
    lt_push_traceback(L, L, 1);
    free(task->traceback);
    task->traceback = tt_strdup(lua_tostring(L, -1));
    lua_pop(L, 1);
    return 1;
}

enum { after_function, after_children, after_deferred };

/* Stack: the handler, then the results or one error value. */
static void set_failed(lua_State *L, struct lt_task *task)
{
    if (!task->failed) {
        task->failed = true;
        lt_error_wrap(L);
        lua_copy(L, -1, 2);
    }
    lua_settop(L, 2);
}

/* Of children that failed and were not joined: the first is this task's failure, the others are
 * reported. */
static void collect_unjoined(lua_State *L, struct lt_task *task)
{
    while (task->unjoined) {
        struct lt_task *child = task->unjoined;
        task->unjoined = child->next_unjoined;
        child->next_unjoined = NULL;
        child->joined = true;
        if (!task->failed) {
            lua_settop(L, 1);
            lt_call_push(L, &child->op);
            if (child->traceback && !task->traceback)
                task->traceback = tt_strdup(child->traceback);
            set_failed(L, task);
        } else {
            lt_report_lost_error(&child->op);
        }
        tt_op_release(&child->op);
    }
}

/* The next deferred function on the stack, newest first; false when none is left. */
static bool pop_deferred(lua_State *L, struct lt_task *task)
{
    if (task->defers_ref == LUA_NOREF)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->defers_ref);
    for (lua_Integer n = (lua_Integer)lua_rawlen(L, -1); n > 0; n--) {
        lua_rawgeti(L, -1, n);
        lua_pushnil(L);
        lua_rawseti(L, -3, n);
        if (lt_take_deferred(L)) {
            lua_remove(L, -2);
            return true;
        }
    }
    lua_pop(L, 1);
    return false;
}

static int body_end(lua_State *L, struct lt_task *task)
{
    if (!task->failed)
        return lua_gettop(L) - 1;
    tt_error_free(task->error);
    task->error = lt_error_of(L, 2);
    lt_error_set_traceback(L, 2, task->traceback);
    return 1;
}

/* What the finished stage leaves: one error value, or the results. */
static void take_stage(lua_State *L, struct lt_task *task, int status, lua_KContext stage)
{
    bool error = status != LUA_OK && status != LUA_YIELD;
    if (stage == after_function && error)
        set_failed(L, task);
    if (stage != after_deferred)
        return;
    task->cleaning--;
    if (error && task->failed) {
        lt_report_cleanup_error(L);
        lua_settop(L, 2);
    } else if (error) {
        set_failed(L, task);
    }
}

static void cancel_children(struct lt_task *task)
{
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the task that started it failed");
    tt_scope_cancel(task->scope, why);
    tt_error_free(why);
}

static int body_next(lua_State *L, int status, lua_KContext stage)
{
    struct lt_task *task = lt_vm_of(L)->current;
    for (;;) {
        take_stage(L, task, status, stage);
        if (task->children) {
            if (task->failed)
                cancel_children(task);
            return lt_suspend(L, lt_children_end(task), body_next, after_children);
        }
        collect_unjoined(L, task);
        if (!pop_deferred(L, task))
            return body_end(L, task);
        task->cleaning++;
        status = lua_pcallk(L, 0, 0, 1, after_deferred, body_next);
        stage = after_deferred;
    }
}

int lt_task_body(lua_State *L)
{
    lua_pushcfunction(L, note_traceback);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, after_function, body_next);
    return body_next(L, status, after_function);
}

/* --- the driver --- */

static void conclude(void *arg)
{
    struct lt_task *task = arg;
    struct tt_error *err = task->error;
    task->error = NULL;
    tt_scope_release(task->scope);
    tt_scope_release(task->cleanup);
    task->scope = task->cleanup = NULL;
    lt_joins_end(task);
    tt_op_finish(&task->op, err);
}

static void cancel_rest(struct tt_scope *scope)
{
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the script that started it ended");
    tt_scope_cancel(scope, why);
    tt_error_free(why);
}

static void end_cleanup(void *arg)
{
    struct lt_task *task = arg;
    if (!task->cleanup) {
        conclude(task);
        return;
    }
    cancel_rest(task->cleanup);
    tt_scope_on_idle(task->cleanup, conclude, task);
}

/* The body is over. What still runs in its scope (commands that nobody waited for) is ended before
 * the task is. */
static void finish(struct lt_task *task)
{
    lt_unref(task->vm, task->defers_ref);
    task->defers_ref = LUA_NOREF;
    lt_drop_awaited(task);
    for (struct lt_task *child; (child = task->unjoined);) {
        task->unjoined = child->next_unjoined;
        lt_report_lost_error(&child->op);
        tt_op_release(&child->op);
    }
    cancel_rest(task->scope);
    tt_scope_on_idle(task->scope, end_cleanup, task);
}

static void on_abandoned(struct tt_op *op, void *arg)
{
    (void)op;
    finish(arg);
}

/* The body itself could not end properly: memory ran out, an error object that fails when it is
 * looked at, or a C library that yielded where nobody resumes. */
static void abandon(struct lt_task *task, const char *why)
{
    const char *text = lua_type(task->L, -1) == LUA_TSTRING ? lua_tostring(task->L, -1) : NULL;
    tt_error_free(task->error);
    task->error = tt_error_new(TT_SCRIPT, "%s", why ? why : text ? text : "broken error object");
    task->failed = true;
    lua_resetthread(task->L);
    lua_settop(task->L, 0);
    task->values = 0;
    if (!task->children) {
        finish(task);
        return;
    }
    cancel_children(task);
    lt_drop_awaited(task);
    task->awaited = lt_children_end(task);
    tt_op_await(task->awaited, on_abandoned, task);
}

static void resume(struct lt_task *task);

static void on_awaited(struct tt_op *op, void *arg)
{
    (void)op;
    resume(arg);
}

static void resume(struct lt_task *task)
{
    struct lt_vm *vm = task->vm;
    struct lt_level level;
    int first = task->awaited ? 0 : lua_gettop(task->L) - 1, count = 0;
    if (vm->gc_stress)
        lua_gc(vm->L, LUA_GCCOLLECT);
    vm->current = task;
    vm->blocked = 0;
    lt_enter_level(vm, &level, task->L);
    lt_overrun_watch(task);
    int status = lua_resume(task->L, NULL, first, &count);
    vm->levels = NULL;
    vm->current = NULL;
    vm->interrupted = 0;
    vm->overdue = 0;
    bool awaiting = vm->awaiting;
    vm->awaiting = false;
    switch (status) {
    case LUA_YIELD:
        if (awaiting)
            tt_op_await(task->awaited, on_awaited, task);
        else
            abandon(task, "attempt to yield from outside a coroutine");
        break;
    case LUA_OK:
        task->values = count;
        finish(task);
        break;
    default:
        abandon(task, NULL);
    }
}

static void on_start(struct tt_job *job)
{
    struct lt_task *task = tt_owner(job, struct lt_task, start);
    const struct tt_error *why = tt_scope_why(task->scope);
    if (!task->error && !why) {
        resume(task);
        return;
    }
    if (!task->error)
        task->error = tt_error_copy(why);
    task->failed = true;
    lua_settop(task->L, 0);
    finish(task);
}

/* --- the operation --- */

static void task_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct lt_task *task = lt_task_of_op(op);
    if (task->cleanup)
        tt_scope_deadline(task->cleanup, tt_loop_now(op->loop) + lt_cleanup_ms, "cleaning up");
    tt_scope_cancel(task->scope, why);
}

static void task_free(struct tt_op *op)
{
    struct lt_task *task = lt_task_of_op(op);
    tt_scope_release(task->scope);
    lt_unref(task->vm, task->thread_ref);
    tt_error_free(task->error);
    free(task->name);
    free(task->traceback);
    free(task);
}

static const struct tt_op_class task_class = {"task", task_cancel, task_free};

struct preparation {
    struct lt_task *task;
    lt_prepare *prepare;
    void *arg;
};

static int prepare_thread(lua_State *L)
{
    struct preparation *p = lua_touserdata(L, 1);
    lua_settop(L, 0);
    p->task->L = lua_newthread(L);
    p->task->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(p->task->L, lt_task_body);
    int count = p->prepare(L, p->arg) + 1;
    if (!lua_checkstack(p->task->L, count + LUA_MINSTACK))
        return luaL_error(L, "too many arguments");
    lua_xmove(L, p->task->L, count);
    return 0;
}

struct tt_op *lt_call(struct lt_vm *vm, struct tt_scope *scope, const char *name,
                      lt_prepare *prepare, void *arg)
{
    struct lt_task *task = tt_zalloc(sizeof *task);
    task->vm = vm;
    task->thread_ref = task->defers_ref = LUA_NOREF;
    task->name = tt_strdup(name);
    task->start.run = on_start;
    tt_op_init(&task->op, &task_class, scope);
    if (tt_op_finished(&task->op)) {
        task->failed = true;
        return &task->op;
    }
    struct preparation p = {task, prepare, arg};
    if (lt_vm_protect(vm, prepare_thread, &p, &task->error) < 0 && !task->L) {
        struct tt_error *err = task->error;
        task->error = NULL;
        task->failed = true;
        tt_op_finish(&task->op, err);
        return &task->op;
    }
    task->scope = tt_scope_new(vm->loop, scope);
    tt_loop_post(vm->loop, &task->start);
    return &task->op;
}

int lt_call_push(lua_State *L, struct tt_op *op)
{
    struct lt_task *task = lt_task_of_op(op);
    int count = task->failed ? 1 : task->values;
    luaL_checkstack(L, count, "too many results");
    if (task->failed && (!task->L || lua_gettop(task->L) == 0)) {
        lt_push_error(L, op->error);
        return -1;
    }
    if (!lua_checkstack(task->L, count))
        luaL_error(L, "too many results");
    int base = lua_gettop(task->L) - count;
    for (int i = 1; i <= count; i++)
        lua_pushvalue(task->L, base + i);
    lua_xmove(task->L, L, count);
    return task->failed ? -1 : count;
}

const char *lt_call_traceback(struct tt_op *op)
{
    return lt_task_of_op(op)->traceback;
}

int lt_prepare_ref(lua_State *L, void *arg)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, *(int *)arg);
    return 0;
}

const char *lt_task_name(lua_State *L)
{
    struct lt_task *task = lt_vm_of(L)->current;
    return task ? task->name : NULL;
}
