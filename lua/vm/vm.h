/* The vm: the Lua state and what belongs to it. The program has one. Loop thread.
 *
 * A new vm has Lua's own libraries, but those parts are replaced that would break awaiting
 * (coroutine, xpcall) or show secrets (print, io.stderr). lua/libraries.h opens tutti's modules.
 * Everything runs in one of the vm's two scopes:
 *
 *   base     the command line itself; never cancelled
 *   program  the user's script or workflow; what Ctrl-C cancels
 *
 * C code keeps registry references (lt_ref) and never a lua_State* beyond a call. */
#ifndef LT_VM_H
#define LT_VM_H

#include "core/async/scope.h"

#include <lua.h>
#include <stdbool.h>

struct lt_vm;

int lt_vm_new(struct lt_vm **vm, struct tt_loop *loop, struct tt_error **err);
/* Closes the state; no fiber may be alive. */
void lt_vm_free(struct lt_vm *vm);

struct lt_vm *lt_vm_of(lua_State *L); /* L: any of its coroutines */
struct tt_loop *lt_vm_loop(const struct lt_vm *vm);
struct tt_scope *lt_vm_base(const struct lt_vm *vm);
struct tt_scope *lt_vm_program(const struct lt_vm *vm);

/* For C code that is not called from Lua: calls function(L) in protected mode on the main state,
 * with `arg` as a light userdata at index 1. A Lua error becomes *err. The function cannot await.
 */
int lt_vm_protect(struct lt_vm *vm, lua_CFunction function, void *arg, struct tt_error **err);

/* A registry reference to the value at index. lt_unref ignores LUA_NOREF, which lt_ref never
 * returns, and does not throw. */
int lt_ref(lua_State *L, int index);
void lt_unref(struct lt_vm *vm, int ref);

/* While `why` is not NULL, every operation on an environment raises `invalid` with that text: for a
 * script that is only read, as by `tutti check`. `why` is borrowed. */
void lt_vm_forbid_operations(struct lt_vm *vm, const char *why);
const char *lt_vm_forbidden(const struct lt_vm *vm);

/* Notes that an operation on an environment begins: the program can no longer say "nothing ran". */
void lt_vm_note_operation(struct lt_vm *vm);

/* The script being run, and the directory it lies in; NULL before there is one. Borrowed. */
void lt_vm_set_script(struct lt_vm *vm, const char *path);
const char *lt_vm_script_dir(const struct lt_vm *vm);

/* Cancels the program scope (the first reason stays). */
void lt_vm_cancel_program(struct lt_vm *vm, const char *why);
/* For a signal handler: interrupts the Lua code that is running right now at its next instruction,
 * even code that never awaits and catches every error. The caller must then wake the loop and call
 * lt_vm_cancel_program there. */
void lt_vm_interrupt(struct lt_vm *vm);

/* True once os.exit was called; *code is what it asked for. */
bool lt_vm_exiting(const struct lt_vm *vm, int *code);

#endif
