/* Fibers: Lua coroutines that tutti drives, and that may await operations. Loop thread.
 *
 * Every script, every task's function and every spawned function is a fiber. Its body runs under
 * lua_pcallk *inside* the coroutine, so that `__close` can await. A binding reads its arguments,
 * starts an operation in lt_begin's scope and returns lt_await:
 *
 *     static int sleep_(lua_State *L)
 *     {
 *         int64_t ms = lt_check_duration(L, 1, "tutti.sleep");
 *         return lt_await(L, tt_sleep(lt_begin(L), ms), NULL);
 *     }
 *
 * Between lt_begin and lt_await nothing may throw: read and check every argument before.
 *
 * Cancelling: when a fiber's scope is cancelled, the operation that it awaits is cancelled too, and
 * the fiber is resumed with the reason as an error. Every later await raises the reason again.
 * Cleanup code (`__close`, tutti.defer) awaits in a scope of its own, which ends 10 s after the
 * cancellation. A coroutine of the user's passes its awaits outward to the fiber.
 *
 * A fiber ends when its body and everything that it spawned have ended. */
#ifndef LT_FIBER_H
#define LT_FIBER_H

#include "core/async/op.h"
#include "lua/vm/vm.h"

/* --- for bindings --- */

/* The scope for an operation that the running fiber awaits. Raises: the reason when the fiber was
 * cancelled (outside of cleanup), or a clear error where Lua cannot wait (inside table.sort's
 * comparator, string.gsub's callback, __tostring, __gc …). */
struct tt_scope *lt_begin(lua_State *L);

/* Pushes the values of a finished, successful operation and returns how many. May throw. */
typedef int lt_push(lua_State *L, struct tt_op *op);
/* Suspends the calling coroutine until op has finished; takes the caller's reference to op. An
 * error of op is raised as a tutti.Error at the user's line; else `push` (NULL: no values) pushes
 * the binding's results. Use as `return lt_await(…)`: `push` finds on the stack what the binding
 * left there. */
int lt_await(lua_State *L, struct tt_op *op, lt_push *push);
/* The same, but `push` sees failed operations too. */
int lt_await_any(lua_State *L, struct tt_op *op, lt_push *push);

/* --- for C code that calls Lua: engine, combinators --- */

/* Pushes a function and its arguments on the new fiber's stack and returns how many arguments.
 * Called once, inside lt_call, in protected mode: what it throws is the fiber's error. */
typedef int lt_prepare(lua_State *L, void *arg);

/* Runs a Lua function as a fiber in a child of `scope`, from the run queue. The operation finishes
 * when the function and all it spawned have ended; a Lua error becomes its error (lt_error_of).
 * Cancelling the operation cancels the fiber; the operation still finishes only when the fiber
 * has ended. `name` (copied) is for messages. */
struct tt_op *lt_call(struct lt_vm *vm, struct tt_scope *scope, const char *name,
                      lt_prepare *prepare, void *arg);
/* Of a finished lt_call: pushes all return values on L (any state of the vm) and returns how many,
 * or, when it failed, pushes the Lua error value itself and returns -1. May throw. */
int lt_call_push(lua_State *L, struct tt_op *op);
/* The Lua traceback of a failed one, user frames only; NULL when there is none. Borrowed. */
const char *lt_call_traceback(struct tt_op *op);

/* A ready-made prepare for a function in the registry without arguments: arg points to an int. */
int lt_prepare_ref(lua_State *L, void *arg);

/* The name of the running fiber, borrowed; NULL outside of fibers. */
const char *lt_fiber_name(lua_State *L);

#endif
