/* The script host of Lua: a table of numbered functions, one for the whole vm. Loop thread. */
#ifndef LT_HOST_H
#define LT_HOST_H

#include "core/env/callable.h"
#include "lua/vm/vm.h"

/* The vm's script host, made on first use; it lives as long as the vm. */
struct tt_script_host *lt_host(lua_State *L);
/* A new number for the function at index, with one reference (given back by class_->release).
 *
 * The function's stable name tells where it was declared: WORKFLOW/TASK/ROLE ("deploy/build/run"; a
 * matrix's instances share the function and the name of the whole), or WORKFLOW/NAME for flow:fn
 * (task is NULL, role the name). '/' and '%' in a part are written %2F and %25. When the same name
 * comes again, as from a second workflow of the same name, "#2", "#3" … is added in the order of
 * declaration. A name is never given twice, not even when its first function is gone, so that names
 * do not depend on when garbage is collected. */
uint32_t lt_host_add(lua_State *L, int index, const char *workflow, const char *task,
                     const char *role);

/* The handle that flow:fn returns; lt_to_function is false for all else. */
void lt_push_function(lua_State *L, uint32_t function); /* takes over a reference */
bool lt_to_function(lua_State *L, int index, uint32_t *function);

#endif
