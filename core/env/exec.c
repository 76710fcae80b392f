/* What every environment shares: commands as data, reference counts, operations with a result. */
#include "core/env/exec.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static char *copy_or_null(const char *text)
{
    return text ? tt_strdup(text) : NULL;
}

/* --- commands --- */

void tt_command_copy(struct tt_command *to, const struct tt_command *from)
{
    *to = *from;
    to->shell = copy_or_null(from->shell);
    to->cwd = copy_or_null(from->cwd);
    to->user = copy_or_null(from->user);
    to->password = copy_or_null(from->password);
    if (from->argv) {
        size_t count = 0;
        while (from->argv[count])
            count++;
        to->argv = tt_reallocarray(NULL, count + 1, sizeof *to->argv);
        for (size_t i = 0; i <= count; i++)
            to->argv[i] = copy_or_null(from->argv[i]);
    }
    to->vars = NULL;
    to->var_count = 0;
    for (size_t i = 0; i < from->var_count; i++)
        tt_command_set_var(to, from->vars[i].name, from->vars[i].value);
}

/* A secret does not stay in freed memory. */
static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void tt_command_clear(struct tt_command *command)
{
    for (char **word = command->argv; word && *word; word++)
        free(*word);
    free(command->argv);
    for (size_t i = 0; i < command->var_count; i++) {
        free(command->vars[i].name);
        wipe(command->vars[i].value);
    }
    free(command->vars);
    free(command->shell);
    free(command->cwd);
    free(command->user);
    wipe(command->password);
    *command = (struct tt_command){0};
}

void tt_command_set_var(struct tt_command *command, const char *name, const char *value)
{
    for (size_t i = 0; i < command->var_count; i++) {
        if (strcmp(command->vars[i].name, name) == 0) {
            char *copy = tt_strdup(value);
            wipe(command->vars[i].value);
            command->vars[i].value = copy;
            return;
        }
    }
    /* Room grows by doubling: at 0, 1, 2, 4, 8 … */
    if ((command->var_count & (command->var_count - 1)) == 0) {
        size_t room = command->var_count ? command->var_count * 2 : 1;
        command->vars = tt_reallocarray(command->vars, room, sizeof *command->vars);
    }
    command->vars[command->var_count++] = (struct tt_var){tt_strdup(name), tt_strdup(value)};
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_variable_name(const char *name)
{
    if (!is_letter(*name))
        return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && !is_digit(*c))
            return false;
    return true;
}

/* A name or a number, and perhaps `:group`. */
static bool is_user_name(const char *name)
{
    if (!is_letter(*name) && !is_digit(*name))
        return false;
    bool group = false;
    for (const char *c = name; *c; c++) {
        if (*c == ':' && !group && c[1])
            group = true;
        else if (!is_letter(*c) && !is_digit(*c) && !strchr(".-@+$", *c))
            return false;
    }
    return true;
}

int tt_command_check(const struct tt_command *command, struct tt_error **err)
{
    bool words = command->argv && command->argv[0];
    if (!command->shell && !words)
        return tt_fail(err, TT_INVALID, "there is no command");
    if (command->shell && command->argv)
        return tt_fail(err, TT_INVALID, "a command is a shell line or a list of words, not both");
    for (size_t i = 0; i < command->var_count; i++)
        if (!is_variable_name(command->vars[i].name))
            return tt_fail(err, TT_INVALID, "\"%s\" cannot name an environment variable",
                           command->vars[i].name);
    if (command->user && !is_user_name(command->user))
        return tt_fail(err, TT_INVALID, "\"%s\" cannot name a user", command->user);
    if (command->password && !command->user)
        return tt_fail(err, TT_INVALID, "a password was given without a user to become");
    if (command->cwd && !*command->cwd)
        return tt_fail(err, TT_INVALID, "the working directory's name is empty");
    return 0;
}

/* --- processes --- */

void tt_process_init(struct tt_process *p, const struct tt_process_class *class_,
                     struct tt_env *env, const char *ref, const char *where)
{
    p->class_ = class_;
    p->env = env;
    tt_env_retain(env);
    p->ref = tt_strdup(ref);
    p->where = tt_strdup(where);
    p->exit = (struct tt_exit){.code = -1, .usage = {-1, -1, -1, -1, -1}};
}

void tt_process_clear(struct tt_process *p)
{
    struct tt_env *env = p->env;
    free(p->ref);
    free(p->where);
    free(p->exit.message);
    *p = (struct tt_process){0};
    if (env)
        tt_env_release(env);
}

struct tt_op *tt_process_gone_unseen(struct tt_process *p, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"waiting for the group's end", tt_op_cancel_now,
                                              tt_op_free};
    (void)p;
    struct tt_op *op = tt_zalloc(sizeof *op);
    tt_op_init(op, &class_, scope);
    return op;
}

/* --- environments --- */

void tt_env_init(struct tt_env *env, const struct tt_env_class *class_, const char *text,
                 const char *identity)
{
    env->class_ = class_;
    env->text = tt_strdup(text);
    env->identity = tt_strdup(identity);
    env->limit = 0;
    env->refs = 1;
}

void tt_env_retain(struct tt_env *env)
{
    env->refs++;
}

void tt_env_release(struct tt_env *env)
{
    if (!env || --env->refs > 0)
        return;
    free(env->text);
    free(env->identity);
    env->text = env->identity = NULL;
    env->class_->free(env);
}

size_t tt_env_no_parts(const struct tt_env *env, const char *parts[tt_env_part_count])
{
    (void)env, (void)parts;
    return 0;
}

struct tt_op *tt_env_no_attach(struct tt_env *env, struct tt_scope *scope, const char *ref)
{
    return tt_op_finished_new(
        scope, tt_error_new(TT_UNSUPPORTED, "%s: a started command (%s) cannot be found again here",
                            env->text, ref));
}

struct tt_op *tt_env_resolve_self(struct tt_env *env, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"resolve", tt_op_cancel_now, tt_env_op_free};
    struct tt_env_op *made = tt_zalloc(sizeof *made);
    tt_op_init(&made->op, &class_, scope);
    if (tt_op_finished(&made->op))
        return &made->op;
    made->env = env;
    tt_env_retain(env);
    tt_op_finish(&made->op, NULL);
    return &made->op;
}

struct tt_op *tt_env_close_nothing(struct tt_env *env, struct tt_scope *scope)
{
    (void)env;
    return tt_op_finished_new(scope, NULL);
}

/* --- operations with a result --- */

const struct tt_bytes *tt_bytes_of(struct tt_op *op)
{
    return &((struct tt_bytes_op *)(void *)op)->bytes;
}

struct tt_process *tt_process_of(struct tt_op *op)
{
    struct tt_process_op *of = (struct tt_process_op *)(void *)op;
    if (op->error)
        return NULL;
    struct tt_process *process = of->process;
    of->process = NULL;
    return process;
}

struct tt_env *tt_env_of(struct tt_op *op)
{
    return op->error ? NULL : ((struct tt_env_op *)(void *)op)->env;
}

void tt_bytes_op_free(struct tt_op *op)
{
    struct tt_bytes_op *bytes = (struct tt_bytes_op *)(void *)op;
    free(bytes->bytes.data);
    free(bytes);
}

void tt_process_op_free(struct tt_op *op)
{
    struct tt_process_op *started = (struct tt_process_op *)(void *)op;
    if (started->process)
        started->process->class_->free(started->process);
    free(started);
}

void tt_env_op_free(struct tt_op *op)
{
    struct tt_env_op *resolved = (struct tt_env_op *)(void *)op;
    tt_env_release(resolved->env);
    free(resolved);
}
