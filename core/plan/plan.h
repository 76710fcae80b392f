/* A plan: what a workflow's script declared, as plain data. No state, nothing runs here.
 *
 * A plan is built task by task, then checked, then only read: many runs may share it. The tasks
 * that a running function adds are a second plan, which the engine joins to the run. Everything in
 * a plan (texts, tasks, arrays) lies in memory of the plan, from tt_plan_alloc and tt_plan_text,
 * and is freed with it. 100,000 tasks are to fit in some tens of MB, so the parts that most tasks
 * lack are in struct tt_task_more.
 *
 * References: tt_plan_new gives one. Loop thread. */
#ifndef TT_PLAN_H
#define TT_PLAN_H

#include "core/env/callable.h"
#include "core/env/exec.h"
#include "core/run/run.h"

#include <jansson.h>

struct tt_plan;

enum tt_action_form { TT_ACTION_NONE, TT_ACTION_SHELL, TT_ACTION_ARGV, TT_ACTION_CALL };

/* What is done: a shell line, an argv, or a function of the plan's script host. */
struct tt_action {
    enum tt_action_form form;
    union {
        char *shell;
        char **argv; /* NULL-terminated */
        uint32_t function;
    };
};

struct tt_texts {
    char **items;
    uint32_t count;
};

enum tt_when { TT_WHEN_ALWAYS, TT_WHEN_NEVER, TT_WHEN_CALL };

struct tt_matrix_value {
    char *name;
    char *variable; /* MATRIX_name, for commands */
    char *text;     /* the value as text: of the variable, and in the instance's name */
    json_t *value;  /* string, number or boolean; kept by the plan */
};

/* The parts that most tasks lack. */
struct tt_task_more {
    char *description;
    enum tt_when when;
    uint32_t when_function;
    struct tt_retry retry;
    struct tt_action rollback;
    int64_t rollback_timeout; /* ms; 0: none */
    struct tt_action health;
    uint32_t health_retries;
    int64_t health_interval, health_timeout; /* ms; a timeout of 0: none */
    struct tt_texts input, output;           /* glob patterns */
    char *group;                             /* the matrix whose instance it is, or NULL */
    struct tt_matrix_value *matrix;          /* sorted by name */
    uint32_t matrix_count;
    char *password; /* for becoming `user`; tt_plan_secret's */
    int64_t grace;  /* ms */
    bool grace_given;
    bool pty;
    int64_t command_timeout; /* ms, of each command of the task; 0: none */
    int64_t max_output; /* bytes a stream, of commands that a function starts by ctx.env; 0: the
                           default */
};

struct tt_task {
    char *name;
    char *file; /* where it was declared; tt_plan_intern's */
    int line;
    struct tt_action run; /* TT_ACTION_NONE: only a point where others meet */
    struct tt_env *env;   /* held by the plan */
    char *cwd;            /* NULL: the environment's own */
    char *user;
    struct tt_var *vars; /* their values are tt_plan_secret's */
    uint32_t var_count;
    struct tt_texts needs, after; /* names of tasks or groups */
    int64_t timeout, deadline;    /* ms; 0: none */
    struct tt_task_more *more;    /* NULL: none of it */
};

enum tt_param_type { TT_PARAM_STRING, TT_PARAM_NUMBER, TT_PARAM_INTEGER, TT_PARAM_BOOLEAN };

struct tt_param {
    char *name;
    enum tt_param_type type;
    bool required;
    json_t *fallback; /* the default; NULL: none. Borrowed from the plan, as choices */
    json_t *choices;  /* an array of what is allowed, or NULL */
    char *description;
};

struct tt_plan_options {
    uint32_t jobs; /* 0: not stated */
    enum tt_on_failure on_failure;
    enum tt_rollback_mode rollback;
};

/* Functions of the plan are numbers of `host`, which must outlive it. `name` and `file` are copied.
 */
struct tt_plan *tt_plan_new(struct tt_script_host *host, const char *name, const char *file,
                            int line);
struct tt_plan *tt_plan_retain(struct tt_plan *plan);
void tt_plan_release(struct tt_plan *plan);

/* --- building --- */

