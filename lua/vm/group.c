/* One operation runs up to `parallel` fibers at once in a scope of its own and finishes when all
 * have ended, never before. What makes the four functions differ is when it stops the others. */
#include "lua/vm/group.h"

#include "core/base/alloc.h"
#include "lua/value/args.h"
#include "lua/value/error.h"
#include "lua/value/value.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>
#include <stdlib.h>

enum rule { stop_at_failure, collect, stop_at_first };

struct slot {
    struct group *group;
    struct tt_op *fiber; /* held while it runs */
    lua_Integer index;
    struct slot *next_free;
};

struct group {
    struct tt_op op;
    struct lt_vm *vm;
    struct tt_scope *scope;
    const char *name;
    enum rule rule;
    int ref_function; /* of map; else LUA_NOREF: the list holds functions */
    int ref_list, ref_results;
    lua_Integer count, next;
    size_t parallel, running;
    struct slot *slots, *free;
    struct tt_op *decisive;  /* held: the failure that stopped it, or the winner */
    struct tt_error *broken; /* results could not be stored */
    bool stopped;
};

static void on_end(struct tt_op *fiber, void *arg);

/* The function and its arguments for one slot. */
static int prepare(lua_State *L, void *arg)
{
    const struct slot *slot = arg;
    const struct group *group = slot->group;
    if (group->ref_function == LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, group->ref_list);
        lua_rawgeti(L, -1, slot->index);
        lua_remove(L, -2);
        return 0;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->ref_function);
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->ref_list);
    lua_rawgeti(L, -1, slot->index);
    lua_remove(L, -2);
    lua_pushinteger(L, slot->index);
    return 2;
}

static void start_more(struct group *group)
{
    while (!group->stopped && group->next <= group->count && group->free) {
        struct slot *slot = group->free;
        group->free = slot->next_free;
        slot->index = group->next++;
        group->running++;
        slot->fiber = lt_call(group->vm, group->scope, group->name, prepare, slot);
        tt_op_await(slot->fiber, on_end, slot);
    }
}

static void stop(struct group *group, const struct tt_error *why)
{
    group->stopped = true;
    tt_scope_cancel(group->scope, why);
}

static void stop_others(struct group *group, const char *text)
{
    if (group->stopped)
        return;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "%s", text);
    stop(group, why);
    tt_error_free(why);
}

/* Notes what a fiber returned: its first value, or with `collect` how it ended. */
static int store(lua_State *L)
{
    const struct slot *slot = lua_touserdata(L, 1);
    const struct group *group = slot->group;
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->ref_results);
    int count = lt_call_push(L, slot->fiber);
    bool ok = count >= 0;
    if (count == 0)
        lua_pushnil(L);
    lua_settop(L, 2);
    if (group->rule == collect) {
        lua_createtable(L, 0, 2);
        lua_pushboolean(L, ok);
        lua_setfield(L, 3, "ok");
        lua_pushvalue(L, 2);
        lua_setfield(L, 3, ok ? "value" : "error");
    }
    lua_rawseti(L, 1, slot->index);
    return 0;
}

/* The group is over once nothing runs and nothing will. Its error is that of the scope: the user's
 * values are pushed by push_results. */
static void finish_if_over(struct group *group)
{
    if (group->running || (!group->stopped && group->next <= group->count))
        return;
    struct tt_error *why = tt_error_copy(tt_scope_why(group->op.scope));
    if (!why && !group->decisive && group->broken)
        why = tt_error_copy(group->broken);
    tt_scope_release(group->scope);
    group->scope = NULL;
    tt_op_finish(&group->op, why);
}

static void on_end(struct tt_op *fiber, void *arg)
{
    struct slot *slot = arg;
    struct group *group = slot->group;
    bool decides = !group->stopped && (group->rule == stop_at_first ||
                                       (group->rule == stop_at_failure && fiber->error));
    if (decides) {
        group->decisive = fiber;
        tt_op_retain(fiber);
        stop_others(group, group->rule == stop_at_first ? "another was first" : "another failed");
    } else if (group->rule == collect || (group->rule == stop_at_failure && !fiber->error)) {
        if (!group->broken && lt_vm_protect(group->vm, store, slot, &group->broken) < 0)
            stop(group, group->broken);
    }
    tt_op_release(fiber);
    slot->fiber = NULL;
    slot->next_free = group->free;
    group->free = slot;
    group->running--;
    start_more(group);
    finish_if_over(group);
}

static void group_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct group *group = (struct group *)(void *)op;
    stop(group, why);
    finish_if_over(group);
}

static void group_free(struct tt_op *op)
{
    struct group *group = (struct group *)(void *)op;
    tt_op_release(group->decisive);
    tt_error_free(group->broken);
    tt_scope_release(group->scope);
    lt_unref(group->vm, group->ref_function);
    lt_unref(group->vm, group->ref_list);
    lt_unref(group->vm, group->ref_results);
    free(group->slots);
    free(group);
}

