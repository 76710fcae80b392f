/* The APIs of Docker daemons and Kubernetes clusters for the standard library (stdlib/docker.lua,
 * stdlib/k8s.lua): clients that are asked, replies that stream, forwarded ports. */
#include "lua/env/client.h"
#include "core/base/alloc.h"
#include "executors/docker/build.h"
#include "executors/docker/docker.h"
#include "executors/docker/image.h"
#include "executors/docker/pull.h"
#include "executors/docker/stream.h"
#include "executors/k8s/forward.h"
#include "executors/k8s/k8s.h"
#include "executors/k8s/select.h"
#include "executors/k8s/yaml.h"
#include "executors/remote/image_name.h"
#include "lua/env/docker.h"
#include "lua/env/k8s.h"
#include "lua/value/error.h"
#include "lua/value/value.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT  "tutti.Client"
#define STREAM  "tutti.Stream"
#define FORWARD "tutti.Forward"

struct client {
    struct tx_docker *docker; /* one of them; held */
    struct tx_kube *kube;
};

struct stream {
    struct tx_exchange *exchange; /* NULL: closed */
    struct tx_docker_frames frames;
    struct tt_buf held; /* of frames: received, not yet taken apart */
};

static struct client *check_client(lua_State *L)
{
    return luaL_checkudata(L, 1, CLIENT);
}

static int client_gc(lua_State *L)
{
    struct client *client = check_client(L);
    tx_docker_release(client->docker);
    tx_kube_release(client->kube);
    *client = (struct client){0};
    return 0;
}

static struct client *push_client(lua_State *L)
{
    struct client *client = lua_newuserdatauv(L, sizeof *client, 0);
    *client = (struct client){0};
    luaL_setmetatable(L, CLIENT);
    return client;
}

/* docker{ host=, context=, cert_path= }, or the daemon of an environment. */
static int open_docker(lua_State *L)
{
    static const char *const names[] = {"host", "context", "cert_path", NULL};
    struct tx_docker_where where = {0};
    struct lt_options o;
    struct tt_error *err = NULL;
    struct tt_env *env = lt_to_env(L, 1, NULL);
    struct client *client;
    if (env) {
        client = push_client(L);
        client->docker = tx_docker_env_daemon(env);
        tx_docker_retain(client->docker);
        return 1;
    }
    lt_options_open(L, &o, 1, "tutti.docker", names, false);
    lt_docker_where(&o, &where);
    client = push_client(L);
    if (tx_docker_open(&client->docker, lt_vm_loop(lt_vm_of(L)), &where, &err) < 0)
        lt_raise(L, err);
    return 1;
}

static int open_k8s(lua_State *L)
{
    static const char *const names[] = {"context", "kubeconfig", NULL};
    struct tx_kube_where where = {0};
    struct lt_options o;
    struct tt_error *err = NULL;
    struct tt_env *env = lt_to_env(L, 1, NULL);
    struct client *client;
    if (env) {
        client = push_client(L);
        client->kube = tx_k8s_env_cluster(env);
        tx_kube_retain(client->kube);
        return 1;
    }
    lt_options_open(L, &o, 1, "tutti.k8s", names, false);
    lt_k8s_where(&o, &where);
    client = push_client(L);
    if (tx_kube_open(&client->kube, lt_vm_loop(lt_vm_of(L)), &where, &err) < 0)
        lt_raise(L, err);
    return 1;
}

/* parts(value): the kind of an environment and its parts (tt_env_class.parts); nothing for another
 * value. */
static int env_parts(lua_State *L)
{
    struct tt_env *env = lt_to_env(L, 1, NULL);
    const char *parts[tt_env_part_count];
    if (!env)
        return 0;
    size_t count = env->class_->parts(env, parts);
    lua_pushstring(L, env->class_->kind);
    for (size_t i = 0; i < count; i++)
        lua_pushstring(L, parts[i]);
    return 1 + (int)count;
}

static int push_nothing(lua_State *L, struct tt_op *op)
{
    (void)L, (void)op;
    return 0;
}

/* ready(env): a container of one's own is started if it does not run. */
static int image_ready(lua_State *L)
{
    struct tt_env *env = lt_check_env(L, NULL);
    return lt_await(L, tx_docker_image_ready(env, lt_env_begin(L)), push_nothing);
}

/* resolved(env): one whose pod is chosen. */
static int push_env(lua_State *L, struct tt_op *op)
{
    lt_push_env(L, tt_env_of(op), NULL);
    return 1;
}

static int resolved(lua_State *L)
{
    struct tt_env *env = lt_check_env(L, NULL);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->resolve(env, scope), push_env);
}

static int kube_namespace(lua_State *L)
{
    struct client *client = check_client(L);
    lua_pushstring(L, client->kube ? tx_kube_namespace(client->kube) : NULL);
    return 1;
}

/* --- calls --- */

static int push_docker_reply(lua_State *L, struct tt_op *op)
{
    lt_push_json(L, tx_api_json(op));
    return 1;
}

