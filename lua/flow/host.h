/* Lua functions as the engine's user code: a table of numbered functions, one for the whole state.
 */
#ifndef LT_HOST_H
#define LT_HOST_H

#include "core/env/callable.h"
#include "lua/vm/vm.h"

/* The state's host, made on first use; it lives as long as the state. */
struct tt_script_host *lt_host(lua_State *L);
/* A number for the function at index, with one reference (host->class_->release).
 *
 * Its name is made of where it was declared: WORKFLOW/TASK/ROLE ("deploy/build/run"; a matrix's
 * instances share the function and the name of the whole), or WORKFLOW/NAME for flow:fn (task is
 * NULL, role the name). '/' and '%' in a part are written %2F and %25. Should the same name come
 * again, as from a second workflow that is called the same, it gets "#2", "#3" … in the order of
 * declaration: a name is never given twice, not even when its first owner is gone, so that names do
 * not depend on when garbage is collected. */
uint32_t lt_host_add(lua_State *L, int index, const char *workflow, const char *task,
                     const char *role);

/* The handle that flow:fn returns. */
void lt_push_function(lua_State *L, uint32_t function); /* takes over a reference */
bool lt_to_function(lua_State *L, int index, uint32_t *function);

#endif
