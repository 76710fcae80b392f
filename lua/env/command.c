#include "lua/env/command.h"

#include "core/base/alloc.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/value/owned.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static int run_gc(lua_State *L)
{
    struct lt_run *run = lua_touserdata(L, 1);
    tt_command_clear(&run->with.command);
    tt_buf_free(&run->text);
    return 0;
}

static struct lt_run *push_run(lua_State *L)
{
    struct lt_run *run = lt_push_owned(L, sizeof *run, run_gc);
    lt_env_defaults_init(&run->with);
    return run;
}

/* --- words --- */

/* The values for the placeholders: `count` of them at `first` and up on the stack. */
static void expand(lua_State *L, struct lt_run *run, const char *what, int format, int first,
                   int count)
{
    struct tt_words *values = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *values, 0);
    luaL_checkstack(L, 2 * count + 8, "too many values");
    for (int i = 0; i < count; i++) {
        bool is_list = lua_istable(L, first + i);
        size_t length = is_list ? lt_check_sequence(L, first + i, what, "value") : 1;
        struct tt_word *words = lua_newuserdatauv(L, (length + 1) * sizeof *words, 0);
        if (is_list) {
            lt_push_words(L, first + i, length, what, words);
        } else {
            lua_pushvalue(L, first + i);
            words[0] = lt_check_word(L, what, i + 1);
        }
        values[i] = (struct tt_words){words, length};
    }
    size_t size;
    struct tt_error *err = NULL;
    const char *text = lua_tolstring(L, format, &size);
    if (tt_quote_expand(&run->text, text, size, values, (size_t)count, &err) < 0) {
        tt_fail(&err, TT_INVALID, "%s", what);
        lt_raise(L, err);
    }
    run->with.command.shell = tt_buf_take(&run->text);
}

/* A shell line, verbatim or with values for its placeholders. */
static void read_line(lua_State *L, struct lt_run *run, const char *what, int format, int first,
                      int count)
{
    lt_check_string(L, format, what, "command");
    if (count > 0)
        expand(L, run, what, format, first, count);
    else
        run->with.command.shell = tt_strdup(lua_tostring(L, format));
    if (!*run->with.command.shell)
        lt_invalid(L, "%s: the command is empty", what);
}

static void read_argv(lua_State *L, struct lt_run *run, const char *what, int table, size_t count)
{
    struct tt_command *command = &run->with.command;
    struct tt_word *words = lua_newuserdatauv(L, count * sizeof *words, 0);
    lt_push_words(L, table, count, what, words);
    command->argv = tt_zalloc((count + 1) * sizeof *command->argv);
    for (size_t i = 0; i < count; i++)
        command->argv[i] = tt_strndup(words[i].bytes, words[i].length);
}

static void read_sh(const struct lt_options *o, struct lt_run *run)
{
    lua_State *L = o->L;
    int type = lt_option_push(o, "sh"), value = lua_gettop(L);
    if (type == LUA_TSTRING) {
        read_line(L, run, o->what, value, 0, 0);
        return;
    }
    if (type != LUA_TTABLE)
        lt_option_wrong(o, "sh", "a string, or a list of a string and values for its placeholders");
    int count = (int)lt_check_sequence(L, value, o->what, "sh list");
    if (count == 0)
        lt_invalid(L, "%s: option 'sh' is an empty list", o->what);
    luaL_checkstack(L, count + 8, "too many values");
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, value, i);
    read_line(L, run, o->what, value + 1, value + 2, count - 1);
}

/* --- stdin --- */

static void read_stdin(const struct lt_options *o, struct lt_run *run, bool streamed)
{
    int type = lt_option_push(o, "stdin");
    if (!streamed)
        run->input = lt_to_data(o->L, -1, &run->input_length);
    if (type == LUA_TBOOLEAN && (streamed || !lua_toboolean(o->L, -1)))
        run->stdin_off = !lua_toboolean(o->L, -1);
    else if (type != LUA_TNIL && !run->input)
        lt_option_wrong(o, "stdin",
                        streamed ? "true (a pipe: p:write) or false"
                                 : "a string, a secret or false");
    lua_pop(o->L, 1);
}

/* --- all of it --- */

static void read_table(lua_State *L, struct lt_run *run, const char *what, bool streamed)
{
    static const char *const names[] = {"sh", "stdin", LT_ENV_DEFAULT_NAMES, NULL};
    struct lt_options o;
    lt_options_open(L, &o, 2, what, names, true);
    if (lua_gettop(L) > 3)
        lt_invalid(L, "%s: nothing may follow the table", what);
    size_t words = lua_rawlen(L, 2);
    bool sh = lt_option_given(&o, "sh");
    if (sh && words > 0)
        lt_invalid(L, "%s: either words or sh, not both", what);
    if (!sh && words == 0)
        lt_invalid(L, "%s: there is no command: give words or sh", what);
    lt_env_read_defaults(&o, &run->with);
    if (streamed && lt_option_given(&o, "max_output"))
        lt_invalid(L, "%s: option 'max_output' has no meaning for streams", what);
    read_stdin(&o, run, streamed);
    if (sh)
        read_sh(&o, run);
    else
        read_argv(L, run, what, 2, words);
}

struct lt_run *lt_read_run(lua_State *L, const char *what, bool streamed)
{
    const struct lt_env_defaults *defaults = NULL;
    lt_check_env(L, &defaults);
    if (lua_type(L, 2) != LUA_TSTRING && !lua_istable(L, 2))
        lt_invalid(L, "%s: the command must be a string or a table, got %s", what,
                   lt_describe(L, 2));
    int top = lua_gettop(L);
    struct lt_run *run = push_run(L);
    run->with = *defaults;
    tt_command_copy(&run->with.command, &defaults->command);
    if (lua_istable(L, 2))
        read_table(L, run, what, streamed);
    else
        read_line(L, run, what, 2, 3, top - 2);
    run->with.command.stdin_open = streamed ? !run->stdin_off : run->input != NULL;
    lua_settop(L, top + 1);
    return run;
}

struct tt_proc_options lt_proc_options(const struct lt_run *run)
{
    return (struct tt_proc_options){.limited = true,
                                    .timeout = run->with.timeout,
                                    .grace = run->with.grace >= 0 ? run->with.grace
                                                                  : tt_default_grace_ms};
}
