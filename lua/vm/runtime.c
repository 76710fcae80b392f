#include "lua/vm/runtime.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/suggest.h"
#include "lua/value/args.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"
#include "lua/vm/gate.h"
#include "lua/vm/group.h"
#include "lua/vm/masked.h"
#include "lua/vm/secret.h"
#include "lua/vm/spawn.h"
#include "lua/vm/stdin.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- fibers --- */

static int now(lua_State *L)
{
    struct tt_loop *loop = lt_vm_loop(lt_vm_of(L));
    uv_update_time(tt_loop_uv(loop));
    lua_pushnumber(L, (double)tt_loop_now(loop) / 1000);
    return 1;
}

static int sleep_(lua_State *L)
{
    int64_t ms = lt_check_duration(L, 1, "tutti.sleep");
    return lt_await(L, tt_sleep(lt_begin(L), ms), NULL);
}

static int move_stack(lua_State *L, void *from)
{
    int count = lua_gettop(from);
    luaL_checkstack(L, count, "too many arguments");
    lua_xmove(from, L, count);
    return count - 1;
}

static int push_program(lua_State *L, struct tt_op *op)
{
    int count = lt_call_push(L, op);
    return count < 0 ? lua_error(L) : count;
}

/* What stands for the running fiber: only good for comparing. */
static int fiber(lua_State *L)
{
    lua_pushlightuserdata(L, lt_vm_of(L)->current);
    return 1;
}

/* program(f, …): calls f in the program scope, the one that Ctrl-C cancels, and returns what it
 * returns. */
static int program(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct lt_vm *vm = lt_vm_of(L);
    lt_begin(L);
    return lt_await_any(L, lt_call(vm, vm->program, "program", move_stack, L), push_program);
}

/* exit(code): cancels what runs, then ends the process with that code. */
static int exit_(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    if (!lua_isnoneornil(L, 1) && !lua_isboolean(L, 1) && !lua_isinteger(L, 1))
        lt_invalid(L, "os.exit: the code must be an integer or a boolean, got %s",
                   luaL_typename(L, 1));
    int code = lua_isnoneornil(L, 1) ? EXIT_SUCCESS
               : lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                     : (int)lua_tointeger(L, 1) & 0xff;
    if (!vm->exiting) {
        vm->exiting = true;
        vm->exit_code = code;
    }
    lt_vm_cancel_program(vm, "os.exit was called");
    struct lt_fiber *fiber = vm->current;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "os.exit was called");
    if (fiber) {
        tt_scope_cancel(fiber->scope, why);
        lt_stop_current(vm);
    }
    lt_raise(L, why);
}

/* True once os.exit was called. */
static int exiting(lua_State *L)
{
    int code;
    lua_pushboolean(L, lt_vm_exiting(lt_vm_of(L), &code));
    return 1;
}

/* --- what the command line decides --- */

static int script(lua_State *L)
{
    const char *path = lt_check_string(L, 1, "host.script", "path");
    lt_vm_set_script(lt_vm_of(L), path);
    return 0;
}

/* The directory of the running script, or nil. */
static int script_dir(lua_State *L)
{
    lua_pushstring(L, lt_vm_script_dir(lt_vm_of(L)));
    return 1;
}

static int forbid(lua_State *L)
{
    struct lt_vm *vm = lt_vm_of(L);
    lua_settop(L, 1);
    static const char key;
    const char *why = lua_isnil(L, 1) ? NULL : luaL_checkstring(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key); /* keeps the text alive */
    lt_vm_forbid_operations(vm, why);
    return 0;
}

static int forbidden(lua_State *L)
{
    lua_pushstring(L, lt_vm_forbidden(lt_vm_of(L)));
    return 1;
}

static int operations_started(lua_State *L)
{
    lua_pushboolean(L, lt_vm_of(L)->operations_started);
    return 1;
}

/* --- the process's streams --- */

static int document_fd = STDOUT_FILENO;

/* Under --json: descriptor 1 becomes stderr, so that nothing but the document reaches stdout. */
static int claim_stdout(lua_State *L)
{
    if (document_fd != STDOUT_FILENO)
        return 0;
    fflush(stdout);
    int saved = TT_FAULT("host.dup") ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (saved < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        struct tt_error *err = NULL;
        tt_fail_errno(&err, errno, "standard output");
        lt_raise(L, err);
    }
    document_fd = saved;
    lt_stdout_is_log();
    return 0;
}

/* document(text): the result, to the real stdout. What is lost of it is told at the end. */
static int document(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    fflush(stdout);
    while (length > 0) {
        ssize_t n = TT_FAULT("host.document") ? -1 : write(document_fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            lt_stdout_lost(errno);
            break;
        }
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

static int isatty_(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* columns(fd): the terminal's width and height, or nil. */
static int columns(lua_State *L)
{
    struct winsize size;
    int fd = (int)luaL_optinteger(L, 1, STDERR_FILENO);
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 0;
    lua_pushinteger(L, size.ws_col);
    lua_pushinteger(L, size.ws_row);
    return 2;
}

/* nearest(word, names): the one of the names that was probably meant, or nil. */
static int nearest(lua_State *L)
{
    struct tt_suggest suggest = {.wanted = luaL_checkstring(L, 1)};
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        tt_suggest_try(&suggest, luaL_checkstring(L, -1)); /* the table keeps it */
        lua_pop(L, 1);
    }
    lua_pushstring(L, suggest.best);
    return 1;
}

/* raise(err): with the user's file and line before the message. */
static int raise_(lua_State *L)
{
    lua_settop(L, 1);
    lt_raise_value(L);
}

int luaopen_tutti_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"now", now},
        {"sleep", sleep_},
        {"spawn", lt_spawn},
        {"background", lt_background},
        {"defer", lt_defer},
        {"all", lt_all},
        {"map", lt_map},
        {"race", lt_race},
        {"timeout", lt_timeout},
        {"gate", lt_gate},
        {"fiber", fiber},
        {"program", program},
        {"raise", raise_},
        {"nearest", nearest},
        {"error_text", lt_error_text},
        {"exit", exit_},
        {"exiting", exiting},
        {"script", script},
        {"script_dir", script_dir},
        {"forbid", forbid},
        {"forbidden", forbidden},
        {"operations_started", operations_started},
        {"claim_stdout", claim_stdout},
        {"document", document},
        {"read_stdin", lt_read_stdin},
        {"isatty", isatty_},
        {"columns", columns},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    luaL_setfuncs(L, lt_secret_functions, 0);
    lua_pushliteral(L, TT_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
