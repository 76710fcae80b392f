/* The Lua state, on the loop's thread. The program has one.
 *
 * A new one has Lua's own libraries, with those parts replaced that break awaiting (coroutine,
 * xpcall) or would show secrets (print, io.stderr); lua/libraries.h opens tutti's modules. It knows
 * the two scopes that everything runs in:
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

struct lt_vm *lt_vm_of(lua_State *L); /* from any of its coroutines */
struct tt_loop *lt_vm_loop(const struct lt_vm *vm);
struct tt_scope *lt_vm_base(const struct lt_vm *vm);
struct tt_scope *lt_vm_program(const struct lt_vm *vm);

/* Calls function(L) in protected mode on the main state, with `arg` as a light userdata at index 1.
 * It cannot await. A Lua error becomes *err. For C code that is not called from Lua. */
int lt_vm_protect(struct lt_vm *vm, lua_CFunction function, void *arg, struct tt_error **err);

/* A registry reference to the value at index; LUA_NOREF (never a valid one) is ignored by unref.
 * lt_unref does not throw. */
int lt_ref(lua_State *L, int index);
void lt_unref(struct lt_vm *vm, int ref);

/* While `why` is not NULL, every operation on an environment raises `invalid` with that text: a
 * file is only being looked at. `why` must outlive its use. */
void lt_vm_forbid_operations(struct lt_vm *vm, const char *why);
const char *lt_vm_forbidden(const struct lt_vm *vm);

/* An operation that touches an environment begins: from now on a failure is not "nothing ran". */
void lt_vm_note_operation(struct lt_vm *vm);

/* The script being run, and the directory it lies in; NULL before there is one. Borrowed. */
void lt_vm_set_script(struct lt_vm *vm, const char *path);
const char *lt_vm_script_dir(const struct lt_vm *vm);

/* Cancels the program scope (the first reason stays). */
void lt_vm_cancel_program(struct lt_vm *vm, const char *why);
/* The same from a signal handler: Lua code that is running right now is interrupted at its next
 * instruction, also when it never awaits and catches errors; the caller still has to wake the loop
 * and call lt_vm_cancel_program there. */
void lt_vm_interrupt(struct lt_vm *vm);

/* What os.exit asked for: true and the code once it was called. */
bool lt_vm_exiting(const struct lt_vm *vm, int *code);

#endif
