#include "lua/vm/spawn.h"

#include "core/base/alloc.h"
#include "lua/value/args.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"
#include "lua/vm/masker.h"

#include <lauxlib.h>
#include <stdlib.h>

#define HANDLE   "tutti.Task"
#define DEFERRED "tutti.Deferred"

/* --- the end of children --- */

struct tt_op *lt_children_end(struct lt_fiber *fiber)
{
    static const struct tt_op_class class_ = {"children", tt_op_cancel_now, tt_op_free};
    struct tt_op *op = tt_zalloc(sizeof *op);
    tt_op_init(op, &class_, fiber->vm->base);
    fiber->idle = op;
    return op;
}

/* That a fiber which was cancelled ended as cancelled is what was asked for. */
static bool lost_its_error(const struct lt_fiber *child)
{
    return child->failed && !child->joined &&
           !(child->dropped && child->op.error->kind == TT_CANCELLED);
}

static void on_child_end(struct tt_op *op, void *arg)
{
    struct lt_fiber *parent = arg, *child = lt_fiber_of_op(op);
    if (lost_its_error(child)) {
        tt_op_retain(op);
        struct lt_fiber **at = &parent->unjoined;
        while (*at)
            at = &(*at)->next_unjoined;
        *at = child;
    }
    if (--parent->children == 0 && parent->idle) {
        struct tt_op *idle = parent->idle;
        parent->idle = NULL;
        tt_op_finish(idle, NULL);
    }
}

static void mark_joined(struct lt_fiber *child)
{
    child->joined = true;
    if (!child->parent)
        return;
    struct lt_fiber **at = &child->parent->unjoined;
    while (*at && *at != child)
        at = &(*at)->next_unjoined;
    if (!*at)
        return;
    *at = child->next_unjoined;
    tt_op_release(&child->op);
}

void lt_report_lost_error(struct tt_op *op)
{
    if (op->error->kind == TT_CANCELLED)
        return;
    char *text = tt_error_text(op->error);
    const char *traceback = lt_call_traceback(op);
    lt_warn(lt_fiber_of_op(op)->vm, "a task that nobody joined failed: %s%s%s", text,
            traceback ? "\n" : "", traceback ? traceback : "");
    free(text);
}

void lt_report_cleanup_error(lua_State *L)
{
    struct tt_error *err = lt_error_of(L, -1);
    char *text = tt_error_text(err);
    lt_warn(lt_vm_of(L), "cleaning up after a failure failed too: %s", text);
    free(text);
    tt_error_free(err);
}

/* --- joining --- */

struct lt_join {
    struct tt_op op;
    struct lt_fiber *fiber; /* NULL once it is out of the list; alive: the handle holds it */
    struct lt_join *next;
};

static void join_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct lt_join *join = (struct lt_join *)(void *)op;
    struct lt_join **at = &join->fiber->joins;
    while (*at != join)
        at = &(*at)->next;
    *at = join->next;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *join_start(struct tt_scope *scope, struct lt_fiber *fiber)
{
    static const struct tt_op_class class_ = {"join", join_cancel, tt_op_free};
    struct lt_join *join = tt_zalloc(sizeof *join);
    tt_op_init(&join->op, &class_, scope);
    join->fiber = fiber;
    join->next = fiber->joins;
    fiber->joins = join;
    return &join->op;
}

void lt_joins_end(struct lt_fiber *fiber)
{
    while (fiber->joins) {
        struct lt_join *join = fiber->joins;
        fiber->joins = join->next;
        tt_op_finish(&join->op, NULL);
    }
}

/* --- the handle --- */

static struct lt_fiber *check_handle(lua_State *L)
{
    struct tt_op **box = luaL_checkudata(L, 1, HANDLE);
    return lt_fiber_of_op(*box);
}

static int push_outcome(lua_State *L, struct tt_op *join)
{
    (void)join;
    struct lt_fiber *fiber = check_handle(L);
    mark_joined(fiber);
    int count = lt_call_push(L, &fiber->op);
    return count < 0 ? lua_error(L) : count;
}

static int handle_join(lua_State *L)
{
    struct lt_fiber *fiber = check_handle(L);
    lua_settop(L, 1);
    if (fiber == lt_vm_of(L)->current)
        lt_invalid(L, "a task cannot join itself");
    if (tt_op_finished(&fiber->op))
        return push_outcome(L, NULL);
    return lt_await(L, join_start(lt_begin(L), fiber), push_outcome);
}

