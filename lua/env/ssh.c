/* tutti.ssh{ host = …, … }. */
#include "lua/env/ssh.h"
#include "executors/ssh/config/destination.h"
#include "executors/ssh/ssh.h"
#include "lua/env/env.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Beside these, what every command starts from: see defaults_names. `user` and `password` are the
 * login's; who commands become is env:with{ user = }. */
#define SSH_NAMES                                                                                  \
    "host", "port", "user", "key", "passphrase", "password", "agent", "config", "host_key",        \
        "known_hosts", "jump", "proxy_command", "connect_timeout", "keepalive", "idle",            \
        "lifetime", "limit"
static const char *const defaults_names[] = {"cwd",        "env", "timeout", "grace",
                                             "max_output", "pty", NULL};

enum { max_files = 32 };

/* A text, or false for "none". */
static const char *text_or_false(const struct lt_options *o, const char *name, bool *is_false)
{
    *is_false = lt_option_push(o, name) == LUA_TBOOLEAN && !lua_toboolean(o->L, -1);
    lua_pop(o->L, 1);
    return *is_false ? NULL : lt_option_string(o, name, NULL);
}

static int64_t duration_or_false(const struct lt_options *o, const char *name)
{
    bool is_false = lt_option_push(o, name) == LUA_TBOOLEAN && !lua_toboolean(o->L, -1);
    lua_pop(o->L, 1);
    return is_false ? -1 : lt_option_duration(o, name, 0);
}

/* Leaves the list on the stack, which holds the strings. */
static size_t texts(const struct lt_options *o, const char *name, const char **to)
{
    size_t count = lt_option_strings(o, name);
    if (count > max_files)
        lt_option_wrong(o, name, "a list of at most 32 files");
    lt_list_strings(o->L, -1, to);
    return count;
}

static void read_jump(const struct lt_options *o, struct tx_ssh_options *options)
{
    bool none;
    lt_option_push(o, "jump");
    options->jump_env = lt_to_env(o->L, -1, NULL);
    lua_pop(o->L, 1);
    if (options->jump_env)
        return;
    options->jump = text_or_false(o, "jump", &none);
    if (none)
        options->jump = "none";
}

/* Parts of the destination that are pushed as strings, so that they outlive this. */
static void read_destination(lua_State *L, const char *text, struct tx_ssh_options *options)
{
    struct tx_ssh_destination d;
    struct tt_error *err = NULL;
    if (tx_ssh_parse(&d, text, &err) < 0)
        lt_raise(L, err);
    options->host = lua_pushstring(L, d.host);
    if (d.user)
        options->user = lua_pushstring(L, d.user);
    if (d.port)
        options->port = d.port;
    tx_ssh_destination_clear(&d);
}

static void push_ssh(lua_State *L, struct tx_ssh_options *options)
{
    struct tt_error *err = NULL;
    options->here = lt_here(L);
    if (!options->config && !options->no_config)
        options->config = getenv("TUTTI_SSH_CONFIG");
    struct tt_env *env = tx_ssh_new(lt_vm_of(L)->loop, options, &err);
    if (!env)
        lt_raise(L, err);
    lt_push_env(L, env, NULL);
    tt_env_release(env);
}

static void from_options(lua_State *L, int index)
{
    static const char *const names[] = {SSH_NAMES, "cwd",        "env", "timeout",
                                        "grace",   "max_output", "pty", NULL};
    static const char *const policies[] = {"strict", "accept-new", NULL};
    const char *keys[max_files], *known_hosts[max_files];
    struct tx_ssh_options options = {0};
    struct lt_options o, defaults;
    bool none;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 24, "ssh");
    lt_options_open(L, &o, index, "tutti.ssh", names, false);
    const char *host = lt_option_string(&o, "host", NULL);
    if (!host)
        lt_option_wrong(&o, "host", "a host's name");
    read_destination(L, host, &options);
    options.port = (int)lt_option_integer(&o, "port", options.port, options.port ? 0 : 1, 65535);
    options.user = lt_option_string(&o, "user", options.user);
    options.keys = keys;
    options.key_count = texts(&o, "key", keys);
    options.passphrase = lt_option_secret(&o, "passphrase");
    options.password = lt_option_secret(&o, "password");
    options.agent = text_or_false(&o, "agent", &none);
    if (none)
        options.agent = "none";
    options.config = text_or_false(&o, "config", &options.no_config);
    options.policy = lt_option_choice(&o, "host_key", policies, -1) + TX_HOST_KEY_STRICT;
    options.known_hosts = known_hosts;
    options.known_host_count = texts(&o, "known_hosts", known_hosts);
    read_jump(&o, &options);
    options.proxy_command = lt_option_string(&o, "proxy_command", NULL);
    options.connect_timeout = lt_option_duration(&o, "connect_timeout", 0);
    options.keepalive = duration_or_false(&o, "keepalive");
    options.idle = lt_option_duration(&o, "idle", 0);
    options.lifetime = lt_option_duration(&o, "lifetime", 0);
    options.limit = (int)lt_option_integer(&o, "limit", 0, 0, 1000000);
    push_ssh(L, &options);
    lt_options_only(&o, &defaults, defaults_names);
    lt_push_env_with(L, -2, &defaults);
}

const struct lt_env_constructor lt_ssh = {"ssh", from_options};
