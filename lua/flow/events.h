/* The engine's events as Lua tables: collected while the loop works off what is ready, then given
 * to the listener in one call. */
#ifndef LT_EVENTS_H
#define LT_EVENTS_H

#include "core/engine/engine.h"

#include <lua.h>

struct lt_events;

/* For the function at index, which is called as f(events, n). */
struct lt_events *lt_events_new(lua_State *L, int index, bool output);
struct tt_listener lt_events_listener(struct lt_events *events);
/* Whose events they are. They are freed with the end of its run, or now if it never began. */
void lt_events_watch(struct lt_events *events, struct tt_op *engine);

#endif