void *tt_plan_alloc(struct tt_plan *plan, size_t size); /* zeroed, aligned for anything */
char *tt_plan_text(struct tt_plan *plan, const char *bytes, size_t length);
/* A copy that is wiped when the plan is freed: variables' values, passwords. */
char *tt_plan_secret(struct tt_plan *plan, const char *text);
/* A copy that equal texts share: for the few that repeat, file names. */
char *tt_plan_intern(struct tt_plan *plan, const char *text);
json_t *tt_plan_keep(struct tt_plan *plan, json_t *value); /* takes the value and returns it */
/* The plan takes a reference of its own to the environment, or to the function. */
void tt_plan_hold_env(struct tt_plan *plan, struct tt_env *env);
void tt_plan_hold_function(struct tt_plan *plan, uint32_t function);
/* task->more, made all zero when it was NULL. */
struct tt_task_more *tt_task_need_more(struct tt_plan *plan, struct tt_task *task);
/* Adds a task (allocated in this plan). -TT_INVALID for a name that the plan has already. */
int tt_plan_add(struct tt_plan *plan, struct tt_task *task, struct tt_error **err);
/* Adds a parameter (allocated in this plan), kept sorted by name; -TT_INVALID for a second one. */
int tt_plan_add_param(struct tt_plan *plan, struct tt_param *param, struct tt_error **err);
void tt_plan_set_options(struct tt_plan *plan, const struct tt_plan_options *options);
void tt_plan_set_description(struct tt_plan *plan, const char *text);

/* --- reading --- */

const char *tt_plan_name(const struct tt_plan *plan);
const char *tt_plan_description(const struct tt_plan *plan); /* or NULL */
const char *tt_plan_file(const struct tt_plan *plan);
int tt_plan_line(const struct tt_plan *plan);
struct tt_script_host *tt_plan_host(const struct tt_plan *plan);
const struct tt_plan_options *tt_plan_get_options(const struct tt_plan *plan);
uint32_t tt_plan_count(const struct tt_plan *plan);
const struct tt_task *tt_plan_task(const struct tt_plan *plan, uint32_t index);
const struct tt_task *tt_plan_find(const struct tt_plan *plan, const char *name); /* or NULL */
/* The environment of that identity among those that the plan holds, or NULL. Borrowed. */
struct tt_env *tt_plan_find_env(const struct tt_plan *plan, const char *identity);
uint32_t tt_plan_param_count(const struct tt_plan *plan);
const struct tt_param *tt_plan_param(const struct tt_plan *plan, uint32_t index);
const char *tt_param_type_name(enum tt_param_type type);
/* The action in a line for people, allocated: the shell line, the words quoted, the function. */
char *tt_action_text(const struct tt_plan *plan, const struct tt_action *action);

/* --- the plan as tasks of a run --- */

/* Makes a run of the plan's tasks and starts it. options NULL: all zero. Checks all that can be
 * checked; errors are -TT_INVALID and name the declaration's file and line: no task at all, an
 * unknown need (with the nearest name), a cycle, a number out of range, an unknown `only`. */
int tt_plan_start(const struct tt_plan *plan, const struct tt_run_options *options,
                  struct tt_run **run, struct tt_error **err);
/* The checks of tt_plan_start alone. */
int tt_plan_check(const struct tt_plan *plan, const struct tt_run_options *options,
                  struct tt_error **err);
/* The tasks as specifications for struct tt_input: pointers into the plan. Free with
 * tt_plan_specs_free. */
struct tt_task_spec *tt_plan_specs(const struct tt_plan *plan);
void tt_plan_specs_free(struct tt_task_spec *specs);
/* The order in which the tasks would start with one job, if all succeeded: indexes, allocated. */
int tt_plan_order(const struct tt_plan *plan, const struct tt_run_options *options,
                  uint32_t **order, uint32_t *count, struct tt_error **err);

/* --- parameters --- */

struct tt_given_param {
    const char *name;
    const char *value; /* text, to be read as the declared type */
};
/* *params: an object with the values that are given, and the defaults of the others. -TT_INVALID:
 * an unknown name (with the nearest), a value that is not of its type or not among the choices, a
 * required one missing.
 */
int tt_plan_params(const struct tt_plan *plan, const struct tt_given_param *given, size_t count,
                   json_t **params, struct tt_error **err);
/* A parameter or matrix value as a command sees it: text as it is, numbers as they read back,
 * "true", "false". Allocated. */
char *tt_value_text(const json_t *value);

#endif
