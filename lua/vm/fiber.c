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
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    size_t own = lua_type(L, 1) == LUA_TSTRING ? own_position(lua_tostring(L, 1)) : 0;
    if (own && *lt_push_where(L)) {
        lua_pushstring(L, lua_tostring(L, 1) + own);
        lua_concat(L, 2);
        lua_replace(L, 1);
    }
    lua_settop(L, 1);
    lt_push_traceback(L, L, 1);
    free(fiber->traceback);
    fiber->traceback = tt_strdup(lua_tostring(L, -1));
    lua_pop(L, 1);
    return 1;
}

enum { after_function, after_children, after_deferred };

/* Stack: the handler, then the results or one error value. */
static void set_failed(lua_State *L, struct lt_fiber *fiber)
{
    if (!fiber->failed) {
        fiber->failed = true;
        lt_error_wrap(L);
        lua_copy(L, -1, 2);
    }
    lua_settop(L, 2);
}

/* Of children that failed and were not joined: the first is this fiber's failure, the others are
 * reported. */
static void collect_unjoined(lua_State *L, struct lt_fiber *fiber)
{
    while (fiber->unjoined) {
        struct lt_fiber *child = fiber->unjoined;
        fiber->unjoined = child->next_unjoined;
        child->next_unjoined = NULL;
        child->joined = true;
        if (!fiber->failed) {
            lua_settop(L, 1);
            lt_call_push(L, &child->op);
            if (child->traceback && !fiber->traceback)
                fiber->traceback = tt_strdup(child->traceback);
            set_failed(L, fiber);
        } else {
            lt_report_lost_error(&child->op);
        }
        tt_op_release(&child->op);
    }
}

/* The next deferred function on the stack, newest first; false when none is left. */
static bool pop_deferred(lua_State *L, struct lt_fiber *fiber)
{
    if (fiber->defers_ref == LUA_NOREF)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->defers_ref);
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

static int body_end(lua_State *L, struct lt_fiber *fiber)
{
    if (!fiber->failed)
        return lua_gettop(L) - 1;
    tt_error_free(fiber->error);
    fiber->error = lt_error_of(L, 2);
    lt_error_set_traceback(L, 2, fiber->traceback);
    return 1;
}

/* What the finished stage leaves: one error value, or the results. */
static void take_stage(lua_State *L, struct lt_fiber *fiber, int status, lua_KContext stage)
{
    bool error = status != LUA_OK && status != LUA_YIELD;
    if (stage == after_function && error)
        set_failed(L, fiber);
    if (stage != after_deferred)
        return;
    fiber->cleaning--;
    if (error && fiber->failed) {
        lt_report_cleanup_error(L);
        lua_settop(L, 2);
    } else if (error) {
        set_failed(L, fiber);
    }
}

static void cancel_children(struct lt_fiber *fiber)
{
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the task that started it failed");
    tt_scope_cancel(fiber->scope, why);
    tt_error_free(why);
}

static int body_next(lua_State *L, int status, lua_KContext stage)
{
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    for (;;) {
        take_stage(L, fiber, status, stage);
        if (fiber->children) {
            if (fiber->failed)
                cancel_children(fiber);
            return lt_suspend(L, lt_children_end(fiber), body_next, after_children);
        }
        collect_unjoined(L, fiber);
        if (!pop_deferred(L, fiber))
            return body_end(L, fiber);
        fiber->cleaning++;
        status = lua_pcallk(L, 0, 0, 1, after_deferred, body_next);
        stage = after_deferred;
    }
}

int lt_fiber_body(lua_State *L)
{
    lua_pushcfunction(L, note_traceback);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, after_function, body_next);
    return body_next(L, status, after_function);
}

/* --- the driver --- */

static void conclude(void *arg)
{
    struct lt_fiber *fiber = arg;
    struct tt_error *err = fiber->error;
    fiber->error = NULL;
    tt_scope_release(fiber->scope);
    tt_scope_release(fiber->cleanup);
    fiber->scope = fiber->cleanup = NULL;
    lt_joins_end(fiber);
    tt_op_finish(&fiber->op, err);
}

static void cancel_rest(struct tt_scope *scope)
{
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the script that started it ended");
    tt_scope_cancel(scope, why);
    tt_error_free(why);
}

static void end_cleanup(void *arg)
{
    struct lt_fiber *fiber = arg;
    if (!fiber->cleanup) {
        conclude(fiber);
        return;
    }
    cancel_rest(fiber->cleanup);
    tt_scope_on_idle(fiber->cleanup, conclude, fiber);
}

/* The body is over. What still runs in its scope (commands that nobody waited for) is ended before
 * the fiber is. */
static void finish(struct lt_fiber *fiber)
{
    lt_unref(fiber->vm, fiber->defers_ref);
    fiber->defers_ref = LUA_NOREF;
    lt_drop_awaited(fiber);
    for (struct lt_fiber *child; (child = fiber->unjoined);) {
        fiber->unjoined = child->next_unjoined;
        lt_report_lost_error(&child->op);
        tt_op_release(&child->op);
    }
    cancel_rest(fiber->scope);
    tt_scope_on_idle(fiber->scope, end_cleanup, fiber);
}

static void on_abandoned(struct tt_op *op, void *arg)
{
    (void)op;
    finish(arg);
}

/* The body itself could not end properly: memory ran out, an error object that fails when it is
 * looked at, or a C library that yielded where nobody resumes. */
