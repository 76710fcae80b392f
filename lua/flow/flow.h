/* Workflows in Lua: `tutti.workflow`, its parameters, functions and tasks, read into a
 * core/plan/plan.h.
 *
 *     flow.c    the workflow object: params, fn, and `task "name" { … }`
 *     task.c    one task's table
 *     matrix.c  its instances when it has a matrix
 *     host.c    Lua functions as core/env/callable.h
 *     ctx.c     the `ctx` that they are called with
 *     engine.c  require "tutti.engine": what the command line does with a workflow
 *     events.c  what happens in a run, told to the command line
 *
 * A mistake in a declaration is raised where it stands, kind `invalid`. A mistake that only the
 * whole graph shows is found by tt_plan_check, whose error names the place, too. Loop thread. */
#ifndef LT_FLOW_H
#define LT_FLOW_H

#include "core/plan/plan.h"
#include "lua/value/args.h"
#include "lua/vm/vm.h"

struct lt_ctx;
struct lt_body;

/* A workflow object: the userdata. `ctx.flow` is one, too, with the tasks that a running function
 * adds. */
struct lt_flow {
    struct tt_plan *plan; /* held; NULL: a ctx.flow without a task yet */
    struct lt_body *open; /* tasks that still wait for their table */
    struct lt_ctx *ctx;   /* held; of ctx.flow. NULL: declared by a script */
    struct tt_run *graph; /* the checked graph, for questions about it; NULL: not made or stale */
    char *dir;            /* the script's directory, absolute; NULL: not asked for yet */
    bool running;         /* it was given to a run: tasks declared later would be lost */
};

/* A task of which only the name has come: `flow.task "name"` before its table. Owned by the flow.
 */
struct lt_body {
    struct lt_body *next, *prev;
    int line;
    char *file;
    char name[];
};

struct lt_flow *lt_to_flow(lua_State *L, int index);    /* NULL when it is none */
struct lt_flow *lt_check_flow(lua_State *L, int index); /* raises */
/* Notes that somebody used the workflow at index: it is not forgotten (lt_flow_forgotten). */
void lt_flow_asked(lua_State *L, int index);
/* The Lua function forgotten(): the name of a workflow that was declared and that nobody used, each
 * once; nil when there is none left. */
int lt_flow_forgotten(lua_State *L);
/* Pushes a new workflow object for that plan (taken). */
struct lt_flow *lt_push_flow(lua_State *L, struct tt_plan *plan, struct lt_ctx *ctx);
/* 0, or an error that names a task whose table never came. */
int lt_flow_check_open(const struct lt_flow *flow, struct tt_error **err);

/* Reads the table at index as the task `body` and adds it, or its instances. Raises. */
void lt_flow_add(lua_State *L, struct lt_flow *flow, const struct lt_body *body, int index);
/* Fills a task (allocated, named) from the options. */
void lt_read_task(struct lt_options *options, struct lt_flow *flow, struct tt_task *task);
/* The matrix option at the top of the stack: adds an instance of `task` for each combination. */
void lt_add_matrix(struct lt_options *options, struct lt_flow *flow, struct tt_task *task);
/* Adds the task to the plan; raises what the plan refuses. */
void lt_flow_add_task(lua_State *L, struct lt_flow *flow, struct tt_task *task);

/* tutti.workflow(name [, options]) */
int lt_workflow(lua_State *L);
int luaopen_tutti_engine(lua_State *L);

#endif
