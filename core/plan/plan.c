#include "core/plan/plan.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "core/base/names.h"

#include <stdlib.h>
#include <string.h>

enum { chunk_size = 64 << 10 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

struct tt_plan {
    unsigned refs;
    struct tt_script_host *host;
    char *name, *description, *file;
    int line;
    struct tt_plan_options options;
    struct chunk *chunks;
    struct chunk *secrets; /* wiped before they are freed */
    struct tt_task **tasks;
    uint32_t count, room;
    struct tt_names *task_names; /* a task's number in it is its index */
    struct tt_param **params;
    uint32_t param_count;
    char **interned;
    uint32_t interned_count;
    struct tt_env **envs;
    uint32_t env_count;
    uint32_t *functions;
    uint32_t function_count, function_room;
    json_t *values; /* an array: holds what is borrowed from it */
};

struct tt_plan *tt_plan_new(struct tt_script_host *host, const char *name, const char *file,
                            int line)
{
    struct tt_plan *plan = tt_zalloc(sizeof *plan);
    plan->refs = 1;
    plan->task_names = tt_names_new();
    plan->host = host;
    plan->line = line;
    plan->name = tt_plan_text(plan, name, strlen(name));
    plan->file = tt_plan_intern(plan, file);
    return plan;
}

struct tt_plan *tt_plan_retain(struct tt_plan *plan)
{
    plan->refs++;
    return plan;
}

static void free_chunks(struct chunk *chunk, bool wipe)
{
    for (struct chunk *next; chunk; chunk = next) {
        next = chunk->next;
        if (wipe)
            explicit_bzero(chunk->bytes, chunk->used);
        free(chunk);
    }
}

void tt_plan_release(struct tt_plan *plan)
{
    if (!plan || --plan->refs > 0)
        return;
    for (uint32_t i = 0; i < plan->env_count; i++)
        tt_env_release(plan->envs[i]);
    for (uint32_t i = 0; i < plan->function_count; i++)
        plan->host->class_->release(plan->host, plan->functions[i]);
    json_decref(plan->values);
    free_chunks(plan->chunks, false);
    free_chunks(plan->secrets, true);
    free(plan->tasks);
    tt_names_free(plan->task_names);
    free(plan->params);
    free(plan->interned);
    free(plan->envs);
    free(plan->functions);
    free(plan);
}

static void *alloc_in(struct chunk **chunks, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    struct chunk *chunk = *chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        /* Small plans stay small: the first chunk is a page. */
        size_t room = chunk ? chunk_size : 4096 - sizeof(struct chunk);
        if (size > room)
            room = size;
        struct chunk *fresh = tt_alloc(sizeof *fresh + room);
        fresh->used = 0;
        fresh->size = room;
        fresh->next = chunk;
        *chunks = chunk = fresh;
    }
    void *at = chunk->bytes + chunk->used;
    chunk->used += size;
    return memset(at, 0, size);
}

void *tt_plan_alloc(struct tt_plan *plan, size_t size)
{
    return alloc_in(&plan->chunks, size);
}

char *tt_plan_text(struct tt_plan *plan, const char *bytes, size_t length)
{
    char *text = tt_plan_alloc(plan, length + 1);
    memcpy(text, bytes, length);
    return text;
}

char *tt_plan_secret(struct tt_plan *plan, const char *text)
{
    size_t length = strlen(text);
    return memcpy(alloc_in(&plan->secrets, length + 1), text, length);
}

char *tt_plan_intern(struct tt_plan *plan, const char *text)
{
    for (uint32_t i = plan->interned_count; i-- > 0;)
        if (strcmp(plan->interned[i], text) == 0)
            return plan->interned[i];
    plan->interned =
        tt_reallocarray(plan->interned, plan->interned_count + 1, sizeof *plan->interned);
    return plan->interned[plan->interned_count++] = tt_plan_text(plan, text, strlen(text));
}

json_t *tt_plan_keep(struct tt_plan *plan, json_t *value)
{
    if (!plan->values)
        plan->values = json_array();
    json_array_append_new(plan->values, value);
    return value;
}

void tt_plan_hold_env(struct tt_plan *plan, struct tt_env *env)
{
    for (uint32_t i = plan->env_count; i-- > 0;)
        if (plan->envs[i] == env)
            return;
    plan->envs = tt_reallocarray(plan->envs, plan->env_count + 1, sizeof(struct tt_env *));
    plan->envs[plan->env_count++] = env;
    tt_env_retain(env);
}

struct tt_env *tt_plan_find_env(const struct tt_plan *plan, const char *identity)
{
    for (uint32_t i = 0; i < plan->env_count; i++)
        if (strcmp(plan->envs[i]->identity, identity) == 0)
            return plan->envs[i];
    return NULL;
}

