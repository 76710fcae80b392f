/* The command of a task, put together from its parts. */
#include "core/base/alloc.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>

/* A later variable of the same name replaces an earlier one. */
static void add(struct tt_command *command, const char *name, const char *value)
{
    struct tt_var var = {(char *)(uintptr_t)name, (char *)(uintptr_t)value};
    for (size_t i = 0; i < command->var_count; i++)
        if (strcmp(command->vars[i].name, name) == 0) {
            command->vars[i] = var;
            return;
        }
    command->vars[command->var_count++] = var;
}

void tt_engine_command(const struct tt_engine *engine, const struct tt_task *task,
                       const struct tt_action *action, struct tt_command *command)
{
    const struct tt_task_more *more = task->more;
    uint32_t matrix = more ? more->matrix_count : 0;
    *command = (struct tt_command){
        .shell = action->form == TT_ACTION_SHELL ? action->shell : NULL,
        .argv = action->form == TT_ACTION_ARGV ? action->argv : NULL,
        .cwd = task->cwd,
        .user = task->user,
        .password = more ? more->password : NULL,
        .pty = more && more->pty,
    };
    size_t most = engine->param_count + matrix + task->var_count;
    if (most == 0)
        return;
    command->vars = tt_reallocarray(NULL, most, sizeof *command->vars);
    for (size_t i = 0; i < engine->param_count; i++)
        add(command, engine->param_vars[i].name, engine->param_vars[i].value);
    for (uint32_t i = 0; i < matrix; i++)
        add(command, more->matrix[i].variable, more->matrix[i].text);
    for (uint32_t i = 0; i < task->var_count; i++)
        add(command, task->vars[i].name, task->vars[i].value);
}
