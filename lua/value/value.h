/* Plain Lua values as JSON and back: results of functions, parameters, tutti.json.
 *
 * - integers stay exact integers, floats stay floats (3.0 is written 3.0); NaN and infinities are
 *   refused
 * - a table with keys 1..n is an array, one with string keys an object; anything mixed is refused.
 *   An empty table is an object unless marked by tutti.json.array, which decoding does for [];
 *   nil inside is tutti.json.null
 * - strings must be UTF-8
 * - a tutti.Error or a command's result becomes an object of its fields
 * - functions, other userdata, coroutines, cycles and more than 100 levels are refused; the message
 *   names the path: "results.build[3].f is a function" */
#ifndef LT_VALUE_H
#define LT_VALUE_H

#include "core/base/error.h"

#include <jansson.h>
#include <lua.h>

/* Makes the table at the top a list also when it is empty. */
void lt_mark_array(lua_State *L);
/* A new reference, or NULL with *err of kind `invalid`. `what` begins the path ("value"). Does not
 * throw but for memory; needs no protected call otherwise. */
json_t *lt_to_json(lua_State *L, int index, const char *what, struct tt_error **err);
/* Pushes the value; null is tutti.json.null inside of containers and nil at the top. May throw. */
void lt_push_json(lua_State *L, const json_t *json);
/* Pushes the null marker. */
void lt_push_null(lua_State *L);

int luaopen_tutti_json(lua_State *L);

#endif
