/* `ctx`: what a task's function may see and do while it runs. Once it has ended, everything in it
 * that leads to the run refuses with `invalid`. */
#ifndef LT_CTX_H
#define LT_CTX_H

#include "core/engine/engine.h"

#include <lua.h>

/* Shared by the call and by the Lua values that lead to it. */
struct lt_ctx {
    unsigned refs;
    struct tt_task_call *call; /* NULL once the function has ended */
    struct lt_flow *flow;      /* ctx.flow; NULL once collected */
};

struct lt_ctx *lt_ctx_new(struct tt_task_call *call);
void lt_ctx_release(struct lt_ctx *ctx);
/* Pushes the ctx table. */
void lt_push_ctx(lua_State *L, struct lt_ctx *ctx);
/* The call, or raises because it is over. */
struct tt_task_call *lt_ctx_call(lua_State *L, const struct lt_ctx *ctx);

#endif
