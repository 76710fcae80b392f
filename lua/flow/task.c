/* One task's table. */
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/glob.h"
#include "lua/env/env.h"
#include "lua/env/words.h"
#include "lua/flow/ctx.h"
#include "lua/flow/flow.h"
#include "lua/flow/host.h"
#include "lua/value/error.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const char *const task_options[] = {
    "after",   "backoff",    "cwd",   "deadline", "description", "env",  "grace",
    "health",  "idempotent", "input", "matrix",   "needs",       "on",   "output",
    "retries", "rollback",   "run",   "timeout",  "user",        "when", NULL,
};

enum { most_retries = 1000000 };

static char *keep_text(lua_State *L, struct tt_plan *plan, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    return tt_plan_text(plan, text, length);
}

/* A duration that bounds something; 0: not given. */
static int64_t read_limit(struct lt_options *o, const char *name)
{
    int64_t limit = lt_option_duration(o, name, 0);
    if (limit == 0 && lt_option_given(o, name))
        lt_option_wrong(o, name, "a duration of 1 ms or more");
    return limit;
}

/* ---- actions --------------------------------------------------------------------------------- */

/* Where an action or a condition stands, beside its option. */
struct place {
    struct lt_flow *flow;
    const char *task, *role;
};

static uint32_t keep_function(struct lt_options *o, const struct place *at, const char *name)
{
    lua_State *L = o->L;
    struct lt_flow *flow = at->flow;
    uint32_t function;
    if (lt_to_function(L, -1, &function)) {
        tt_plan_hold_function(flow->plan, function);
        return function;
    }
    if (flow->ctx)
        lt_invalid(L,
                   "%s: option '%s': a function of a task that a running function adds is named "
                   "while the file loads: local f = flow:fn(\"name\", function …)",
                   o->what, name);
    struct tt_script_host *host = lt_host(L);
    function = lt_host_add(L, -1, tt_plan_name(flow->plan), at->task, at->role);
    tt_plan_hold_function(flow->plan, function);
    host->class_->release(host, function);
    return function;
}

static bool is_function(lua_State *L, int index)
{
    uint32_t function;
    return lua_isfunction(L, index) || lt_to_function(L, index, &function);
}

static char **keep_argv(struct lt_options *o, struct tt_plan *plan, const char *name)
{
    lua_State *L = o->L;
    size_t count = lt_check_sequence(L, -1, o->what, name);
    if (count == 0)
        lt_option_wrong(o, name, "a command: the list of its words is empty");
    const char *what = lua_pushfstring(L, "%s: option '%s'", o->what, name);
    struct tt_word *words = lua_newuserdatauv(L, count * sizeof *words, 0);
    lt_push_words(L, -3, count, what, words);
    char **argv = tt_plan_alloc(plan, (count + 1) * sizeof *argv);
    for (size_t i = 0; i < count; i++)
        argv[i] = tt_plan_text(plan, words[i].bytes, words[i].length);
    lua_pop(L, 3);
    return argv;
}

/* The value at the top, which is popped. */
static void read_action(struct lt_options *o, const struct place *at, const char *name,
                        struct tt_action *action)
{
    lua_State *L = o->L;
    if (lua_type(L, -1) == LUA_TSTRING) {
        action->form = TT_ACTION_SHELL;
        action->shell = keep_text(L, at->flow->plan, -1);
        if (strlen(action->shell) != lua_rawlen(L, -1))
            lt_invalid(L, "%s: option '%s' holds a NUL byte", o->what, name);
        if (!*action->shell)
            lt_option_wrong(o, name, "a command, which an empty string is not");
    } else if (is_function(L, -1)) {
        action->form = TT_ACTION_CALL;
        action->function = keep_function(o, at, name);
    } else if (lua_istable(L, -1)) {
        action->form = TT_ACTION_ARGV;
        action->argv = keep_argv(o, at->flow->plan, name);
    } else {
        lt_option_wrong(o, name, "a command (string or list of words) or a function");
    }
    lua_pop(L, 1);
}

/* `rollback` and `health` are an action, or a table with the action as `run`: true then, and
 * `inner` reads it. */
static bool read_wrapped(struct lt_options *o, const struct place *at, const char *const *names,
                         struct tt_action *action, struct lt_options *inner)
{
    lua_State *L = o->L;
    const char *name = at->role;
    lt_option_push(o, name);
    bool words = lua_istable(L, -1) && lua_rawlen(L, -1) > 0;
    if (!lua_istable(L, -1) || words) {
        read_action(o, at, name, action);
        return false;
    }
    const char *what = lua_pushfstring(L, "%s: %s", o->what, name);
    lt_options_open(L, inner, lua_gettop(L) - 1, what, names, false);
    if (!lt_option_given(inner, "run"))
        lt_invalid(L, "%s: option 'run' is missing", what);
    lt_option_push(inner, "run");
    read_action(inner, at, "run", action);
    return true;
}

