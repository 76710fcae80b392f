#include "lua/env/env.h"

#include "core/base/alloc.h"
#include "core/env/registry.h"
#include "core/files/files.h"
#include "lua/env/files.h"
#include "lua/env/process.h"
#include "lua/env/tunnel.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"
#include "lua/vm/fiber.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define NAME "tutti.Env"

struct box {
    struct tt_env *env; /* held */
    struct lt_env_defaults defaults;
};

void lt_env_defaults_init(struct lt_env_defaults *defaults)
{
    *defaults = (struct lt_env_defaults){.timeout = TT_NEVER, .grace = -1, .max_output = -1};
}

/* --- the state's list of environments, which keeps what must be closed at the end --- */

static const char list_key;

static int anchor_gc(lua_State *L)
{
    struct tt_env **anchor = lua_touserdata(L, 1);
    tt_env_release(*anchor);
    *anchor = NULL;
    return 0;
}

static void push_list(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key) != LUA_TNIL)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
}

static void note_env(lua_State *L, struct tt_env *env)
{
    push_list(L);
    if (lua_rawgetp(L, -1, env) == LUA_TNIL) {
        struct tt_env **anchor = lt_push_owned(L, sizeof(struct tt_env *), anchor_gc);
        tt_env_retain(env);
        *anchor = env;
        lua_rawsetp(L, -3, env);
    }
    lua_pop(L, 2);
}

/* --- values --- */

static struct box *push_box(lua_State *L, struct tt_env *env)
{
    struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->env = NULL;
    lt_env_defaults_init(&box->defaults);
    luaL_setmetatable(L, NAME);
    tt_env_retain(env);
    box->env = env;
    return box;
}

static void copy_defaults(struct lt_env_defaults *to, const struct lt_env_defaults *from)
{
    *to = *from;
    tt_command_copy(&to->command, &from->command);
}

void lt_push_env(lua_State *L, struct tt_env *env, const struct lt_env_defaults *defaults)
{
    luaL_requiref(L, "tutti.env", luaopen_tutti_env, 0);
    lua_pop(L, 1);
    struct box *box = push_box(L, env);
    if (defaults)
        copy_defaults(&box->defaults, defaults);
    note_env(L, env);
}

struct tt_env *lt_to_env(lua_State *L, int index, const struct lt_env_defaults **defaults)
{
    struct box *box = luaL_testudata(L, index, NAME);
    if (box && defaults)
        *defaults = &box->defaults;
    return box ? box->env : NULL;
}

struct tt_env *lt_here(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    struct tt_error *err = NULL;
    if (!vm->here && tt_env_here(&vm->here, vm->loop, &err) < 0)
        lt_raise(L, err);
    return vm->here;
}

/* --- from text --- */

static void push_of_scheme(lua_State *L, const struct tt_env_scheme *scheme, const char *text)
{
    struct tt_env *env = NULL;
    struct tt_error *err = NULL;
    if (scheme->from_text(&env, lt_vm_loop(lt_vm_of(L)), text, &err) < 0)
        lt_raise(L, err);
    lt_push_env(L, env, NULL);
    tt_env_release(env);
}

void lt_push_env_of_text(lua_State *L, int index)
{
    const char *text = lt_check_string(L, index, "tutti.env", "text");
    struct tt_error *err = NULL;
    const struct tt_env_scheme *scheme = tt_env_scheme_of(lt_vm_loop(lt_vm_of(L)), text, &err);
    if (!scheme) {
        lua_pushstring(L, err->message);
        tt_error_free(err);
        lt_invalid(L, "tutti.env: %s", lua_tostring(L, -1));
    }
    push_of_scheme(L, scheme, text);
}

static int env_of_text(lua_State *L)
{
    lt_push_env_of_text(L, 1);
    return 1;
}

static int construct(lua_State *L)
{
    const struct lt_env_constructor *constructor = lua_touserdata(L, lua_upvalueindex(1));
    const char *what = lua_pushfstring(L, "tutti.%s", constructor->name);
    if (lua_istable(L, 1))
        constructor->from_options(L, 1);
    else
        push_of_scheme(L, tt_env_scheme_named(lt_vm_loop(lt_vm_of(L)), constructor->name),
                       lt_check_string(L, 1, what, "environment"));
    return 1;
}

/* --- derived environments --- */

static void replace(char **text, const char *with)
{
    char *copy = tt_strdup(with);
    free(*text);
    *text = copy;
}

static void read_cwd(const struct lt_options *o, struct tt_command *command)
{
    const char *cwd = lt_option_string(o, "cwd", NULL);
    if (!cwd)
        return;
    if (!*cwd)
        lt_option_wrong(o, "cwd", "a directory");
    char *joined = *cwd == '/' || !command->cwd ? tt_strdup(cwd) : tt_path_join(command->cwd, cwd);
    free(command->cwd);
    command->cwd = joined;
}

static void set_var(const struct lt_options *o, void *command, const char *name, const char *value)
{
    (void)o;
    tt_command_set_var(command, name, value);
}

static void read_password(const struct lt_options *o, struct tt_command *command)
{
    const char *password = lt_option_secret(o, "password");
    if (!password)
        return;
    if (command->password)
        explicit_bzero(command->password, strlen(command->password));
    replace(&command->password, password);
}

