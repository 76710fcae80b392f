/* tutti.Error: errors as Lua values, and their way to C and back.
 *
 * A tutti.Error is a table with a metatable and those fields that apply of kind, message, cause,
 * env, task, code, result, traceback. tostring gives "message: cause: …". The message begins with
 * the user's file:line. An error raised with error("text") becomes a tutti.Error of kind `script`
 * when it leaves its fiber. A table of the user's own stays as it is; it counts as `script`, or as
 * the contract's kind that its field `kind` names. */
#ifndef LT_ERROR_H
#define LT_ERROR_H

#include "core/base/error.h"

#include <lua.h>
#include <stdbool.h>

/* Pushes, and returns, the user's position: "deploy.lua:12: " for the innermost frame that is
 * neither C nor in stdlib/; "" when there is none. */
const char *lt_push_where(lua_State *L);

/* Pushes a tutti.Error made from err (not taken), its causes with it; no position is added. */
void lt_push_error(lua_State *L, const struct tt_error *err);
/* Raises err (taken), with the user's position before its message. */
_Noreturn void lt_raise(lua_State *L, struct tt_error *err);
/* Raises a new tutti.Error of that kind, with the user's position before its message. */
_Noreturn void lt_raisef(lua_State *L, enum tt_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses an argument: raises kind `invalid`. */
#define lt_invalid(L, ...) lt_raisef(L, TT_INVALID, __VA_ARGS__)
/* Raises the tutti.Error at the top of the stack, with the user's position before its message. */
_Noreturn void lt_raise_value(lua_State *L);

/* The Lua error value at index as a new C error: kind, message and causes survive. */
struct tt_error *lt_error_of(lua_State *L, int index);
/* A Lua function: the text for people of its argument, whatever was raised. */
int lt_error_text(lua_State *L);
/* Replaces the value at the top by a tutti.Error when it is a string or another plain value;
 * tables and userdata stay. */
void lt_error_wrap(lua_State *L);
/* True for a tutti.Error. */
bool lt_is_error(lua_State *L, int index);
/* Gives the tutti.Error at index (other values: nothing) a traceback, unless it has one. */
void lt_error_set_traceback(lua_State *L, int index, const char *traceback);

/* Pushes on L a traceback of `of` that shows user frames only: "stack traceback:\n\t…". */
void lt_push_traceback(lua_State *L, lua_State *of, int level);

/* Makes the metatable and tutti.Error's constructor; leaves the constructor on the stack. */
int luaopen_tutti_error(lua_State *L);

#endif