static void read_rollback(struct lt_options *o, const struct place *at, struct tt_task_more *more)
{
    static const char *const names[] = {"run", "timeout", NULL};
    struct lt_options inner;
    int top = lua_gettop(o->L);
    if (read_wrapped(o, at, names, &more->rollback, &inner))
        more->rollback_timeout = read_limit(&inner, "timeout");
    lua_settop(o->L, top);
}

static void read_health(struct lt_options *o, const struct place *at, struct tt_task_more *more)
{
    static const char *const names[] = {"run", "retries", "interval", "timeout", NULL};
    struct lt_options inner;
    int top = lua_gettop(o->L);
    more->health_interval = 1000;
    if (read_wrapped(o, at, names, &more->health, &inner)) {
        more->health_retries = (uint32_t)lt_option_integer(&inner, "retries", 0, 0, most_retries);
        more->health_interval = lt_option_duration(&inner, "interval", 1000);
        more->health_timeout = read_limit(&inner, "timeout");
    }
    lua_settop(o->L, top);
}

/* ---- where ------------------------------------------------------------------------------------
 */

struct vars {
    struct tt_plan *plan;
    struct tt_task *task;
    uint32_t room;
};

static void add_var(const struct lt_options *o, void *arg, const char *name, const char *value)
{
    (void)o;
    struct vars *vars = arg;
    struct tt_task *task = vars->task;
    for (uint32_t i = 0; i < task->var_count; i++)
        if (strcmp(task->vars[i].name, name) == 0) {
            task->vars[i].value = tt_plan_secret(vars->plan, value);
            return;
        }
    if (task->var_count == vars->room) {
        vars->room = vars->room ? vars->room * 2 : 4;
        struct tt_var *grown = tt_plan_alloc(vars->plan, vars->room * sizeof *grown);
        if (task->var_count)
            memcpy(grown, task->vars, task->var_count * sizeof *grown);
        task->vars = grown;
    }
    task->vars[task->var_count++] = (struct tt_var){tt_plan_text(vars->plan, name, strlen(name)),
                                                    tt_plan_secret(vars->plan, value)};
}

static void read_vars(struct lt_options *o, struct tt_plan *plan, struct tt_task *task,
                      const struct lt_env_defaults *defaults)
{
    struct vars vars = {plan, task, 0};
    for (size_t i = 0; defaults && i < defaults->command.var_count; i++)
        add_var(o, &vars, defaults->command.vars[i].name, defaults->command.vars[i].value);
    lt_option_vars(o, add_var, &vars);
}

static const char *script_dir(lua_State *L, struct lt_flow *flow)
{
    if (!flow->dir) {
        const char *dir = lt_vm_script_dir(lt_vm_of(L));
        flow->dir = TT_FAULT("lflow.realpath") ? NULL : realpath(dir ? dir : ".", NULL);
        if (!flow->dir)
            lt_raisef(L, TT_IO, "the script's directory cannot be found: %s", strerror(errno));
    }
    return flow->dir;
}

/* Here a task's directory is the script's unless it names another; elsewhere the environment's. */
static void set_cwd(lua_State *L, struct lt_flow *flow, struct tt_task *task, const char *cwd)
{
    bool local = task->env->class_->paths_are_here;
    if (!local || (cwd && *cwd == '/'))
        task->cwd = cwd ? tt_plan_text(flow->plan, cwd, strlen(cwd)) : NULL;
    else if (!cwd)
        task->cwd = tt_plan_intern(flow->plan, script_dir(L, flow));
    else
        task->cwd =
            tt_plan_intern(flow->plan, lua_pushfstring(L, "%s/%s", script_dir(L, flow), cwd));
}

static void set_grace(struct tt_plan *plan, struct tt_task *task, int64_t grace)
{
    struct tt_task_more *more = tt_task_need_more(plan, task);
    more->grace = grace;
    more->grace_given = true;
}