void lt_env_read_defaults(const struct lt_options *o, struct lt_env_defaults *defaults)
{
    struct tt_command *command = &defaults->command;
    read_cwd(o, command);
    lt_option_vars(o, set_var, command);
    const char *user = lt_option_string(o, "user", NULL);
    if (user && !*user)
        lt_option_wrong(o, "user", "a user name");
    if (user)
        replace(&command->user, user);
    read_password(o, command);
    command->pty = lt_option_boolean(o, "pty", command->pty);
    defaults->timeout = lt_option_duration(o, "timeout", defaults->timeout);
    defaults->grace = lt_option_duration(o, "grace", defaults->grace);
    defaults->max_output = lt_option_size(o, "max_output", defaults->max_output);
}

void lt_push_env_with(lua_State *L, int index, const struct lt_options *o)
{
    struct box *from = luaL_checkudata(L, index, NAME);
    struct box *to = push_box(L, from->env);
    copy_defaults(&to->defaults, &from->defaults);
    lt_env_read_defaults(o, &to->defaults);
}

static int env_with(lua_State *L)
{
    static const char *const names[] = {LT_ENV_DEFAULT_NAMES, NULL};
    struct lt_options o;
    luaL_checkudata(L, 1, NAME);
    if (lua_isnoneornil(L, 2))
        lt_invalid(L, "env:with: the options are missing");
    lt_options_open(L, &o, 2, "env:with", names, false);
    lt_push_env_with(L, 1, &o);
    return 1;
}

/* --- operations --- */

struct tt_env *lt_check_env(lua_State *L, const struct lt_env_defaults **defaults)
{
    struct tt_env *env = lt_to_env(L, 1, defaults);
    if (!env)
        lt_invalid(L, "this is a method of an environment: write env:name(…), not env.name(…)");
    return env;
}

struct tt_scope *lt_env_begin(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    if (vm->forbidden)
        lt_invalid(L, "operations on environments are refused %s", vm->forbidden);
    struct tt_scope *scope = lt_begin(L);
    vm->operations_started = true;
    return scope;
}

/* --- the end --- */

struct closing {
    struct tt_op op;
    size_t left;
};

static void closed_one(struct tt_op *op, void *arg)
{
    struct closing *closing = arg;
    tt_op_release(op);
    if (--closing->left == 0)
        tt_op_finish(&closing->op, NULL);
}

static void close_one(struct closing *closing, struct tt_env *env)
{
    closing->left++;
    tt_op_await(env->class_->close(env, closing->op.scope), closed_one, closing);
}

/* The parts go on by themselves in the same scope. */
static void closing_cancel(struct tt_op *op, const struct tt_error *why)
{
    (void)op, (void)why;
}

static int close_all(lua_State *L)
{
    struct closing *closing = lua_touserdata(L, 1);
    push_list(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
        close_one(closing, *(struct tt_env **)lua_touserdata(L, -1));
    return 0;
}

struct tt_op *lt_envs_close(struct lt_vm *vm, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"close environments", closing_cancel, tt_op_free};
    struct closing *closing = tt_zalloc(sizeof *closing);
    tt_op_init(&closing->op, &class_, scope);
    if (tt_op_finished(&closing->op))
        return &closing->op;
    closing->left = 1;
    lt_vm_protect(vm, close_all, closing, NULL);
    if (--closing->left == 0)
        tt_op_finish(&closing->op, NULL);
    return &closing->op;
}

/* --- methods --- */

static int env_tostring(lua_State *L)
{
    lua_pushstring(L, lt_check_env(L, NULL)->text);
    return 1;
}

static int env_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int env_eq(lua_State *L)
{
    const struct tt_env *a = lt_to_env(L, 1, NULL), *b = lt_to_env(L, 2, NULL);
    lua_pushboolean(L, a && b && strcmp(a->text, b->text) == 0);
    return 1;
}

static int env_gc(lua_State *L)
{
    struct box *box = lua_touserdata(L, 1);
    tt_command_clear(&box->defaults.command);
    tt_env_release(box->env);
    box->env = NULL;
    return 0;
}

static int env_kind(lua_State *L)
{
    lua_pushstring(L, lt_check_env(L, NULL)->class_->kind);
    return 1;
}

static const luaL_Reg methods[] = {
    {"run", lt_env_run},
    {"try", lt_env_try},
    {"spawn", lt_env_spawn},
    {"with", env_with},
    {"kind", env_kind},
    {"read", lt_env_read},
    {"write", lt_env_write},
    {"upload", lt_env_upload},
    {"download", lt_env_download},
    {"stat", lt_env_stat},
    {"list", lt_env_list},
    {"glob", lt_env_glob},
    {"remove", lt_env_remove},
    {"mkdir", lt_env_mkdir},
    {"tunnel", lt_env_tunnel},
    {NULL, NULL},
};

int luaopen_tutti_env(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", env_tostring},
                                    {"__concat", env_concat},
                                    {"__tojson", env_tostring},
                                    {"__eq", env_eq},
                                    {"__gc", env_gc},
                                    {NULL, NULL}};
    luaL_newmetatable(L, NAME);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, env_of_text);
    lua_setfield(L, -2, "env");
    lua_pushcfunction(L, lt_copy);
    lua_setfield(L, -2, "copy");
    for (const struct lt_env_constructor *const *s = lt_env_constructors; *s; s++) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)*s);
        lua_pushcclosure(L, construct, 1);
        lua_setfield(L, -2, (*s)->name);
    }
    push_box(L, lt_here(L));
    note_env(L, lt_here(L));
    lua_setfield(L, -2, "here");
    return 1;
}
