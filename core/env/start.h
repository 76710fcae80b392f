/* The start of a command in an environment that must first be made ready: a container brought up, a
 * deployment resolved to one pod. For executors. Loop thread. */
#ifndef TT_START_H
#define TT_START_H

#include "core/env/exec.h"

/* What comes before, and what follows it. */
struct tt_start_steps {
    struct tt_op *(*prepare)(struct tt_env *env, struct tt_scope *scope);
    /* `prepared` has finished well. As tt_env_class.start. */
    struct tt_op *(*start)(struct tt_env *env, struct tt_op *prepared, struct tt_scope *scope,
                           const struct tt_command *command);
};

/* A tt_env_class.start: prepares, then starts; the first error is its own. `steps` is static. */
struct tt_op *tt_start_prepared(struct tt_env *env, struct tt_scope *scope,
                                const struct tt_command *command,
                                const struct tt_start_steps *steps);

#endif
