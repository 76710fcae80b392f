/* `limit =` for commands that scripts run: at most so many at once on one host, the others wait in
 * order. (A workflow's tasks are bounded by the engine's pools; a function task's own commands are
 * bounded here.) Limits belong to an environment's identity, the smallest that was asked for wins.
 */
#ifndef LT_LIMIT_H
#define LT_LIMIT_H

#include "core/env/proc.h"
#include "lua/vm/vm.h"

/* tt_capture and tt_proc_start that first wait for a place, and give it back when the command
 * ended. The command, and what its stdin gets, have to outlive the operation. */
struct tt_op *lt_limited_capture(struct lt_vm *vm, struct tt_env *env, struct tt_scope *scope,
                                 const struct tt_command *command,
                                 const struct tt_capture_options *options);
struct tt_op *lt_limited_start(struct lt_vm *vm, struct tt_env *env, struct tt_scope *scope,
                               const struct tt_command *command,
                               const struct tt_proc_options *options);
/* tt_result_of and tt_proc_of for these. */
struct tt_result *lt_limited_result(struct tt_op *op);
struct tt_proc *lt_limited_proc(struct tt_op *op);

void lt_limits_free(struct lt_vm *vm);

#endif
