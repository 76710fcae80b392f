/* env:run, env:try and env:spawn, and the processes that spawn gives. */
#include "lua/env/process.h"

#include "core/base/alloc.h"
#include "lua/env/command.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define NAME "tutti.Process"

/* --- run and try --- */

/* An operation that failed: cancelled, invalid, unsupported. What was seen so far is kept with it.
 */
static void raise_operation(lua_State *L, struct tt_op *op, struct tt_result *seen)
{
    lt_push_error(L, op->error);
    if (seen) {
        lt_push_result(L, seen);
        lua_setfield(L, -2, "result");
    }
    lt_raise_value(L);
}

static int push_tried(lua_State *L, struct tt_op *op)
{
    struct tt_result *result = tt_result_of(op);
    if (op->error)
        raise_operation(L, op, result);
    lt_push_result(L, result);
    return 1;
}

static int push_run(lua_State *L, struct tt_op *op)
{
    push_tried(L, op);
    struct tt_result *result = lt_to_result(L, -1);
    if (result->kind == TT_OK)
        return 1;
    lt_push_result_error(L, result);
    lt_raise_value(L);
}

static int capture(lua_State *L, const char *what, lt_push *push)
{
    struct tt_env *env = lt_check_env(L, NULL);
    struct lt_run *run = lt_read_run(L, what, false);
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    options.proc = lt_proc_options(run);
    options.input = run->input;
    options.input_length = run->input_length;
    if (run->with.max_output >= 0)
        options.max_output = run->with.max_output;
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await_any(L, tt_capture(env, scope, &run->with.command, &options), push);
}

int lt_env_run(lua_State *L)
{
    return capture(L, "env:run", push_run);
}

int lt_env_try(lua_State *L)
{
    return capture(L, "env:try", push_tried);
}

/* --- processes --- */

enum { line_max = 16 << 20, read_max = 64 << 10 };

struct process {
    struct tt_proc *proc;  /* held */
    struct tt_buf rest[2]; /* read but not yet given, a stream each */
    bool reading[2], ended[2], writing;
};

static struct process *check_process(lua_State *L, int index)
{
    struct process *p = luaL_testudata(L, index, NAME);
    if (!p)
        lt_invalid(L, "this is a method of a process: write p:name(…), not p.name(…)");
    return p;
}

static int process_gc(lua_State *L)
{
    struct process *p = lua_touserdata(L, 1);
    tt_proc_release(p->proc);
    p->proc = NULL;
    tt_buf_free(&p->rest[0]);
    tt_buf_free(&p->rest[1]);
    return 0;
}

static enum tt_stream check_stream(lua_State *L, int index, const char *what)
{
    const char *name = luaL_optstring(L, index, "stdout");
    if (strcmp(name, "stdout") == 0)
        return TT_STDOUT;
    if (strcmp(name, "stderr") != 0)
        lt_invalid(L, "%s: there is no stream '%s', only stdout and stderr", what, name);
    return TT_STDERR;
}

static void claim_reading(lua_State *L, struct process *p, enum tt_stream stream)
{
    if (p->reading[stream])
        lt_invalid(L, "another task is reading this stream");
}

/* Bytes that arrived go behind the rest; false at the stream's end. Raises what went wrong. */
static bool take_bytes(lua_State *L, struct process *p, enum tt_stream stream, struct tt_op *op)
{
    p->reading[stream] = false;
    if (op->error) {
        lt_push_error(L, op->error);
        lt_raise_value(L);
    }
    const struct tt_bytes *bytes = tt_bytes_of(op);
    if (bytes->length == 0) {
        p->ended[stream] = true;
        return false;
    }
    char *room = tt_buf_reserve(&p->rest[stream], bytes->length);
    if (!room)
        lt_raisef(L, TT_IO, "no memory for what was read");
    memcpy(room, bytes->data, bytes->length);
    p->rest[stream].length += bytes->length;
    return true;
}

static int give_rest(lua_State *L, struct tt_buf *rest, size_t length, size_t drop)
{
    lua_pushlstring(L, rest->data ? rest->data : "", length);
    tt_buf_drop(rest, drop);
    return 1;
}

/* p:read([stream]): what is there, at least one byte, or nil at the end. Stack: process, stream. */
static int push_chunk(lua_State *L, struct tt_op *op)
{
    struct process *p = check_process(L, 1);
    enum tt_stream stream = (enum tt_stream)lua_tointeger(L, 2);
    if (!take_bytes(L, p, stream, op))
        return 0;
    return give_rest(L, &p->rest[stream], p->rest[stream].length, p->rest[stream].length);
}

static int process_read(lua_State *L)
{
    struct process *p = check_process(L, 1);
    enum tt_stream stream = check_stream(L, 2, "p:read");
    struct tt_buf *rest = &p->rest[stream];
    if (rest->length > 0)
        return give_rest(L, rest, rest->length, rest->length);
    if (p->ended[stream])
        return 0;
    claim_reading(L, p, stream);
    lua_settop(L, 1);
    lua_pushinteger(L, stream);
    struct tt_scope *scope = lt_begin(L);
    p->reading[stream] = true;
    return lt_await_any(L, tt_proc_read(p->proc, scope, stream, read_max), push_chunk);
}

static int line_or_more(lua_State *L, struct process *p, enum tt_stream stream, size_t searched);

/* Stack of a line iterator: process, stream, how much of the rest was searched. */
static int push_line(lua_State *L, struct tt_op *op)
{
    struct process *p = check_process(L, 1);
    enum tt_stream stream = (enum tt_stream)lua_tointeger(L, 2);
    take_bytes(L, p, stream, op);
    return line_or_more(L, p, stream, (size_t)lua_tointeger(L, 3));
}

