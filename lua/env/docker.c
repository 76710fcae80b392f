/* Docker containers in Lua: tutti.docker{ container = } and { image = }. */
#include "lua/env/docker.h"

#include "core/base/alloc.h"
#include "executors/docker/docker.h"
#include "executors/docker/image.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_NAMES "host", "context", "cert_path", "limit"

void lt_docker_where(const struct lt_options *o, struct tx_docker_where *where)
{
    where->host = lt_option_string(o, "host", NULL);
    where->context = lt_option_string(o, "context", NULL);
    where->cert_path = lt_option_string(o, "cert_path", NULL);
}

/* Pushes the new environment; drops the caller's reference. */
static void push(lua_State *L, struct tt_env *env, const struct lt_options *o,
                 const struct lt_env_defaults *defaults)
{
    env->limit = (int)lt_option_integer(o, "limit", 0, 1, INT_MAX);
    lt_push_env(L, env, defaults);
    tt_env_release(env);
}

/* --- a running container --- */

static void container(lua_State *L, const char *name, const struct lt_options *o)
{
    struct tx_docker_where where = {0};
    struct lt_env_defaults defaults;
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    lt_env_defaults_init(&defaults);
    lt_docker_where(o, &where);
    lt_option_integer(o, "limit", 0, 1, INT_MAX);
    lt_env_read_defaults(o, &defaults);
    int rc = tx_docker_env_new(&env, lt_vm_loop(lt_vm_of(L)), name, &where, &err);
    if (rc == 0)
        push(L, env, o, &defaults);
    tt_command_clear(&defaults.command);
    if (rc < 0)
        lt_raise(L, err);
}

/* --- a container of one's own --- */

static void add_var(const struct lt_options *o, void *list, const char *name, const char *value)
{
    char *pair = tt_format("%s=%s", name, value);
    json_t *text = json_string(pair);
    explicit_bzero(pair, strlen(pair));
    free(pair);
    if (!text)
        lt_invalid(o->L, "%s: the environment variable %s must be UTF-8", o->what, name);
    json_array_append_new(list, text);
}

static json_t *read_list(const struct lt_options *o, const char *name)
{
    if (!lt_option_given(o, name))
        return NULL;
    struct tt_error *err = NULL;
    lt_option_strings(o, name);
    json_t *list = lt_to_json(o->L, -1, name, &err);
    lua_pop(o->L, 1);
    if (!list)
        lt_raise(o->L, err);
    return list;
}

static json_t *read_labels(const struct lt_options *o)
{
    int type = lt_option_push(o, "labels");
    struct tt_error *err = NULL;
    const char *key;
    json_t *value, *labels = NULL;
    if (type == LUA_TTABLE)
        labels = lt_to_json(o->L, -1, "labels", &err);
    lua_pop(o->L, 1);
    if (type == LUA_TNIL)
        return NULL;
    if (err)
        lt_raise(o->L, err);
    bool good = json_is_object(labels);
    json_object_foreach(labels, key, value) if (!json_is_string(value)) good = false;
    if (!good) {
        json_decref(labels);
        lt_option_wrong(o, "labels", "a table { name = \"value\" }");
    }
    return labels;
}

/* What holds JSON while things may throw: freed by the collector. */
struct parts {
    json_t *vars, *volumes, *ports, *entrypoint, *labels;
};

static int parts_gc(lua_State *L)
{
    struct parts *parts = lua_touserdata(L, 1);
    json_decref(parts->vars);
    json_decref(parts->volumes);
    json_decref(parts->ports);
    json_decref(parts->entrypoint);
    json_decref(parts->labels);
    *parts = (struct parts){0};
    return 0;
}

static void image(lua_State *L, const char *name, const struct lt_options *o)
{
    static const char *const pulls[] = {"missing", "always", "never", NULL};
    /* cwd and so on are its commands'; user and env are the container's own */
    static const char *const of_commands[] = {"cwd", "timeout", "grace", "max_output", "pty", NULL};
    struct tx_docker_image_options options = {.image = name};
    struct lt_options commands;
    struct lt_env_defaults defaults;
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    lt_env_defaults_init(&defaults);
    struct parts *parts = lt_push_owned(L, sizeof *parts, parts_gc);
    lt_docker_where(o, &options.where);
    lt_option_integer(o, "limit", 0, 1, INT_MAX);
    options.name = lt_option_string(o, "name", NULL);
    options.network = lt_option_string(o, "network", NULL);
    options.user = lt_option_string(o, "user", NULL);
    options.workdir = lt_option_string(o, "workdir", NULL);
    options.platform = lt_option_string(o, "platform", NULL);
    if (lt_option_given(o, "env")) {
        options.vars = parts->vars = json_array();
        lt_option_vars(o, add_var, parts->vars);
    }
    options.volumes = parts->volumes = read_list(o, "volumes");
    options.ports = parts->ports = read_list(o, "ports");
    options.entrypoint = parts->entrypoint = read_list(o, "entrypoint");
    options.labels = parts->labels = read_labels(o);
    options.memory = lt_option_size(o, "memory", 0);
    options.cpus = lt_option_number(o, "cpus", 0, 0.01, 100000);
    options.pull = (enum tx_pull)lt_option_choice(o, "pull", pulls, TX_PULL_MISSING);
    options.keep = lt_option_boolean(o, "keep", false);
    lt_options_only(o, &commands, of_commands);
    lt_env_read_defaults(&commands, &defaults);
    lua_pop(L, 1);
    int rc = tx_docker_image_env_new(&env, lt_vm_loop(lt_vm_of(L)), &options, &err);
    if (rc == 0)
        push(L, env, o, &defaults);
    tt_command_clear(&defaults.command);
    if (rc < 0)
        lt_raise(L, err);
    lua_remove(L, -2); /* the parts */
}

/* --- the options --- */

static void docker_from_options(lua_State *L, int index)
{
    static const char *const for_container[] = {"container", WHERE_NAMES, LT_ENV_DEFAULT_NAMES,
                                                NULL};
    static const char *const for_image[] = {
        "image",      "name",     "env",        "volumes", "network",   "ports", "user", "workdir",
        "entrypoint", "platform", "memory",     "cpus",    "labels",    "pull",  "keep", "cwd",
        "timeout",    "grace",    "max_output", "pty",     WHERE_NAMES, NULL};
    struct lt_options o;
    int top = lua_gettop(L);
    bool is_image = lua_getfield(L, index, "image") != LUA_TNIL ||
                    lua_getfield(L, index, "container") == LUA_TNIL;
    lua_settop(L, top);
    lt_options_open(L, &o, index, "tutti.docker", is_image ? for_image : for_container, false);
    const char *name = lt_option_string(&o, is_image ? "image" : "container", NULL);
    if (!name)
        lt_invalid(L, "tutti.docker: give a container or an image");
    if (is_image)
        image(L, name, &o);
    else
        container(L, name, &o);
}

const struct lt_env_constructor lt_docker = {"docker", docker_from_options};
