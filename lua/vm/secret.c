#include "lua/vm/secret.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/mask.h"
#include "lua/value/args.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"
#include "lua/vm/masker.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

static const char type_name[] = "tutti.secret";

struct secret {
    size_t length;
    char text[];
};

const char *lt_to_secret(lua_State *L, int index, size_t *length)
{
    struct secret *secret = luaL_testudata(L, index, type_name);
    if (secret && length)
        *length = secret->length;
    return secret ? secret->text : NULL;
}

/* --- the value --- */

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "***");
    return 1;
}

static int secret_refuse(lua_State *L)
{
    lt_invalid(L, "a secret has no text in Lua: hand it to a command by env, stdin or password");
}

static int secret_gc(lua_State *L)
{
    struct secret *secret = lua_touserdata(L, 1);
    explicit_bzero(secret->text, secret->length);
    return 0;
}

static int make_secret(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__tostring", secret_tostring}, {"__concat", secret_refuse}, {"__len", secret_refuse},
        {"__index", secret_refuse},      {"__gc", secret_gc},         {NULL, NULL},
    };
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    if (length == 0)
        lt_invalid(L, "tutti.secret: it is empty");
    if (memchr(text, 0, length))
        lt_invalid(L, "tutti.secret: it holds a NUL byte");
    struct secret *secret = lua_newuserdatauv(L, sizeof *secret + length + 1, 0);
    secret->length = length;
    memcpy(secret->text, text, length);
    secret->text[length] = 0;
    if (luaL_newmetatable(L, type_name)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushliteral(L, "secret");
        lua_setfield(L, -2, "__name");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    tt_masker_add(lt_masker(L), text, length);
    return 1;
}

/* --- asking on the terminal, on a worker thread --- */

struct ask {
    char *prompt;
    struct tt_buf line;
    int stop; /* an eventfd that a cancel makes readable */
};

static int read_line(struct ask *ask, int tty, struct tt_error **err)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = tty, .events = POLLIN}, {.fd = ask->stop, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return tt_fail_errno(err, errno, "cannot wait for the terminal");
        if (fds[1].revents)
            return tt_fail(err, TT_CANCELLED, "nobody was asked any more");
        if (!fds[0].revents)
            continue;
        char byte;
        ssize_t got = TT_FAULT("lsecret.read") ? -1 : read(tty, &byte, 1);
        if (got < 0)
            return tt_fail_errno(err, errno, "cannot read from the terminal");
        if (got == 0 || byte == '\n')
            return 0;
        tt_buf_add(&ask->line, &byte, 1);
    }
}

static int ask_on_thread(void *arg, struct tt_error **err)
{
    struct ask *ask = arg;
    struct termios before, silent;
    int tty = TT_FAULT("lsecret.open") ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return tt_fail_errno(err, errno, "there is no terminal to ask on");
    int rc;
    if (TT_FAULT("lsecret.tcgetattr") || tcgetattr(tty, &before) < 0) {
        rc = tt_fail_errno(err, errno, "cannot ask on the terminal");
    } else {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        tcsetattr(tty, TCSAFLUSH, &silent);
        dprintf(tty, "%s", ask->prompt);
        rc = read_line(ask, tty, err);
        tcsetattr(tty, TCSAFLUSH, &before);
        dprintf(tty, "\n");
    }
    close(tty);
    return rc;
}

static void ask_drop(void *arg)
{
    struct ask *ask = arg;
    if (ask->line.data)
        explicit_bzero(ask->line.data, ask->line.capacity);
    tt_buf_free(&ask->line);
    close(ask->stop);
    free(ask->prompt);
    free(ask);
}

static void ask_stop(void *arg)
{
    eventfd_write(((struct ask *)arg)->stop, 1);
}

static int push_answer(lua_State *L, struct tt_op *op)
{
    struct ask *ask = tt_work_arg(op);
    lua_pushlstring(L, ask->line.data ? ask->line.data : "", ask->line.length);
    return 1;
}

static int ask(lua_State *L)
{
    const char *prompt = lt_check_string(L, 1, "tutti.secret", "prompt");
    struct tt_scope *scope = lt_begin(L);
    int stop = TT_FAULT("lsecret.eventfd") ? -1 : eventfd(0, EFD_CLOEXEC);
    if (stop < 0)
        return lt_await(
            L, tt_op_finished_new(scope, tt_error_new(TT_IO, "no eventfd: %s", strerror(errno))),
            NULL);
    struct ask *made = tt_zalloc(sizeof *made);
    made->prompt = tt_strdup(prompt);
    made->stop = stop;
    struct tt_op *op = tt_work(scope, "asking", ask_on_thread, made, ask_drop);
    tt_work_on_cancel(op, ask_stop);
    return lt_await(L, op, push_answer);
}

const luaL_Reg lt_secret_functions[] = {
    {"secret", make_secret},
    {"ask", ask},
    {NULL, NULL},
};
