/* Kubernetes pods in Lua: tutti.k8s{ pod = | deployment = | selector = | job = { … } }. */
#include "lua/env/k8s.h"

#include "core/base/alloc.h"
#include "executors/k8s/job.h"
#include "executors/k8s/k8s.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void lt_k8s_where(const struct lt_options *o, struct tx_kube_where *where)
{
    where->context = lt_option_string(o, "context", NULL);
    where->kubeconfig = lt_option_string(o, "kubeconfig", NULL);
}

static void make(lua_State *L, const struct tx_k8s_options *options, const struct lt_options *o)
{
    struct lt_env_defaults defaults;
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    lt_env_defaults_init(&defaults);
    int limit = (int)lt_option_integer(o, "limit", 0, 1, INT_MAX);
    lt_env_read_defaults(o, &defaults);
    int rc = tx_k8s_env_new(&env, lt_vm_loop(lt_vm_of(L)), options, &err);
    if (rc == 0) {
        env->limit = limit;
        lt_push_env(L, env, &defaults);
        tt_env_release(env);
    }
    tt_command_clear(&defaults.command);
    if (rc < 0)
        lt_raise(L, err);
}

static void make_job(lua_State *L, int job_index, const struct lt_options *o);

/* --- options --- */

/* "a=b,c=d" from text or a table of labels; left on the stack. NULL: not given. */
static const char *push_selector(const struct lt_options *o)
{
    lua_State *L = o->L;
    int type = lt_option_push(o, "selector");
    if (type == LUA_TNIL || type == LUA_TSTRING)
        return lua_tostring(L, -1);
    if (type != LUA_TTABLE)
        lt_option_wrong(o, "selector", "text or a table of labels");
    int table = lua_gettop(L);
    lua_newtable(L);
    int list = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            lt_option_wrong(o, "selector", "text or a table of labels");
        lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
        lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, list);
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "concat");
    lua_pushvalue(L, list);
    lua_pushliteral(L, ",");
    lua_call(L, 2, 1);
    lua_replace(L, table);
    lua_settop(L, table);
    return lua_tostring(L, table);
}

static void k8s_from_options(lua_State *L, int index)
{
    static const char *const names[] = {"context",    "kubeconfig",         "namespace", "pod",
                                        "deployment", "selector",           "container", "job",
                                        "limit",      LT_ENV_DEFAULT_NAMES, NULL};
    struct lt_options o;
    struct tx_k8s_options options = {0};
    lt_options_open(L, &o, index, "tutti.k8s", names, false);
    if (lt_option_push(&o, "job") != LUA_TNIL) {
        if (lt_option_given(&o, "pod") || lt_option_given(&o, "deployment") ||
            lt_option_given(&o, "selector") || lt_option_given(&o, "container"))
            lt_invalid(L, "tutti.k8s: a job stands alone: without pod, deployment, selector and "
                          "container");
        make_job(L, lua_gettop(L), &o);
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lt_k8s_where(&o, &options.where);
    options.name_space = lt_option_string(&o, "namespace", NULL);
    options.pod = lt_option_string(&o, "pod", NULL);
    options.deployment = lt_option_string(&o, "deployment", NULL);
    options.selector = push_selector(&o);
    options.container = lt_option_string(&o, "container", NULL);
    make(L, &options, &o);
    lua_remove(L, -2); /* the selector */
}

/* --- jobs --- */

static int json_gc(lua_State *L)
{
    json_t **json = lua_touserdata(L, 1);
    json_decref(*json);
    *json = NULL;
    return 0;
}

static void add_var(const struct lt_options *o, void *object, const char *name, const char *value)
{
    if (json_object_set_new(object, name, json_string(value)) < 0)
        lt_invalid(o->L, "%s: the environment variable %s must be UTF-8", o->what, name);
}

/* A table option as a JSON object, which lives as long as the userdata that this pushes. */
static const json_t *push_object(const struct lt_options *o, const char *name)
{
    lua_State *L = o->L;
    json_t **json = lt_push_owned(L, sizeof(json_t *), json_gc);
    struct tt_error *err = NULL;
    int type = lt_option_push(o, name);
    if (type == LUA_TTABLE)
        *json = lt_to_json(L, -1, name, &err);
    lua_pop(L, 1);
    if (err)
        lt_raise(L, err);
    if (type != LUA_TNIL && !json_is_object(*json))
        lt_option_wrong(o, name, "a table of names and values");
    return *json;
}

static const char *const job_names[] = {
    "image", "env", "labels", "service_account", "cpu", "memory", "pull", "pod", NULL};

/* The job's own options at job_index; where it runs and the defaults of commands in o. */
static void make_job(lua_State *L, int job_index, const struct lt_options *o)
{
    static const char *const pulls[] = {"missing", "always", "never", NULL};
    struct lt_options job;
    struct lt_env_defaults defaults;
    struct tx_k8s_job_options options = {0};
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    int top = lua_gettop(L);
    lt_options_open(L, &job, job_index, "tutti.k8s: job", job_names, false);
    lt_k8s_where(o, &options.where);
    options.name_space = lt_option_string(o, "namespace", NULL);
    options.image = lt_option_string(&job, "image", NULL);
    if (!options.image)
        lt_invalid(L, "tutti.k8s: a job needs an image");
    options.service_account = lt_option_string(&job, "service_account", NULL);
    options.cpu = lt_option_string(&job, "cpu", NULL);
    options.memory = lt_option_string(&job, "memory", NULL);
    if (lt_option_given(&job, "pull"))
        options.pull = pulls[lt_option_choice(&job, "pull", pulls, 0)];
    json_t **vars = lt_push_owned(L, sizeof(json_t *), json_gc);
    options.vars = *vars = json_object();
    lt_option_vars(&job, add_var, *vars);
    options.labels = push_object(&job, "labels");
    options.pod = push_object(&job, "pod");
    int limit = (int)lt_option_integer(o, "limit", 0, 1, INT_MAX);
    lt_env_defaults_init(&defaults);
    lt_env_read_defaults(o, &defaults);
    int rc = tx_k8s_job_env_new(&env, lt_vm_loop(lt_vm_of(L)), &options, &err);
    if (rc == 0) {
        env->limit = limit;
        lt_push_env(L, env, &defaults);
        tt_env_release(env);
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
    }
    tt_command_clear(&defaults.command);
    if (rc < 0)
        lt_raise(L, err);
}

const struct lt_env_constructor lt_k8s = {"k8s", k8s_from_options};
