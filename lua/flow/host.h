/* Lua functions as the engine's user code: a table of numbered functions, one for the whole state.
 */
#ifndef LT_HOST_H
#define LT_HOST_H

#include "core/env/callable.h"
#include "lua/vm/vm.h"

/* The state's host, made on first use; it lives as long as the state. */
struct tt_script_host *lt_host(lua_State *L);
/* A number for the function at index, with one reference (host->class_->release). `name`: from
 * flow:fn, or NULL. */
uint32_t lt_host_add(lua_State *L, int index, const char *name);

/* The handle that flow:fn returns. */
void lt_push_function(lua_State *L, uint32_t function); /* takes over a reference */
bool lt_to_function(lua_State *L, int index, uint32_t *function);

#endif