static void read_where(struct lt_options *o, struct lt_flow *flow, struct tt_task *task)
{
    struct tt_plan *plan = flow->plan;
    lua_State *L = o->L;
    int top = lua_gettop(L);
    const struct lt_env_defaults *defaults = NULL;
    int type = lt_option_push(o, "on");
    if (type == LUA_TSTRING) {
        lt_push_env_of_text(L, -1);
        type = LUA_TUSERDATA;
    }
    task->env = type == LUA_TNIL ? lt_here(L) : lt_to_env(L, -1, &defaults);
    if (!task->env)
        lt_option_wrong(o, "on", "an environment or its text form");
    tt_plan_hold_env(plan, task->env);
    const struct tt_command *given = defaults ? &defaults->command : NULL;
    const char *cwd = lt_option_string(o, "cwd", given ? given->cwd : NULL);
    if (cwd && !*cwd)
        lt_option_wrong(o, "cwd", "a directory");
    set_cwd(L, flow, task, cwd);
    const char *user = lt_option_string(o, "user", given ? given->user : NULL);
    if (user)
        task->user = tt_plan_intern(plan, user);
    read_vars(o, plan, task, defaults);
    if (given && given->password)
        tt_task_need_more(plan, task)->password = tt_plan_secret(plan, given->password);
    if (given && given->pty)
        tt_task_need_more(plan, task)->pty = true;
    if (defaults && defaults->timeout != TT_NEVER)
        tt_task_need_more(plan, task)->command_timeout = defaults->timeout;
    if (defaults && defaults->grace >= 0)
        set_grace(plan, task, defaults->grace);
    if (defaults && defaults->max_output >= 0)
        tt_task_need_more(plan, task)->max_output = defaults->max_output;
    lua_settop(L, top);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static void read_names(struct lt_options *o, struct tt_plan *plan, const char *name,
                       struct tt_texts *names)
{
    lua_State *L = o->L;
    if (!lt_option_given(o, name))
        return;
    size_t count = lt_option_strings(o, name);
    names->items = tt_plan_alloc(plan, count * sizeof *names->items);
    names->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        names->items[i] = keep_text(L, plan, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void read_patterns(struct lt_options *o, struct tt_plan *plan, struct tt_task *task,
                          const char *name)
{
    if (!lt_option_given(o, name))
        return;
    struct tt_task_more *more = tt_task_need_more(plan, task);
    struct tt_texts *patterns = *name == 'i' ? &more->input : &more->output;
    read_names(o, plan, name, patterns);
    if (patterns->count == 0)
        lt_option_wrong(o, name, "a glob pattern or a list of them");
    struct tt_glob *glob = NULL;
    struct tt_error *err = NULL;
    if (tt_glob_new(&glob, (const char *const *)patterns->items, patterns->count, &err) < 0) {
        lua_pushstring(o->L, err->message);
        tt_error_free(err);
        lt_invalid(o->L, "%s: option '%s': %s", o->what, name, lua_tostring(o->L, -1));
    }
    tt_glob_free(glob);
}

/* A duration is the wait before each retry; a table has all of it. */
static void read_backoff(struct lt_options *o, struct tt_retry *retry)
{
    static const char *const names[] = {"first", "factor", "max", "jitter", NULL};
    lua_State *L = o->L;
    *retry = (struct tt_retry){.retries = retry->retries,
                               .idempotent = retry->idempotent,
                               .first = 1000,
                               .factor = 2,
                               .max = 60000,
                               .jitter = 0.25};
    int type = lt_option_push(o, "backoff");
    if (type == LUA_TNUMBER || type == LUA_TSTRING) {
        retry->first = lt_option_duration(o, "backoff", 0);
        retry->factor = 1;
        retry->max = 0;
        retry->jitter = 0;
    } else if (type == LUA_TTABLE) {
        struct lt_options inner;
        const char *what = lua_pushfstring(L, "%s: backoff", o->what);
        lt_options_open(L, &inner, lua_gettop(L) - 1, what, names, false);
        retry->first = lt_option_duration(&inner, "first", 1000);
        retry->factor = lt_option_number(&inner, "factor", 2, 1, 1000);
        retry->max = lt_option_duration(&inner, "max", retry->first > 60000 ? retry->first : 60000);
        retry->jitter = lt_option_number(&inner, "jitter", 0.25, 0, 1);
        lua_pop(L, 1);
    } else if (type != LUA_TNIL) {
        lt_option_wrong(o, "backoff", "a duration or a table like { first = \"1s\", factor = 2 }");
    }
    lua_pop(L, 1);
}

static void read_retry(struct lt_options *o, struct tt_plan *plan, struct tt_task *task)
{
    bool backoff = lt_option_given(o, "backoff"), idempotent = lt_option_given(o, "idempotent");
    if (!lt_option_given(o, "retries")) {
        if (backoff || idempotent)
            lt_invalid(o->L, "%s: option '%s' has no effect without 'retries'", o->what,
                       backoff ? "backoff" : "idempotent");
        return;
    }
    struct tt_retry *retry = &tt_task_need_more(plan, task)->retry;
    retry->retries = (uint32_t)lt_option_integer(o, "retries", 0, 0, most_retries);
    retry->idempotent = lt_option_boolean(o, "idempotent", false);
    read_backoff(o, retry);
}

static void read_when(struct lt_options *o, struct lt_flow *flow, struct tt_task *task)
{
    lua_State *L = o->L;
    lt_option_push(o, "when");
    if (is_function(L, -1)) {
        struct tt_task_more *more = tt_task_need_more(flow->plan, task);
        more->when = TT_WHEN_CALL;
        more->when_function = keep_function(o, &(struct place){flow, task->name, "when"}, "when");
    } else if (lua_isboolean(L, -1)) {
        if (!lua_toboolean(L, -1))
            tt_task_need_more(flow->plan, task)->when = TT_WHEN_NEVER;
    } else if (!lua_isnil(L, -1)) {
        lt_option_wrong(o, "when", "a function or a boolean");
    }
    lua_pop(L, 1);
}

void lt_read_task(struct lt_options *o, struct lt_flow *flow, struct tt_task *task)
{
    struct tt_plan *plan = flow->plan;
    if (lt_option_given(o, "run")) {
        lt_option_push(o, "run");
        read_action(o, &(struct place){flow, task->name, "run"}, "run", &task->run);
    } else if (!lt_option_given(o, "needs") && !lt_option_given(o, "after")) {
        lt_invalid(o->L,
                   "%s: option 'run' is missing: only a task that gathers others by 'needs' "
                   "or 'after' does nothing itself",
                   o->what);
    } else if (lt_option_given(o, "rollback") || lt_option_given(o, "retries")) {
        lt_invalid(o->L, "%s: without 'run' there is nothing to %s", o->what,
                   lt_option_given(o, "rollback") ? "roll back" : "try again");
    }
    read_where(o, flow, task);
    read_names(o, plan, "needs", &task->needs);
    read_names(o, plan, "after", &task->after);
    task->timeout = read_limit(o, "timeout");
    task->deadline = read_limit(o, "deadline");
    if (lt_option_given(o, "description")) {
        const char *text = lt_option_string(o, "description", "");
        tt_task_need_more(plan, task)->description = tt_plan_text(plan, text, strlen(text));
    }
    if (lt_option_given(o, "grace"))
        set_grace(plan, task, lt_option_duration(o, "grace", 0));
    read_when(o, flow, task);
    read_retry(o, plan, task);
    read_patterns(o, plan, task, "input");
    read_patterns(o, plan, task, "output");
    if (lt_option_given(o, "rollback"))
        read_rollback(o, &(struct place){flow, task->name, "rollback"},
                      tt_task_need_more(plan, task));
    if (lt_option_given(o, "health"))
        read_health(o, &(struct place){flow, task->name, "health"}, tt_task_need_more(plan, task));
}

/* What every environment would refuse is known now. */
static void check_command(const struct lt_options *o, const struct tt_task *task)
{
    char shell[] = "true";
    struct tt_command command = {.shell = shell,
                                 .cwd = task->cwd,
                                 .user = task->user,
                                 .vars = task->vars,
                                 .var_count = task->var_count};
    struct tt_error *err = NULL;
    if (tt_command_check(&command, &err) == 0)
        return;
    lua_pushstring(o->L, err->message);
    tt_error_free(err);
    lt_invalid(o->L, "%s: %s", o->what, lua_tostring(o->L, -1));
}

void lt_flow_add_task(lua_State *L, struct lt_flow *flow, struct tt_task *task)
{
    struct tt_error *err = NULL;
    tt_run_free(flow->graph);
    flow->graph = NULL;
    if (tt_plan_add(flow->plan, task, &err) == 0)
        return;
    lt_push_error(L, err); /* the message names the place already */
    tt_error_free(err);
    lua_error(L);
}

void lt_flow_add(lua_State *L, struct lt_flow *flow, const struct lt_body *body, int index)
{
    struct lt_options o;
    const char *what = lua_pushfstring(L, "task \"%s\"", body->name);
    if (!lua_istable(L, index)) {
        const char *got = lt_describe(L, index);
        lt_invalid(L, "%s: expected a table of options, got %s", what, got);
    }
    lt_options_open(L, &o, index, what, task_options, false);
    struct tt_task *task = tt_plan_alloc(flow->plan, sizeof *task);
    task->name = tt_plan_text(flow->plan, body->name, strlen(body->name));
    task->file = tt_plan_intern(flow->plan, body->file);
    task->line = body->line;
    lt_read_task(&o, flow, task);
    check_command(&o, task);
    if (lt_option_push(&o, "matrix") == LUA_TNIL)
        lt_flow_add_task(L, flow, task);
    else
        lt_add_matrix(&o, flow, task);
    lua_pop(L, 1);
}