void tt_plan_hold_function(struct tt_plan *plan, uint32_t function)
{
    if (plan->function_count == plan->function_room) {
        plan->function_room = plan->function_room ? plan->function_room * 2 : 16;
        plan->functions =
            tt_reallocarray(plan->functions, plan->function_room, sizeof *plan->functions);
    }
    plan->functions[plan->function_count++] = function;
    plan->host->class_->retain(plan->host, function);
}

struct tt_task_more *tt_task_need_more(struct tt_plan *plan, struct tt_task *task)
{
    if (!task->more)
        task->more = tt_plan_alloc(plan, sizeof *task->more);
    return task->more;
}

int tt_plan_add(struct tt_plan *plan, struct tt_task *task, struct tt_error **err)
{
    uint32_t number = tt_names_add(plan->task_names, task->name);
    if (number < plan->count) {
        const struct tt_task *first = plan->tasks[number];
        return tt_fail(err, TT_INVALID,
                       "%s:%d: task \"%s\" is declared twice: the first time at %s:%d", task->file,
                       task->line, task->name, first->file, first->line);
    }
    if (plan->count == plan->room) {
        plan->room = plan->room ? plan->room * 2 : 16;
        plan->tasks = tt_reallocarray(plan->tasks, plan->room, sizeof(struct tt_task *));
    }
    plan->tasks[plan->count++] = task;
    return 0;
}

int tt_plan_add_param(struct tt_plan *plan, struct tt_param *param, struct tt_error **err)
{
    uint32_t at = 0;
    while (at < plan->param_count && strcmp(plan->params[at]->name, param->name) < 0)
        at++;
    if (at < plan->param_count && strcmp(plan->params[at]->name, param->name) == 0)
        return tt_fail(err, TT_INVALID, "parameter \"%s\" is declared twice", param->name);
    plan->params = tt_reallocarray(plan->params, plan->param_count + 1, sizeof(struct tt_param *));
    memmove(plan->params + at + 1, plan->params + at,
            (plan->param_count - at) * sizeof(struct tt_param *));
    plan->params[at] = param;
    plan->param_count++;
    return 0;
}

void tt_plan_set_options(struct tt_plan *plan, const struct tt_plan_options *options)
{
    plan->options = *options;
}

void tt_plan_set_description(struct tt_plan *plan, const char *text)
{
    plan->description = tt_plan_text(plan, text, strlen(text));
}

const char *tt_plan_name(const struct tt_plan *plan)
{
    return plan->name;
}

const char *tt_plan_description(const struct tt_plan *plan)
{
    return plan->description;
}

const char *tt_plan_file(const struct tt_plan *plan)
{
    return plan->file;
}

int tt_plan_line(const struct tt_plan *plan)
{
    return plan->line;
}

struct tt_script_host *tt_plan_host(const struct tt_plan *plan)
{
    return plan->host;
}

const struct tt_plan_options *tt_plan_get_options(const struct tt_plan *plan)
{
    return &plan->options;
}

uint32_t tt_plan_count(const struct tt_plan *plan)
{
    return plan->count;
}

const struct tt_task *tt_plan_task(const struct tt_plan *plan, uint32_t index)
{
    return plan->tasks[index];
}

const struct tt_task *tt_plan_find(const struct tt_plan *plan, const char *name)
{
    uint32_t number = tt_names_find(plan->task_names, name);
    return number == TT_NO_NAME ? NULL : plan->tasks[number];
}

uint32_t tt_plan_param_count(const struct tt_plan *plan)
{
    return plan->param_count;
}

const struct tt_param *tt_plan_param(const struct tt_plan *plan, uint32_t index)
{
    return plan->params[index];
}

/* Quoted only where a reader could take it for something else. */
static void add_word(struct tt_buf *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-+=/.,:@%";
    if (text->length)
        tt_buf_text(text, " ");
    if (*word && strspn(word, plain) == strlen(word)) {
        tt_buf_text(text, word);
        return;
    }
    tt_buf_text(text, "'");
    for (; *word; word++)
        if (*word == '\'')
            tt_buf_text(text, "'\\''");
        else
            tt_buf_add(text, word, 1);
    tt_buf_text(text, "'");
}

char *tt_action_text(const struct tt_plan *plan, const struct tt_action *action)
{
    struct tt_buf text = {0};
    switch (action->form) {
    case TT_ACTION_NONE:
        break;
    case TT_ACTION_SHELL:
        tt_buf_text(&text, action->shell);
        break;
    case TT_ACTION_ARGV:
        for (char **word = action->argv; *word; word++)
            add_word(&text, *word);
        break;
    case TT_ACTION_CALL:
        return plan->host->class_->describe(plan->host, action->function);
    }
    return tt_buf_take(&text);
}