/* --- bindings --- */

/* Makes the references on the way: they are not in danger, because luaL_ref throws before it made
 * one, and those made before belong to the registry's table of this state only. */
static struct group *group_new(lua_State *L, const char *name, enum rule rule, int list,
                               int function, size_t parallel, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"group", group_cancel, group_free};
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    lua_createtable(L, rule == stop_at_first ? 0 : (int)(count > 1 << 20 ? 1 << 20 : count), 1);
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "n");
    lt_mark_array(L); /* a fiber's value may be empty and still is a list */
    int results = lt_ref(L, -1), items = lt_ref(L, list);
    int called = function ? lt_ref(L, function) : LUA_NOREF;
    lua_pop(L, 1);
    struct group *group = tt_zalloc(sizeof *group);
    group->vm = lt_vm_of(L);
    group->name = name;
    group->rule = rule;
    group->ref_results = results;
    group->ref_list = items;
    group->ref_function = called;
    group->count = count;
    group->next = 1;
    group->parallel = parallel < (size_t)count ? parallel : (size_t)count;
    group->slots = tt_zalloc((group->parallel + 1) * sizeof *group->slots);
    for (size_t i = 0; i < group->parallel; i++) {
        group->slots[i].group = group;
        group->slots[i].next_free = group->free;
        group->free = &group->slots[i];
    }
    tt_op_init(&group->op, &class_, scope);
    group->scope = tt_scope_new(lt_vm_loop(group->vm), scope);
    return group;
}

static int push_results(lua_State *L, struct tt_op *op)
{
    struct group *group = (struct group *)(void *)op;
    if (group->decisive) {
        int count = lt_call_push(L, group->decisive);
        return count < 0 ? lua_error(L) : count;
    }
    if (op->error) {
        lt_push_error(L, op->error);
        lt_raise_value(L);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->ref_results);
    return 1;
}

static int await_group(lua_State *L, struct group *group)
{
    if (!tt_op_finished(&group->op)) {
        start_more(group);
        finish_if_over(group);
    }
    return lt_await_any(L, &group->op, push_results);
}

static void check_functions(lua_State *L, int list, const char *what, size_t count)
{
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i);
        lua_pushfstring(L, "item %d of the list", (int)i);
        lt_check_function(L, -2, what, lua_tostring(L, -1));
        lua_pop(L, 2);
    }
}

struct group_options {
    size_t parallel;
    enum rule rule;
};

static struct group_options read_options(lua_State *L, int index, const char *what)
{
    static const char *const names[] = {"parallel", "errors", NULL};
    static const char *const errors[] = {"raise", "collect", NULL};
    struct lt_options o;
    lt_options_open(L, &o, index, what, names, false);
    return (struct group_options){
        (size_t)lt_option_integer(&o, "parallel", INT32_MAX, 1, INT32_MAX),
        lt_option_choice(&o, "errors", errors, 0) == 1 ? collect : stop_at_failure};
}

int lt_all(lua_State *L)
{
    size_t count = lt_check_sequence(L, 1, "tutti.all", "first argument");
    check_functions(L, 1, "tutti.all", count);
    struct group_options o = read_options(L, 2, "tutti.all");
    struct tt_scope *scope = lt_begin(L);
    return await_group(L, group_new(L, "all", o.rule, 1, 0, o.parallel, scope));
}

int lt_map(lua_State *L)
{
    lt_check_sequence(L, 1, "tutti.map", "first argument");
    lt_check_function(L, 2, "tutti.map", "second argument");
    struct group_options o = read_options(L, 3, "tutti.map");
    struct tt_scope *scope = lt_begin(L);
    return await_group(L, group_new(L, "map", o.rule, 1, 2, o.parallel, scope));
}

int lt_race(lua_State *L)
{
    size_t count = lt_check_sequence(L, 1, "tutti.race", "argument");
    if (count == 0)
        lt_invalid(L, "tutti.race: nothing to race: the list is empty");
    check_functions(L, 1, "tutti.race", count);
    struct tt_scope *scope = lt_begin(L);
    return await_group(L, group_new(L, "race", stop_at_first, 1, 0, count, scope));
}

/* tutti.timeout(duration, f): the race of one function against its deadline. */
int lt_timeout(lua_State *L)
{
    int64_t ms = lt_check_duration(L, 1, "tutti.timeout");
    lt_check_function(L, 2, "tutti.timeout", "second argument");
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    int list = lua_gettop(L);
    struct tt_scope *scope = lt_begin(L);
    struct group *group = group_new(L, "timeout", stop_at_first, list, 0, 1, scope);
    tt_scope_deadline(group->scope, tt_deadline_after(tt_loop_now(lt_vm_loop(group->vm)), ms),
                      "the function given to tutti.timeout");
    return await_group(L, group);
}