static void abandon(struct lt_fiber *fiber, const char *why)
{
    const char *text = lua_type(fiber->L, -1) == LUA_TSTRING ? lua_tostring(fiber->L, -1) : NULL;
    tt_error_free(fiber->error);
    fiber->error = tt_error_new(TT_SCRIPT, "%s", why ? why : text ? text : "broken error object");
    fiber->failed = true;
    lua_resetthread(fiber->L);
    lua_settop(fiber->L, 0);
    fiber->values = 0;
    if (!fiber->children) {
        finish(fiber);
        return;
    }
    cancel_children(fiber);
    lt_drop_awaited(fiber);
    fiber->awaited = lt_children_end(fiber);
    tt_op_await(fiber->awaited, on_abandoned, fiber);
}

static void resume(struct lt_fiber *fiber);

static void on_awaited(struct tt_op *op, void *arg)
{
    (void)op;
    resume(arg);
}

static void resume(struct lt_fiber *fiber)
{
    struct lt_vm *vm = fiber->vm;
    struct lt_level level;
    int first = fiber->awaited ? 0 : lua_gettop(fiber->L) - 1, count = 0;
    if (vm->gc_stress)
        lua_gc(vm->L, LUA_GCCOLLECT);
    vm->current = fiber;
    vm->blocked = 0;
    lt_enter_level(vm, &level, fiber->L);
    lt_overrun_watch(fiber);
    int status = lua_resume(fiber->L, NULL, first, &count);
    vm->levels = NULL;
    vm->current = NULL;
    vm->interrupted = 0;
    vm->overdue = 0;
    bool awaiting = vm->awaiting;
    vm->awaiting = false;
    switch (status) {
    case LUA_YIELD:
        if (awaiting)
            tt_op_await(fiber->awaited, on_awaited, fiber);
        else
            abandon(fiber, "attempt to yield from outside a coroutine");
        break;
    case LUA_OK:
        fiber->values = count;
        finish(fiber);
        break;
    default:
        abandon(fiber, NULL);
    }
}

static void on_start(struct tt_job *job)
{
    struct lt_fiber *fiber = tt_owner(job, struct lt_fiber, start);
    const struct tt_error *why = tt_scope_why(fiber->scope);
    if (!fiber->error && !why) {
        resume(fiber);
        return;
    }
    if (!fiber->error)
        fiber->error = tt_error_copy(why);
    fiber->failed = true;
    lua_settop(fiber->L, 0);
    finish(fiber);
}

/* --- the operation --- */

static void fiber_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct lt_fiber *fiber = lt_fiber_of_op(op);
    if (fiber->cleanup)
        tt_scope_deadline(fiber->cleanup, tt_loop_now(op->loop) + lt_cleanup_ms, "cleaning up");
    tt_scope_cancel(fiber->scope, why);
}

static void fiber_free(struct tt_op *op)
{
    struct lt_fiber *fiber = lt_fiber_of_op(op);
    tt_scope_release(fiber->scope);
    lt_unref(fiber->vm, fiber->thread_ref);
    tt_error_free(fiber->error);
    free(fiber->name);
    free(fiber->traceback);
    free(fiber);
}

static const struct tt_op_class fiber_class = {"fiber", fiber_cancel, fiber_free};

struct preparation {
    struct lt_fiber *fiber;
    lt_prepare *prepare;
    void *arg;
};

static int prepare_thread(lua_State *L)
{
    struct preparation *p = lua_touserdata(L, 1);
    lua_settop(L, 0);
    p->fiber->L = lua_newthread(L);
    p->fiber->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(p->fiber->L, lt_fiber_body);
    int count = p->prepare(L, p->arg) + 1;
    if (!lua_checkstack(p->fiber->L, count + LUA_MINSTACK))
        return luaL_error(L, "too many arguments");
    lua_xmove(L, p->fiber->L, count);
    return 0;
}

struct tt_op *lt_call(struct lt_vm *vm, struct tt_scope *scope, const char *name,
                      lt_prepare *prepare, void *arg)
{
    struct lt_fiber *fiber = tt_zalloc(sizeof *fiber);
    fiber->vm = vm;
    fiber->thread_ref = fiber->defers_ref = LUA_NOREF;
    fiber->name = tt_strdup(name);
    fiber->start.run = on_start;
    tt_op_init(&fiber->op, &fiber_class, scope);
    if (tt_op_finished(&fiber->op)) {
        fiber->failed = true;
        return &fiber->op;
    }
    struct preparation p = {fiber, prepare, arg};
    if (lt_vm_protect(vm, prepare_thread, &p, &fiber->error) < 0 && !fiber->L) {
        struct tt_error *err = fiber->error;
        fiber->error = NULL;
        fiber->failed = true;
        tt_op_finish(&fiber->op, err);
        return &fiber->op;
    }
    fiber->scope = tt_scope_new(vm->loop, scope);
    tt_loop_post(vm->loop, &fiber->start);
    return &fiber->op;
}

int lt_call_push(lua_State *L, struct tt_op *op)
{
    struct lt_fiber *fiber = lt_fiber_of_op(op);
    int count = fiber->failed ? 1 : fiber->values;
    luaL_checkstack(L, count, "too many results");
    if (fiber->failed && (!fiber->L || lua_gettop(fiber->L) == 0)) {
        lt_push_error(L, op->error);
        return -1;
    }
    if (!lua_checkstack(fiber->L, count))
        luaL_error(L, "too many results");
    int base = lua_gettop(fiber->L) - count;
    for (int i = 1; i <= count; i++)
        lua_pushvalue(fiber->L, base + i);
    lua_xmove(fiber->L, L, count);
    return fiber->failed ? -1 : count;
}

const char *lt_call_traceback(struct tt_op *op)
{
    return lt_fiber_of_op(op)->traceback;
}

int lt_prepare_ref(lua_State *L, void *arg)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, *(int *)arg);
    return 0;
}

const char *lt_fiber_name(lua_State *L)
{
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    return fiber ? fiber->name : NULL;
}