static int push_kube_reply(lua_State *L, struct tt_op *op)
{
    lt_push_json(L, tx_kube_json(op));
    return 1;
}

/* client:call(method, path[, body[, content_type]]): the reply as a value. */
static int client_call(lua_State *L)
{
    struct client *client = check_client(L);
    const char *method = luaL_checkstring(L, 2), *path = luaL_checkstring(L, 3);
    const char *type = luaL_optstring(L, 5, NULL);
    struct tt_error *err = NULL;
    json_t *body = NULL;
    lt_env_begin(L); /* raises before there is a body to lose */
    if (!lua_isnoneornil(L, 4)) {
        body = lt_to_json(L, 4, "body", &err);
        if (!body)
            lt_raise(L, err);
    }
    struct tt_scope *scope = lt_env_begin(L);
    if (client->kube)
        return lt_await(L, tx_kube_call(client->kube, scope, method, path, body, type),
                        push_kube_reply);
    struct tx_api_options options = {.content_type = type};
    return lt_await(
        L, tx_api_call(tx_docker_http(client->docker), scope, method, path, body, &options),
        push_docker_reply);
}

/* --- streams --- */

static struct stream *check_stream(lua_State *L)
{
    return luaL_checkudata(L, 1, STREAM);
}

static int stream_close(lua_State *L)
{
    struct stream *stream = check_stream(L);
    tx_exchange_free(stream->exchange);
    stream->exchange = NULL;
    tt_buf_free(&stream->held);
    return 0;
}

static int push_stream(lua_State *L, struct tx_exchange *exchange)
{
    struct stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    *stream = (struct stream){.exchange = exchange};
    luaL_setmetatable(L, STREAM);
    return 1;
}

static int push_docker_stream(lua_State *L, struct tt_op *op)
{
    return push_stream(L, tx_api_exchange_of(op));
}

static int push_kube_stream(lua_State *L, struct tt_op *op)
{
    return push_stream(L, tx_kube_exchange_of(op));
}

/* client:open(path[, method, body, content_type]): the reply as a stream. */
static int client_open(lua_State *L)
{
    struct client *client = check_client(L);
    size_t length = 0;
    const char *path = luaL_checkstring(L, 2), *method = luaL_optstring(L, 3, "GET");
    const char *body = luaL_optlstring(L, 4, NULL, &length);
    const char *type = lua_pushfstring(L, "Content-Type: %s", luaL_optstring(L, 5, "text/plain"));
    const char *headers[] = {type, NULL};
    struct tt_scope *scope = lt_env_begin(L);
    if (client->kube)
        return lt_await(L, tx_kube_open_exchange(client->kube, scope, path), push_kube_stream);
    struct tx_http_request request = {.method = method,
                                      .path = path,
                                      .headers = body ? headers : NULL,
                                      .body = body,
                                      .length = length,
                                      .patience = TT_NEVER};
    return lt_await(L, tx_api_open(tx_docker_http(client->docker), scope, &request),
                    push_docker_stream);
}

static int push_built(lua_State *L, struct tt_op *op)
{
    return push_stream(L, tx_docker_built(op));
}

/* client:build(folder, dockerfile, path): the progress as a stream. */
static int client_build(lua_State *L)
{
    struct client *client = check_client(L);
    const char *folder = luaL_checkstring(L, 2), *dockerfile = luaL_checkstring(L, 3);
    const char *path = luaL_checkstring(L, 4);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tx_docker_build(client->docker, scope, folder, dockerfile, path),
                    push_built);
}

static int push_sent(lua_State *L, struct tt_op *op)
{
    return push_stream(L, tx_docker_sent(op));
}

/* client:pull(image, platform or nil): the progress as a stream. The registry's credentials do not
 * pass through Lua. */
static int client_pull(lua_State *L)
{
    struct client *client = check_client(L);
    const char *image = luaL_checkstring(L, 2), *platform = luaL_optstring(L, 3, NULL);
    struct tt_scope *scope = lt_env_begin(L);
    char *header, *path = tx_docker_pull_request(image, platform, &header);
    struct tx_docker_request request = {
        .method = "POST", .path = path, .header = header, .body = -1, .patience = TT_NEVER};
    struct tt_op *op = tx_docker_send(client->docker, scope, &request);
    if (header)
        explicit_bzero(header, strlen(header));
    free(header);
    free(path);
    return lt_await(L, op, push_sent);
}

/* trouble(message): the kind of error that a daemon's words stand for. */
static int trouble(lua_State *L)
{
    lua_pushstring(L, tt_kind_name(tx_docker_progress_kind(luaL_checkstring(L, 1))));
    return 1;
}

/* image_name(text): raises `invalid` unless it can be an image's. */
static int image_name(lua_State *L)
{
    struct tt_error *err = NULL;
    if (tx_check_image_name(luaL_checkstring(L, 1), &err) < 0)
        lt_raise(L, err);
    return 0;
}