static int handle_cancel(lua_State *L)
{
    struct lt_fiber *fiber = check_handle(L);
    if (tt_op_finished(&fiber->op))
        return 0;
    fiber->dropped = true;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "cancelled");
    tt_op_cancel(&fiber->op, why);
    tt_error_free(why);
    return 0;
}

static int handle_gc(lua_State *L)
{
    struct tt_op **box = luaL_checkudata(L, 1, HANDLE);
    tt_op_release(*box);
    *box = NULL;
    return 0;
}

static void new_handle(lua_State *L, struct tt_op ***box)
{
    *box = lua_newuserdatauv(L, sizeof **box, 0);
    **box = NULL;
    if (luaL_newmetatable(L, HANDLE)) {
        static const luaL_Reg methods[] = {
            {"join", handle_join}, {"cancel", handle_cancel}, {"__gc", handle_gc}, {NULL, NULL}};
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
}

struct arguments {
    lua_State *from;
    int count;
};

/* The function and its arguments, from the caller's stack. */
static int move_arguments(lua_State *L, void *arg)
{
    const struct arguments *a = arg;
    luaL_checkstack(L, a->count, "too many arguments");
    lua_xmove(a->from, L, a->count);
    return a->count - 1;
}

/* Starts the function at index 1 with the arguments above it; leaves the handle alone. */
static struct lt_fiber *start(lua_State *L)
{
    struct tt_scope *scope = lt_fiber_scope(L);
    struct tt_op **box;
    new_handle(L, &box);
    lua_insert(L, 1);
    struct arguments arguments = {L, lua_gettop(L) - 1};
    *box = lt_call(lt_vm_of(L), scope, "spawned", move_arguments, &arguments);
    lua_settop(L, 1);
    return lt_fiber_of_op(*box);
}

int lt_spawn(lua_State *L)
{
    lt_check_function(L, 1, "tutti.spawn", "function");
    struct lt_fiber *parent = lt_vm_of(L)->current, *child = start(L);
    child->parent = parent;
    parent->children++;
    lt_vm_note_operation(parent->vm);
    tt_op_await(&child->op, on_child_end, parent);
    return 1;
}

static void on_background_end(struct tt_op *op, void *arg)
{
    (void)arg;
    if (lost_its_error(lt_fiber_of_op(op)) && !tt_scope_why(op->scope))
        lt_report_lost_error(op);
}

int lt_background(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    tt_op_await(&start(L)->op, on_background_end, NULL);
    return 1;
}

/* --- tutti.defer --- */

bool lt_take_deferred(lua_State *L)
{
    lua_getiuservalue(L, -1, 1);
    lua_pushnil(L);
    lua_setiuservalue(L, -3, 1);
    lua_remove(L, -2);
    if (lua_isfunction(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static int deferred_closed(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* At the end of a block, when it was bound to a `<close>` variable; else the fiber's end runs it.
 */
static int deferred_close(lua_State *L)
{
    luaL_checkudata(L, 1, DEFERRED);
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    lua_settop(L, 1);
    if (fiber && fiber->defers_ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->defers_ref);
        lua_Integer last = (lua_Integer)lua_rawlen(L, 2);
        lua_rawgeti(L, 2, last);
        if (lua_rawequal(L, 1, 3)) {
            lua_pushnil(L);
            lua_rawseti(L, 2, last);
        }
        lua_settop(L, 1);
    }
    if (!lt_take_deferred(L))
        return 0;
    lua_callk(L, 0, 0, 0, deferred_closed);
    return 0;
}

int lt_defer(lua_State *L)
{
    lt_check_function(L, 1, "tutti.defer", "function");
    lua_settop(L, 1);
    struct lt_fiber *fiber = lt_vm_of(L)->current;
    if (!fiber)
        lt_invalid(L, "tutti.defer can only be used while a script is running");
    if (fiber->defers_ref == LUA_NOREF) {
        lua_newtable(L);
        fiber->defers_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_newuserdatauv(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    if (luaL_newmetatable(L, DEFERRED)) {
        lua_pushcfunction(L, deferred_close);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, fiber->defers_ref);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    return 1;
}
