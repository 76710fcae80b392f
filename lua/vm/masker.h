/* The masker of a vm: it knows every secret that was made in it, and hides their texts in whatever
 * people read. Loop thread. */
#ifndef LT_MASKER_H
#define LT_MASKER_H

#include "lua/vm/vm.h"

#include <lua.h>

struct tt_masker;

/* Made on first use; it lives as long as the state. */
struct tt_masker *lt_masker(lua_State *L);

/* Tells a person something on stderr: "tutti: …" and a newline, secrets masked. */
void lt_warn(struct lt_vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
