/* Commands in Lua: env:run, env:try, env:spawn, their results and processes. */
#ifndef LT_PROCESS_H
#define LT_PROCESS_H

#include "core/env/proc.h"
#include "lua/env/env.h"

/* Pushes a result (retained). Its fields are those of the contract. */
void lt_push_result(lua_State *L, struct tt_result *result);
/* The result at index, borrowed, or NULL when it is none. */
struct tt_result *lt_to_result(lua_State *L, int index);
/* Pushes the error that `run` raises for a result that is not ok: a tutti.Error with the result,
 * code and env in it; without a position. */
void lt_push_result_error(lua_State *L, struct tt_result *result);

/* Methods of an environment. */
int lt_env_run(lua_State *L);
int lt_env_try(lua_State *L);
int lt_env_spawn(lua_State *L);

#endif