static int line_or_more(lua_State *L, struct process *p, enum tt_stream stream, size_t searched)
{
    struct tt_buf *rest = &p->rest[stream];
    const char *end = rest->length > searched
                          ? memchr(rest->data + searched, '\n', rest->length - searched)
                          : NULL;
    if (end) {
        size_t length = (size_t)(end - rest->data);
        return give_rest(L, rest, length, length + 1);
    }
    if (p->ended[stream])
        return rest->length > 0 ? give_rest(L, rest, rest->length, rest->length) : 0;
    if (rest->length > line_max)
        lt_raisef(L, TT_OUTPUT_LIMIT, "a line of more than 16 MiB");
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)rest->length);
    struct tt_scope *scope = lt_begin(L);
    p->reading[stream] = true;
    return lt_await_any(L, tt_proc_read(p->proc, scope, stream, read_max), push_line);
}

static int next_line(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    struct process *p = check_process(L, 1);
    enum tt_stream stream = (enum tt_stream)lua_tointeger(L, 2);
    claim_reading(L, p, stream);
    return line_or_more(L, p, stream, 0);
}

static int process_lines(lua_State *L)
{
    check_process(L, 1);
    enum tt_stream stream = check_stream(L, 2, "p:lines");
    lua_settop(L, 1);
    lua_pushinteger(L, stream);
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

static int push_written(lua_State *L, struct tt_op *op)
{
    check_process(L, 1)->writing = false;
    if (op->error) {
        lt_push_error(L, op->error);
        lt_raise_value(L);
    }
    return 0;
}

static void claim_writing(lua_State *L, struct process *p)
{
    if (p->writing)
        lt_invalid(L, "another task is writing to this process");
}

static const char *check_written(lua_State *L, int index, size_t *length)
{
    const char *bytes = lt_to_bytes(L, index, length);
    if (!bytes)
        lt_invalid(L, "p:write: expected a string, a number or a secret, got %s",
                   lt_describe(L, index));
    return bytes;
}

/* p:write(…), like a file's: one value after the other. */
static int process_write(lua_State *L)
{
    struct process *p = check_process(L, 1);
    size_t length;
    int count = lua_gettop(L);
    const char *bytes = check_written(L, 2, &length);
    if (count > 2) {
        luaL_Buffer all;
        luaL_buffinit(L, &all);
        for (int i = 2; i <= count; i++) {
            bytes = check_written(L, i, &length);
            luaL_addlstring(&all, bytes, length);
        }
        luaL_pushresult(&all);
        bytes = lua_tolstring(L, -1, &length);
    }
    claim_writing(L, p);
    struct tt_scope *scope = lt_begin(L);
    p->writing = true;
    return lt_await_any(L, tt_proc_write(p->proc, scope, bytes, length), push_written);
}

static int process_close_stdin(lua_State *L)
{
    struct process *p = check_process(L, 1);
    claim_writing(L, p);
    struct tt_scope *scope = lt_begin(L);
    p->writing = true;
    return lt_await_any(L, tt_proc_close_stdin(p->proc, scope), push_written);
}

static int push_ended(lua_State *L, struct tt_op *op)
{
    struct process *p = check_process(L, 1);
    struct tt_result *result = tt_proc_result(p->proc);
    if (op->error)
        raise_operation(L, op, NULL);
    lt_push_result(L, result);
    return 1;
}

static int process_wait(lua_State *L)
{
    struct process *p = check_process(L, 1);
    struct tt_scope *scope = lt_begin(L);
    return lt_await_any(L, tt_proc_wait(p->proc, scope), push_ended);
}

/* True, or false when there was nothing left to signal. */
static int push_killed(lua_State *L, struct tt_op *op)
{
    if (op->error && op->error->kind != TT_NOT_FOUND) {
        lt_push_error(L, op->error);
        lt_raise_value(L);
    }
    lua_pushboolean(L, !op->error);
    return 1;
}

static int process_kill(lua_State *L)
{
    struct process *p = check_process(L, 1);
    const char *name = luaL_optstring(L, 2, "TERM");
    int signal = tt_signal_number(name);
    if (!signal)
        lt_invalid(L, "p:kill: there is no signal '%s'", name);
    struct tt_scope *scope = lt_begin(L);
    return lt_await_any(L, tt_proc_signal(p->proc, scope, signal), push_killed);
}

static int process_pipe(lua_State *L)
{
    check_process(L, 1);
    check_process(L, 2);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tutti.pipe");
    lua_call(L, 1, 1);
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

static int process_ref(lua_State *L)
{
    lua_pushstring(L, tt_proc_ref(check_process(L, 1)->proc));
    return 1;
}

static struct process *push_process(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", process_read},   {"lines", process_lines},
        {"write", process_write}, {"wait", process_wait},
        {"kill", process_kill},   {"close_stdin", process_close_stdin},
        {"pipe", process_pipe},   {"ref", process_ref},
        {"__gc", process_gc},     {NULL, NULL}};
    struct process *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    if (luaL_newmetatable(L, NAME)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    return p;
}

/* --- spawn --- */

/* The process is the value at index 3 (made before, so that nothing can be lost). */
static int push_spawned(lua_State *L, struct tt_op *op)
{
    struct process *p = check_process(L, 3);
    p->proc = tt_proc_of(op);
    lua_pushvalue(L, 3);
    return 1;
}

int lt_env_spawn(lua_State *L)
{
    struct tt_env *env = lt_check_env(L, NULL);
    struct lt_run *run = lt_read_run(L, "env:spawn", true);
    lua_replace(L, 2);
    lua_settop(L, 2);
    push_process(L);
    struct tt_proc_options options = lt_proc_options(run);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_proc_start(env, scope, &run->with.command, &options), push_spawned);
}
