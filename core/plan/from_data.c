/* From data to a plan. Each reader leaves its target alone where the member is missing, and sets
 * the error (the first one stays) where it is something else than it should be. */
#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/env/registry.h"
#include "core/plan/data.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct tt_plan *plan;
    struct tt_loop *loop;
    const struct tt_plan *known;
    const char *task; /* whose members are read */
    struct tt_error *error;
};

static void wrong(struct reader *r, const char *member, const char *what)
{
    if (!r->error)
        tt_fail(&r->error, TT_INVALID, "task \"%s\": %s %s", r->task, member, what);
}

static char *keep(struct reader *r, const char *bytes, size_t length, bool secret)
{
    return secret ? tt_plan_secret(r->plan, bytes) : tt_plan_text(r->plan, bytes, length);
}

/* The text that a value is, in the plan's memory; NULL when it is none. */
static char *text_of(struct reader *r, const char *member, const json_t *value, bool secret)
{
    if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
        return keep(r, json_string_value(value), json_string_length(value), secret);
    if (json_is_true(json_object_get(value, "secret"))) {
        wrong(r, member, "held a secret, which is not stored");
        return NULL;
    }
    const char *encoded = json_string_value(json_object_get(value, "base64"));
    size_t length;
    char *bytes = encoded ? tt_base64_decode(encoded, &length) : NULL;
    char *text = bytes && strlen(bytes) == length ? keep(r, bytes, length, secret) : NULL;
    free(bytes);
    if (!text)
        wrong(r, member, "is no text");
    return text;
}

static void read_text(struct reader *r, const json_t *object, const char *member, char **text)
{
    const json_t *value = json_object_get(object, member);
    if (value)
        *text = text_of(r, member, value, false);
}

static void read_number(struct reader *r, const json_t *object, const char *member, int64_t most,
                        int64_t *number)
{
    const json_t *value = json_object_get(object, member);
    if (!value)
        return;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most)
        wrong(r, member, "is no number in its range");
    else
        *number = json_integer_value(value);
}

static void read_small(struct reader *r, const json_t *object, const char *member, uint32_t *number)
{
    int64_t wide = *number;
    read_number(r, object, member, UINT32_MAX, &wide);
    *number = (uint32_t)wide;
}

static bool read_flag(struct reader *r, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (value && !json_is_boolean(value))
        wrong(r, member, "is neither true nor false");
    return json_is_true(value);
}

static void read_list(struct reader *r, const json_t *object, const char *member, char ***items,
                      uint32_t *count)
{
    const json_t *list = json_object_get(object, member);
    if (!list)
        return;
    size_t size = json_array_size(list);
    if (!json_is_array(list)) {
        wrong(r, member, "is no list");
        return;
    }
    *items = tt_plan_alloc(r->plan, (size + 1) * sizeof **items);
    for (size_t i = 0; i < size; i++)
        (*items)[i] = text_of(r, member, json_array_get(list, i), false);
    *count = (uint32_t)size;
}

static void read_texts(struct reader *r, const json_t *object, const char *member,
                       struct tt_texts *texts)
{
    read_list(r, object, member, &texts->items, &texts->count);
}

/* The function that a value names; false when it names none. */
static bool read_function(struct reader *r, const char *member, const json_t *value,
                          uint32_t *function)
{
    const char *name = json_string_value(json_object_get(value, "function"));
    struct tt_script_host *host = tt_plan_host(r->plan);
    struct tt_error *why = NULL;
    if (!name)
        return false;
    if (host->class_->find(host, name, function, &why) < 0) {
        if (!r->error)
            tt_fail(&why, TT_INVALID, "task \"%s\": %s", r->task, member);
        if (!r->error)
            r->error = why;
        else
            tt_error_free(why);
        return true;
    }
    tt_plan_hold_function(r->plan, *function);
    return true;
}

static void read_action(struct reader *r, const json_t *object, const char *member,
                        struct tt_action *action)
{
    const json_t *value = json_object_get(object, member);
    uint32_t count = 0;
    if (!value)
        return;
    if (json_is_array(value)) {
        action->form = TT_ACTION_ARGV;
        read_list(r, object, member, &action->argv, &count);
        if (!count)
            wrong(r, member, "has no words");
    } else if (read_function(r, member, value, &action->function)) {
        action->form = TT_ACTION_CALL;
    } else {
        action->form = TT_ACTION_SHELL;
        action->shell = text_of(r, member, value, false);
    }
}

static void read_when(struct reader *r, const json_t *object, struct tt_task_more *more)
{
    const json_t *value = json_object_get(object, "when");
    if (json_is_false(value))
        more->when = TT_WHEN_NEVER;
    else if (read_function(r, "when", value, &more->when_function))
        more->when = TT_WHEN_CALL;
    else if (value)
        wrong(r, "when", "is no condition");
}

static void read_retry(struct reader *r, const json_t *object, struct tt_retry *retry)
{
    const json_t *backoff = json_object_get(object, "backoff");
    read_small(r, object, "retries", &retry->retries);
    retry->idempotent = read_flag(r, object, "idempotent");
    read_number(r, backoff, "first", INT64_MAX, &retry->first);
    read_number(r, backoff, "max", INT64_MAX, &retry->max);
    retry->factor = json_number_value(json_object_get(backoff, "factor"));
    retry->jitter = json_number_value(json_object_get(backoff, "jitter"));
}

