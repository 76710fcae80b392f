/* What tutti.spawn and tutti.defer share with the fiber driver. Internal to lua/. */
#ifndef LT_SPAWN_H
#define LT_SPAWN_H

#include "lua/vm/state.h"

/* Finishes when the fiber's children have all ended. The caller's reference. */
struct tt_op *lt_children_end(struct lt_fiber *fiber);
/* The fiber ended: everybody who joins it goes on. */
void lt_joins_end(struct lt_fiber *fiber);
/* The value at the top is what tutti.defer returned: replaces it by its function and returns true,
 * or pops it when that ran already. */
bool lt_take_deferred(lua_State *L);
/* Errors that no code will see are told on stderr. */
void lt_report_lost_error(struct tt_op *op);
void lt_report_cleanup_error(lua_State *L);

int lt_spawn(lua_State *L); /* tutti.spawn */
/* The same, but the fiber that starts it does not wait for its end: it is cancelled then. */
int lt_background(lua_State *L);
int lt_defer(lua_State *L); /* tutti.defer */

#endif
