/* From a plan to data. */
#include "core/plan/data.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"

#include <stdlib.h>
#include <string.h>

struct writer {
    const struct tt_plan *plan;
    const struct tt_masker *masker;
};

static bool holds_secret(const struct writer *w, const char *text)
{
    if (!w->masker || tt_masker_empty(w->masker))
        return false;
    struct tt_buf masked = {0};
    tt_mask_text(w->masker, text, strlen(text), &masked);
    bool same = masked.length == strlen(text) &&
                (masked.length == 0 || memcmp(masked.data, text, masked.length) == 0);
    tt_buf_free(&masked);
    return !same;
}

static json_t *text_of(const struct writer *w, const char *text)
{
    if (holds_secret(w, text))
        return json_pack("{s:b}", "secret", 1);
    json_t *value = json_string(text);
    if (value)
        return value;
    char *encoded = tt_base64_encode(text, strlen(text));
    value = json_pack("{s:s}", "base64", encoded);
    free(encoded);
    return value;
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void set_text(const struct writer *w, json_t *object, const char *name, const char *text)
{
    if (text)
        set(object, name, text_of(w, text));
}

static void set_number(json_t *object, const char *name, int64_t number)
{
    if (number)
        set(object, name, json_integer(number));
}

static void set_flag(json_t *object, const char *name, bool flag)
{
    if (flag)
        set(object, name, json_true());
}

static void set_texts(const struct writer *w, json_t *object, const char *name,
                      const struct tt_texts *texts)
{
    if (!texts->count)
        return;
    json_t *list = json_array();
    for (uint32_t i = 0; i < texts->count; i++)
        json_array_append_new(list, text_of(w, texts->items[i]));
    set(object, name, list);
}

static json_t *function_of(const struct writer *w, uint32_t function)
{
    struct tt_script_host *host = tt_plan_host(w->plan);
    return json_pack("{s:s}", "function", host->class_->name(host, function));
}

static void set_action(const struct writer *w, json_t *object, const char *name,
                       const struct tt_action *action)
{
    json_t *words;
    switch (action->form) {
    case TT_ACTION_NONE:
        break;
    case TT_ACTION_SHELL:
        set_text(w, object, name, action->shell);
        break;
    case TT_ACTION_ARGV:
        words = json_array();
        for (char **word = action->argv; *word; word++)
            json_array_append_new(words, text_of(w, *word));
        set(object, name, words);
        break;
    case TT_ACTION_CALL:
        set(object, name, function_of(w, action->function));
        break;
    }
}

static void set_retry(json_t *object, const struct tt_retry *retry)
{
    set_number(object, "retries", retry->retries);
    set_flag(object, "idempotent", retry->idempotent);
    if (!retry->first && !retry->max && retry->factor == 0 && retry->jitter == 0)
        return;
    json_t *backoff = json_object();
    set_number(backoff, "first", retry->first);
    set(backoff, "factor", json_real(retry->factor));
    set_number(backoff, "max", retry->max);
    set(backoff, "jitter", json_real(retry->jitter));
    set(object, "backoff", backoff);
}

static void set_matrix(const struct writer *w, json_t *object, const struct tt_task_more *more)
{
    if (!more->matrix_count)
        return;
    json_t *list = json_array();
    for (uint32_t i = 0; i < more->matrix_count; i++) {
        const struct tt_matrix_value *value = &more->matrix[i];
        json_t *one = json_object();
        set_text(w, one, "name", value->name);
        set_text(w, one, "variable", value->variable);
        set_text(w, one, "text", value->text);
        set(one, "value", json_incref(value->value));
        json_array_append_new(list, one);
    }
    set(object, "matrix", list);
}

static void set_more(const struct writer *w, json_t *object, const struct tt_task_more *more)
{
    set_text(w, object, "description", more->description);
    if (more->when == TT_WHEN_NEVER)
        set(object, "when", json_false());
    else if (more->when == TT_WHEN_CALL)
        set(object, "when", function_of(w, more->when_function));
    set_retry(object, &more->retry);
    set_action(w, object, "rollback", &more->rollback);
    set_number(object, "rollback_timeout", more->rollback_timeout);
    set_action(w, object, "health", &more->health);
    set_number(object, "health_retries", more->health_retries);
    set_number(object, "health_interval", more->health_interval);
    set_number(object, "health_timeout", more->health_timeout);
    set_texts(w, object, "input", &more->input);
    set_texts(w, object, "output", &more->output);
    set_text(w, object, "group", more->group);
    set_matrix(w, object, more);
    if (more->password)
        set(object, "password", json_pack("{s:b}", "secret", 1));
    if (more->grace_given)
        set(object, "grace", json_integer(more->grace));
    set_flag(object, "pty", more->pty);
    set_number(object, "command_timeout", more->command_timeout);
    set_number(object, "max_output", more->max_output);
}

static json_t *task_of(const struct writer *w, const struct tt_task *task)
{
    json_t *object = json_object();
    set_text(w, object, "name", task->name);
    set_text(w, object, "file", task->file);
    set_number(object, "line", task->line);
    set_action(w, object, "run", &task->run);
    set(object, "on",
        json_pack("{s:o, s:o}", "text", text_of(w, task->env->text), "identity",
                  text_of(w, task->env->identity)));
    set_text(w, object, "cwd", task->cwd);
    set_text(w, object, "user", task->user);
    if (task->var_count) {
        json_t *vars = json_array();
        for (uint32_t i = 0; i < task->var_count; i++)
            json_array_append_new(vars, json_pack("[o, o]", text_of(w, task->vars[i].name),
                                                  text_of(w, task->vars[i].value)));
        set(object, "env", vars);
    }
    set_texts(w, object, "needs", &task->needs);
    set_texts(w, object, "after", &task->after);
    set_number(object, "timeout", task->timeout);
    set_number(object, "deadline", task->deadline);
    if (task->more)
        set_more(w, object, task->more);
    return object;
}

json_t *tt_plan_to_data(const struct tt_plan *plan, const struct tt_masker *masker)
{
    struct writer w = {plan, masker};
    json_t *data = json_object(), *tasks = json_array();
    set_text(&w, data, "name", tt_plan_name(plan));
    set_text(&w, data, "file", tt_plan_file(plan));
    set_number(data, "line", tt_plan_line(plan));
    for (uint32_t i = 0; i < tt_plan_count(plan); i++)
        json_array_append_new(tasks, task_of(&w, tt_plan_task(plan, i)));
    set(data, "tasks", tasks);
    return data;
}
