#include "lua/env/tunnel.h"

#include "executors/ssh/tunnel.h"
#include "lua/env/env.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>
#include <string.h>

#define NAME "tutti.Tunnel"

struct box {
    struct tx_tunnel *tunnel; /* one reference; NULL until it is open */
};

static struct tx_tunnel *check(lua_State *L)
{
    struct box *box = luaL_testudata(L, 1, NAME);
    if (!box || !box->tunnel)
        lt_invalid(L, "this is a method of a tunnel: write tunnel:close()");
    return box->tunnel;
}

static int tunnel_close(lua_State *L)
{
    tx_tunnel_close(check(L));
    return 0;
}

static int tunnel_index(lua_State *L)
{
    const struct tx_tunnel *tunnel = check(L);
    const char *name = lua_tostring(L, 2);
    if (name && strcmp(name, "port") == 0)
        lua_pushinteger(L, tx_tunnel_port(tunnel));
    else if (name && strcmp(name, "open") == 0)
        lua_pushboolean(L, tx_tunnel_is_open(tunnel));
    else if (name && strcmp(name, "close") == 0)
        lua_pushcfunction(L, tunnel_close);
    else
        lua_pushnil(L);
    return 1;
}

static int tunnel_gc(lua_State *L)
{
    struct box *box = lua_touserdata(L, 1);
    if (box->tunnel)
        tx_tunnel_release(box->tunnel);
    box->tunnel = NULL;
    return 0;
}

static struct box *push_box(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__index", tunnel_index}, {"__close", tunnel_close}, {"__gc", tunnel_gc}, {NULL, NULL}};
    struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->tunnel = NULL;
    if (luaL_newmetatable(L, NAME))
        luaL_setfuncs(L, meta, 0);
    lua_setmetatable(L, -2);
    return box;
}

/* A port, or "host:port"; the host is pushed. */
static void read_address(const struct lt_options *o, const char *name, const char **host, int *port)
{
    lua_State *L = o->L;
    int type = lt_option_push(o, name);
    if (type == LUA_TNIL)
        return;
    const char *text = type == LUA_TNUMBER ? NULL : lua_tostring(L, -1);
    const char *colon = text ? strrchr(text, ':') : NULL;
    if (colon) {
        bool brackets = *text == '[' && colon > text && colon[-1] == ']';
        size_t length = (size_t)(colon - text) - (brackets ? 2 : 0);
        if (length)
            *host = lua_pushlstring(L, text + brackets, length);
        lua_pushstring(L, colon + 1);
        lua_pushinteger(L, lua_stringtonumber(L, colon + 1) ? lua_tointeger(L, -1) : -1);
    }
    if (text && !colon)
        lt_option_wrong(o, name, "a port, or \"host:port\"");
    int exact = 0;
    lua_Integer number = lua_tointegerx(L, -1, &exact);
    if (!exact || number < 0 || number > 65535)
        lt_option_wrong(o, name, "a port, or \"host:port\"");
    *port = (int)number;
}

static int push_opened(lua_State *L, struct tt_op *op)
{
    struct box *box = luaL_checkudata(L, 2, NAME);
    box->tunnel = tx_tunnel_of(op);
    lua_settop(L, 2);
    return 1;
}

int lt_env_tunnel(lua_State *L)
{
    static const char *const names[] = {"from", "to", "reverse", NULL};
    struct tt_env *env = lt_check_env(L, NULL);
    struct tx_tunnel_options options = {0};
    struct lt_options o;
    lua_settop(L, 2);
    luaL_checkstack(L, 16, "tunnel");
    lt_options_open(L, &o, 2, "env:tunnel", names, false);
    read_address(&o, "from", &options.from_host, &options.from_port);
    read_address(&o, "to", &options.to_host, &options.to_port);
    options.reverse = lt_option_boolean(&o, "reverse", false);
    if (!options.to_port)
        lt_option_wrong(&o, "to", "a port, or \"host:port\"");
    push_box(L);
    lua_insert(L, 2);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tx_tunnel_open(env, scope, &options), push_opened);
}
