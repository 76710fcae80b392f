/* Secrets: the values that `tutti.secret` makes (stdlib/secret.lua reads their sources).
 *
 * A secret is a userdata that yields its text to nobody in Lua: tostring shows "***",
 * concatenating, measuring and serialising are refused. C bindings that carry it to a command (an
 * environment variable, stdin, a password) read it with lt_to_secret. From its creation on, the
 * masker (masker.h) hides its text wherever words for people are written or stored. */
#ifndef LT_SECRET_H
#define LT_SECRET_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>

/* The text of the secret at index, NUL-terminated, borrowed from that value, or NULL when it is no
 * secret. `length` may be NULL. */
const char *lt_to_secret(lua_State *L, int index, size_t *length);

/* The functions of tutti.host that stdlib/secret.lua is made of, as a luaL_Reg list:
 *   secret(text) → a secret
 *   ask(prompt)  → the line that a person typed on the terminal, unseen; awaits */
extern const luaL_Reg lt_secret_functions[];

#endif
