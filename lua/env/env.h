/* Environments in Lua: tutti.here, tutti.env "text", tutti.ssh … and their methods.
 *
 * An environment is an immutable userdata: a struct tt_env and the defaults that env:with gave it.
 * Two are equal when their texts are; tostring gives the text. Commands are in process.h, files in
 * files.h. All functions but lt_to_env, lt_env_defaults_init and lt_envs_close may raise. */
#ifndef LT_ENV_H
#define LT_ENV_H

#include "core/env/exec.h"
#include "lua/value/args.h"
#include "lua/vm/vm.h"

#include <lua.h>

/* What env:with gave: the start of every command of an environment. */
struct lt_env_defaults {
    struct tt_command command; /* cwd, user, password, vars, pty; no command line */
    int64_t timeout;           /* ms, of each command; TT_NEVER: not given */
    int64_t grace;             /* ms; -1: not given */
    int64_t max_output;        /* bytes, of each stream; -1: not given */
};
void lt_env_defaults_init(struct lt_env_defaults *defaults); /* nothing given */

/* Pushes an environment. env is retained; defaults (NULL: none) are copied. */
void lt_push_env(lua_State *L, struct tt_env *env, const struct lt_env_defaults *defaults);
/* The environment at index, borrowed, or NULL when it is none. *defaults (may be NULL) is borrowed
 * from that value. */
struct tt_env *lt_to_env(lua_State *L, int index, const struct lt_env_defaults **defaults);
/* Pushes the environment that the text at index stands for: "ssh://user@host", "local:" …; raises
 * `invalid`. */
void lt_push_env_of_text(lua_State *L, int index);
/* This machine's environment, borrowed from the vm. Raises when it cannot be made. */
struct tt_env *lt_here(lua_State *L);

/* --- constructors from options; the table is in lua/env/constructors.c --- */

/* tutti.NAME: with a text, what the scheme of that name makes of it (core/env/registry.h). */
struct lt_env_constructor {
    const char *name; /* "ssh" */
    /* tutti.NAME{ options }: the table is at index. Pushes an environment, or raises. */
    void (*from_options)(lua_State *L, int index);
};
extern const struct lt_env_constructor *const lt_env_constructors[]; /* ends with NULL */

/* Options that every constructor accepts besides its own. It pushes the plain environment, then
 * calls lt_push_env_with. */
#define LT_ENV_DEFAULT_NAMES                                                                       \
    "cwd", "env", "user", "password", "timeout", "grace", "max_output", "pty"
/* Pushes an environment like the one at index, with the default options of `o` on top. */
void lt_push_env_with(lua_State *L, int index, const struct lt_options *o);

/* For methods: the environment at index 1, borrowed; raises when it is none. */
struct tt_env *lt_check_env(lua_State *L, const struct lt_env_defaults **defaults);
/* lt_begin for an operation on an environment: raises while lt_vm_forbid_operations holds. */
struct tt_scope *lt_env_begin(lua_State *L);
/* Replaces in `defaults` what the options name; a relative cwd goes below the one before. When it
 * raises, some may be replaced already. */
void lt_env_read_defaults(const struct lt_options *o, struct lt_env_defaults *defaults);

/* For the end of the process: closes what environments keep open (idle connections, containers of
 * tutti's own). The operation never fails. */
struct tt_op *lt_envs_close(struct lt_vm *vm, struct tt_scope *scope);

int luaopen_tutti_env(lua_State *L);

#endif