static int push_bytes(lua_State *L, struct tt_op *op)
{
    const struct tt_bytes *bytes = tt_bytes_of(op);
    if (bytes->length)
        lua_pushlstring(L, bytes->data, bytes->length);
    else
        lua_pushnil(L);
    return 1;
}

/* stream:read(): bytes, or nil at the end. */
static int stream_read(lua_State *L)
{
    struct stream *stream = check_stream(L);
    if (!stream->exchange)
        lt_invalid(L, "the stream is closed");
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tx_exchange_read(stream->exchange, scope, 64 << 10), push_bytes);
}

/* demux(stream, bytes): a list of {number, bytes} of a container's framed output. */
static int stream_frames(lua_State *L)
{
    struct stream *stream = check_stream(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t at = 0; at < length;) {
        struct tx_docker_piece piece;
        struct tt_error *err = NULL;
        long used = tx_docker_frames_next(&stream->frames, bytes + at, length - at, &piece, &err);
        if (used < 0)
            lt_raise(L, err);
        at += (size_t)used;
        if (!piece.length)
            continue;
        lua_createtable(L, 2, 0);
        lua_pushinteger(L, piece.stream);
        lua_rawseti(L, -2, 1);
        lua_pushlstring(L, piece.bytes, piece.length);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* --- forwarded ports --- */

static int forward_close(lua_State *L)
{
    struct tx_forward **forward = luaL_checkudata(L, 1, FORWARD);
    tx_forward_free(*forward);
    *forward = NULL;
    return 0;
}

/* client:forward(namespace, pod, port, local_port) */
static int client_forward(lua_State *L)
{
    struct client *client = check_client(L);
    const char *name_space = luaL_checkstring(L, 2), *pod = luaL_checkstring(L, 3);
    int port = (int)luaL_checkinteger(L, 4), here = (int)luaL_optinteger(L, 5, 0);
    struct tt_error *err = NULL;
    lt_env_begin(L);
    struct tx_forward **forward = lua_newuserdatauv(L, sizeof *forward, 0);
    *forward = NULL;
    luaL_setmetatable(L, FORWARD);
    if (tx_forward_new(forward, client->kube, name_space, pod, port, here, &err) < 0)
        lt_raise(L, err);
    return 1;
}

static int forward_port(lua_State *L)
{
    struct tx_forward **forward = luaL_checkudata(L, 1, FORWARD);
    lua_pushinteger(L, *forward ? tx_forward_port(*forward) : 0);
    return 1;
}

static int forward_trouble(lua_State *L)
{
    struct tx_forward **forward = luaL_checkudata(L, 1, FORWARD);
    const struct tt_error *err = *forward ? tx_forward_trouble(*forward) : NULL;
    lua_pushstring(L, err ? err->message : NULL);
    return 1;
}

/* --- the rest --- */

/* yaml(text): a list of its documents. */
static int parse_yaml(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    struct tt_error *err = NULL;
    json_t *documents = NULL;
    if (tx_yaml_parse(&documents, text, length, "YAML", &err) < 0)
        lt_raise(L, err);
    lt_push_json(L, documents);
    json_decref(documents);
    return 1;
}

/* check(what, options, names): raises `invalid` for a name that is not among them. */
static int check(lua_State *L)
{
    const char *what = luaL_checkstring(L, 1);
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t count = lua_rawlen(L, 3);
    const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
    lt_list_strings(L, 3, names);
    names[count] = NULL;
    struct lt_options o;
    lt_options_open(L, &o, 2, what, names, false);
    return 0;
}

static int escape(lua_State *L)
{
    struct tt_buf out = {0};
    tx_url_escape(&out, luaL_checkstring(L, 1));
    lua_pushlstring(L, out.data ? out.data : "", out.length);
    tt_buf_free(&out);
    return 1;
}

static void metatable(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__close");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int luaopen_tutti_client(lua_State *L)
{
    static const luaL_Reg client[] = {
        {"call", client_call}, {"open", client_open},       {"build", client_build},
        {"pull", client_pull}, {"forward", client_forward}, {"namespace", kube_namespace},
        {NULL, NULL}};
    static const luaL_Reg stream[] = {
        {"read", stream_read}, {"frames", stream_frames}, {"close", stream_close}, {NULL, NULL}};
    static const luaL_Reg forward[] = {{"port", forward_port},
                                       {"trouble", forward_trouble},
                                       {"close", forward_close},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"docker", open_docker},
                                         {"k8s", open_k8s},
                                         {"parts", env_parts},
                                         {"ready", image_ready},
                                         {"resolved", resolved},
                                         {"yaml", parse_yaml},
                                         {"check", check},
                                         {"escape", escape},
                                         {"trouble", trouble},
                                         {"image_name", image_name},
                                         {NULL, NULL}};
    metatable(L, CLIENT, client, client_gc);
    metatable(L, STREAM, stream, stream_close);
    metatable(L, FORWARD, forward, forward_close);
    luaL_newlib(L, functions);
    return 1;
}
