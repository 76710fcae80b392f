#include "core/env/start.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"

struct start {
    struct tt_process_op base;
    struct tt_chain chain;
    struct tt_env *env; /* held */
    struct tt_command command;
    const struct tt_start_steps *steps;
};

static struct start *of(struct tt_op *op)
{
    return (struct start *)(void *)op;
}

static void start_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void start_free(struct tt_op *op)
{
    tt_env_release(of(op)->env);
    tt_command_clear(&of(op)->command);
    tt_process_op_free(op);
}

static void on_started(struct tt_op *op, struct tt_op *started)
{
    of(op)->base.process = tt_process_of(started);
    tt_op_finish(op, tt_error_copy(started->error));
}

static void on_prepared(struct tt_op *op, struct tt_op *prepared)
{
    struct start *start = of(op);
    if (prepared->error)
        tt_op_finish(op, tt_error_copy(prepared->error));
    else
        tt_then(&start->chain, op,
                start->steps->start(start->env, prepared, op->scope, &start->command), on_started);
}

struct tt_op *tt_start_prepared(struct tt_env *env, struct tt_scope *scope,
                                const struct tt_command *command,
                                const struct tt_start_steps *steps)
{
    static const struct tt_op_class class_ = {"start", start_cancel, start_free};
    struct start *start = tt_zalloc(sizeof *start);
    start->env = env;
    tt_env_retain(env);
    start->steps = steps;
    tt_command_copy(&start->command, command);
    tt_op_init(&start->base.op, &class_, scope);
    if (!tt_op_finished(&start->base.op))
        tt_then(&start->chain, &start->base.op, steps->prepare(env, scope), on_prepared);
    return &start->base.op;
}
