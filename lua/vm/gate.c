#include "lua/vm/gate.h"

#include "core/base/alloc.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>

#define NAME "tutti.Gate"

struct waiter {
    struct tt_op op;
    struct gate *gate;
    struct waiter *next;
};

/* In a userdata; the stack of each fiber that waits keeps it. */
struct gate {
    struct waiter *waiters;
    bool open;
};

static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct waiter *waiter = (struct waiter *)(void *)op, **at = &waiter->gate->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    tt_op_finish(op, tt_error_copy(why));
}

static int gate_wait(lua_State *L)
{
    static const struct tt_op_class class_ = {"gate", waiter_cancel, tt_op_free};
    struct gate *gate = luaL_checkudata(L, 1, NAME);
    if (gate->open)
        return 0;
    struct tt_scope *scope = lt_begin(L);
    struct waiter *waiter = tt_zalloc(sizeof *waiter);
    tt_op_init(&waiter->op, &class_, scope);
    waiter->gate = gate;
    waiter->next = gate->waiters;
    gate->waiters = waiter;
    return lt_await(L, &waiter->op, NULL);
}

static int gate_open(lua_State *L)
{
    struct gate *gate = luaL_checkudata(L, 1, NAME);
    gate->open = true;
    while (gate->waiters) {
        struct waiter *waiter = gate->waiters;
        gate->waiters = waiter->next;
        tt_op_finish(&waiter->op, NULL);
    }
    return 0;
}

int lt_gate(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"wait", gate_wait}, {"open", gate_open}, {"__close", gate_open}, {NULL, NULL}};
    struct gate *gate = lua_newuserdatauv(L, sizeof *gate, 0);
    *gate = (struct gate){0};
    if (luaL_newmetatable(L, NAME)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    return 1;
}
