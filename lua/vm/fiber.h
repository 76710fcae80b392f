/* Fibers: Lua functions that run as coroutines and may await operations.
 *
 * Every script, task body and spawned function is a coroutine whose body runs under lua_pcallk
 * *inside* it, so that `__close` can await. A binding reads its arguments, starts an operation in
 * lt_begin's scope and returns lt_await:
 *
 *     static int sleep_(lua_State *L)
 *     {
 *         int64_t ms = lt_check_duration(L, 1, "tutti.sleep");
 *         return lt_await(L, tt_sleep(lt_begin(L), ms), NULL);
 *     }
 *
 * Between lt_begin and lt_await nothing may throw: read and check every argument before.
 *
 * Cancelling: when a fiber's scope is cancelled, what it awaits ends, and it is resumed with that
 * reason as an error, which every later await repeats. Cleanup code (`__close`, tutti.defer) awaits
 * in a scope of its own, with 10 s from the cancellation on. User coroutines pass awaits outward.
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

/* Pushes what the finished, successful operation yields and returns how many values. May throw. */
typedef int lt_push(lua_State *L, struct tt_op *op);
/* Suspends the calling coroutine until op finished; takes the caller's reference to op. Its error
 * is raised as a tutti.Error at the user's line; otherwise `push` (NULL: no values) makes the
 * results. Use as `return lt_await(…)`: what was on the C function's stack is still there for
 * `push`. */
int lt_await(lua_State *L, struct tt_op *op, lt_push *push);
/* The same, but `push` sees failed operations too. */
int lt_await_any(lua_State *L, struct tt_op *op, lt_push *push);

/* --- for C code that calls Lua: engine, combinators --- */

/* Pushes the function and its arguments on the new fiber's stack and returns how many arguments.
 * Called once, before the call returns, in protected mode: what it throws is the fiber's error. */
typedef int lt_prepare(lua_State *L, void *arg);

/* Runs a Lua function as a fiber in a child of `scope`, from the run queue. The operation finishes
 * when the function and all it spawned have ended; a Lua error becomes its error (lt_error_of).
 * Cancelling it cancels the function; it still finishes only when that has ended. `name` is for
 * messages (copied). */
struct tt_op *lt_call(struct lt_vm *vm, struct tt_scope *scope, const char *name,
                      lt_prepare *prepare, void *arg);
/* Of a finished lt_call: pushes all return values on L (any state of the vm) and returns how many,
 * or, when it failed, pushes the Lua error value itself and returns -1. May throw. */
int lt_call_push(lua_State *L, struct tt_op *op);
/* The Lua traceback of a failed one, user frames only; NULL when there is none. Borrowed. */
const char *lt_call_traceback(struct tt_op *op);

/* A ready-made prepare for a function in the registry without arguments: arg points to an int. */
int lt_prepare_ref(lua_State *L, void *arg);

/* The text of the running fiber's name, or NULL outside of fibers. */
const char *lt_fiber_name(lua_State *L);

#endif