static void read_matrix(struct reader *r, const json_t *object, struct tt_task_more *more)
{
    const json_t *list = json_object_get(object, "matrix");
    size_t count = json_array_size(list);
    more->matrix = tt_plan_alloc(r->plan, count * sizeof *more->matrix);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        struct tt_matrix_value *value = &more->matrix[i];
        read_text(r, one, "name", &value->name);
        read_text(r, one, "variable", &value->variable);
        read_text(r, one, "text", &value->text);
        value->value = tt_plan_keep(r->plan, json_incref(json_object_get(one, "value")));
        if (!value->name || !value->variable || !value->text || !value->value)
            wrong(r, "matrix", "has a value without a name");
    }
    more->matrix_count = (uint32_t)count;
}

static void read_more(struct reader *r, const json_t *object, struct tt_task_more *more)
{
    read_text(r, object, "description", &more->description);
    read_when(r, object, more);
    read_retry(r, object, &more->retry);
    read_action(r, object, "rollback", &more->rollback);
    read_number(r, object, "rollback_timeout", INT64_MAX, &more->rollback_timeout);
    read_action(r, object, "health", &more->health);
    read_small(r, object, "health_retries", &more->health_retries);
    read_number(r, object, "health_interval", INT64_MAX, &more->health_interval);
    read_number(r, object, "health_timeout", INT64_MAX, &more->health_timeout);
    read_texts(r, object, "input", &more->input);
    read_texts(r, object, "output", &more->output);
    read_text(r, object, "group", &more->group);
    read_matrix(r, object, more);
    const json_t *password = json_object_get(object, "password");
    if (password)
        more->password = text_of(r, "password", password, true);
    more->grace_given = json_object_get(object, "grace") != NULL;
    read_number(r, object, "grace", INT64_MAX, &more->grace);
    more->pty = read_flag(r, object, "pty");
    read_number(r, object, "command_timeout", INT64_MAX, &more->command_timeout);
    read_number(r, object, "max_output", INT64_MAX, &more->max_output);
}

static void read_vars(struct reader *r, const json_t *object, struct tt_task *task)
{
    const json_t *list = json_object_get(object, "env");
    size_t count = json_array_size(list);
    task->vars = tt_plan_alloc(r->plan, count * sizeof *task->vars);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(list, i);
        task->vars[i].name = text_of(r, "env", json_array_get(pair, 0), false);
        task->vars[i].value = text_of(r, "env", json_array_get(pair, 1), true);
    }
    task->var_count = (uint32_t)count;
}

static void read_env(struct reader *r, const json_t *object, struct tt_task *task)
{
    const json_t *on = json_object_get(object, "on");
    char *text = NULL, *identity = NULL;
    read_text(r, on, "text", &text);
    read_text(r, on, "identity", &identity);
    if (!text || !identity) {
        wrong(r, "on", "names no environment");
        return;
    }
    struct tt_env *env = r->known ? tt_plan_find_env(r->known, identity) : NULL;
    if (!env)
        env = tt_plan_find_env(r->plan, identity);
    if (env) {
        tt_plan_hold_env(r->plan, env);
    } else {
        struct tt_error *why = NULL;
        if (tt_env_from_text(&env, r->loop, text, &why) < 0) {
            wrong(r, "on", why->message);
            tt_error_free(why);
            return;
        }
        tt_plan_hold_env(r->plan, env);
        tt_env_release(env); /* the plan's now */
        if (strcmp(env->identity, identity) != 0) {
            char *what = tt_format("is %s with options that only its script knows", text);
            wrong(r, "on", what);
            free(what);
        }
    }
    task->env = env;
}

static void read_task(struct reader *r, const json_t *object)
{
    struct tt_task *task = tt_plan_alloc(r->plan, sizeof *task);
    int64_t line = 0;
    char *file = NULL;
    r->task = json_string_value(json_object_get(object, "name"));
    if (!r->task)
        r->task = "?";
    read_text(r, object, "name", &task->name);
    read_text(r, object, "file", &file);
    read_number(r, object, "line", INT32_MAX, &line);
    if (!task->name)
        wrong(r, "name", "is missing");
    task->file = tt_plan_intern(r->plan, file ? file : "?");
    task->line = (int)line;
    read_action(r, object, "run", &task->run);
    read_env(r, object, task);
    read_text(r, object, "cwd", &task->cwd);
    read_text(r, object, "user", &task->user);
    read_vars(r, object, task);
    read_texts(r, object, "needs", &task->needs);
    read_texts(r, object, "after", &task->after);
    read_number(r, object, "timeout", INT64_MAX, &task->timeout);
    read_number(r, object, "deadline", INT64_MAX, &task->deadline);
    read_more(r, object, tt_task_need_more(r->plan, task));
    if (!r->error)
        tt_plan_add(r->plan, task, &r->error);
}

int tt_plan_from_data(struct tt_plan **plan, struct tt_loop *loop, struct tt_script_host *host,
                      const struct tt_plan *known, const json_t *data, struct tt_error **err)
{
    const char *name = json_string_value(json_object_get(data, "name"));
    const char *file = json_string_value(json_object_get(data, "file"));
    const json_t *tasks = json_object_get(data, "tasks");
    *plan = NULL;
    if (!name || !file || !json_is_array(tasks))
        return tt_fail(err, TT_INVALID, "these data are no plan");
    struct reader r = {.loop = loop, .known = known};
    r.plan = tt_plan_new(host, name, file, (int)json_integer_value(json_object_get(data, "line")));
    for (size_t i = 0; i < json_array_size(tasks) && !r.error; i++)
        read_task(&r, json_array_get(tasks, i));
    if (r.error) {
        int rc = -(int)r.error->kind;
        tt_plan_release(r.plan);
        if (err)
            *err = r.error;
        else
            tt_error_free(r.error);
        return rc;
    }
    *plan = r.plan;
    return 0;
}
