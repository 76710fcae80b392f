#include "lua/env/files.h"

#include "core/base/alloc.h"
#include "core/base/glob.h"
#include "core/files/files.h"
#include "lua/env/env.h"
#include "lua/env/words.h"
#include "lua/value/error.h"
#include "lua/value/fields.h"
#include "lua/vm/fiber.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { read_most = 256 << 20 };

/* Pushes the path, below the environment's cwd when it is relative. */
static const char *push_path(lua_State *L, const char *path, const char *cwd)
{
    if (*path == '/' || !cwd)
        return lua_pushstring(L, path);
    char *joined = tt_path_join(cwd, path);
    lua_pushstring(L, joined);
    free(joined);
    return lua_tostring(L, -1);
}

/* The environment at index 1, for files. */
static struct tt_env *check_files(lua_State *L, const char *what,
                                  const struct lt_env_defaults **defaults)
{
    struct tt_env *env = lt_check_env(L, defaults);
    if ((*defaults)->command.user)
        lt_raisef(L, TT_UNSUPPORTED, "%s: files as another user ('%s') are not supported", what,
                  (*defaults)->command.user);
    return env;
}

/* The environment at index 1 and the path at index 2, in full on the stack. */
static struct tt_env *check_target(lua_State *L, const char *what, const char **path)
{
    const struct lt_env_defaults *defaults = NULL;
    struct tt_env *env = check_files(L, what, &defaults);
    const char *given = lt_check_string(L, 2, what, "path");
    if (!*given)
        lt_invalid(L, "%s: the path is empty", what);
    *path = push_path(L, given, defaults->command.cwd);
    return env;
}

/* Lua has no octal numbers, so permissions are written as text; a number is taken as it is. */
static int option_mode(const struct lt_options *o)
{
    static const char expected[] = "permissions like \"0644\" (or that as an integer: 420)";
    int type = lt_option_push(o, "mode"), mode = -1;
    if (type == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(o->L, -1, &length);
        if (length < 3 || length > 4 || strspn(text, "01234567") != length)
            lt_option_wrong(o, "mode", expected);
        mode = (int)strtol(text, NULL, 8);
    } else if (type != LUA_TNIL) {
        lua_Integer number = lua_isinteger(o->L, -1) ? lua_tointeger(o->L, -1) : -1;
        if (number < 0 || number > 07777)
            lt_option_wrong(o, "mode", expected);
        mode = (int)number;
    }
    lua_pop(o->L, 1);
    return mode;
}

/* --- contents --- */

static int push_bytes(lua_State *L, struct tt_op *op)
{
    const struct tt_bytes *bytes = tt_bytes_of(op);
    lua_pushlstring(L, bytes->data ? bytes->data : "", bytes->length);
    return 1;
}

int lt_env_read(lua_State *L)
{
    static const char *const names[] = {"max", NULL};
    struct lt_options o;
    const char *path;
    lt_options_open(L, &o, 3, "env:read", names, false);
    size_t max = (size_t)lt_option_size(&o, "max", read_most);
    struct tt_env *env = check_target(L, "env:read", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_read_file(env, scope, path, max), push_bytes);
}

int lt_env_write(lua_State *L)
{
    static const char *const names[] = {"mode", NULL};
    struct lt_options o;
    const char *path;
    size_t length;
    const char *bytes = lt_to_data(L, 3, &length);
    if (!bytes)
        lt_invalid(L, "env:write: the data must be a string or a secret, got %s",
                   lt_describe(L, 3));
    lt_options_open(L, &o, 4, "env:write", names, false);
    struct tt_write_options options = {.mode = option_mode(&o), .size = (int64_t)length};
    struct tt_env *env = check_target(L, "env:write", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_write_file(env, scope, path, bytes, length, &options), NULL);
}

/* --- transfers --- */

int lt_env_upload(lua_State *L)
{
    const struct lt_env_defaults *defaults = NULL;
    struct tt_env *env = check_files(L, "env:upload", &defaults);
    const char *from = lt_check_string(L, 2, "env:upload", "path here");
    const char *to =
        push_path(L, lt_check_string(L, 3, "env:upload", "path there"), defaults->command.cwd);
    struct tt_env *here = lt_here(L);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_copy(here, from, env, to, scope), NULL);
}

int lt_env_download(lua_State *L)
{
    const struct lt_env_defaults *defaults = NULL;
    struct tt_env *env = check_files(L, "env:download", &defaults);
    const char *from =
        push_path(L, lt_check_string(L, 2, "env:download", "path there"), defaults->command.cwd);
    const char *to = lt_check_string(L, 3, "env:download", "path here");
    struct tt_env *here = lt_here(L);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_copy(env, from, here, to, scope), NULL);
}

/* One end of tutti.copy: { env, path }, or a path here. Pushes what keeps them alive. */
static struct tt_env *check_end(lua_State *L, int index, const char *name, const char **path)
{
    if (lua_type(L, index) == LUA_TSTRING) {
        *path = lt_check_string(L, index, "tutti.copy", name);
        return lt_here(L);
    }
    if (!lua_istable(L, index))
        lt_invalid(L, "tutti.copy: the %s must be { env, path }, got %s", name,
                   lt_describe(L, index));
    const struct lt_env_defaults *defaults = NULL;
    lua_rawgeti(L, index, 1);
    struct tt_env *env = lt_to_env(L, -1, &defaults);
    lua_rawgeti(L, index, 2);
    if (!env || lua_type(L, -1) != LUA_TSTRING)
        lt_invalid(L, "tutti.copy: the %s must be { env, path }", name);
    if (defaults->command.user)
        lt_raisef(L, TT_UNSUPPORTED, "tutti.copy: files as another user are not supported");
    *path = push_path(L, lt_check_string(L, -1, "tutti.copy", name), defaults->command.cwd);
    return env;
}

int lt_copy(lua_State *L)
{
    const char *from_path, *to_path;
    lua_settop(L, 2);
    struct tt_env *from = check_end(L, 1, "source", &from_path);
    struct tt_env *to = check_end(L, 2, "destination", &to_path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, tt_copy(from, from_path, to, to_path, scope), NULL);
}

/* --- what is there --- */

static void push_stat_table(lua_State *L, const struct tt_stat *stat)
{
    static const char *const types[] = {"file", "directory", "symlink", "other"};
    lua_createtable(L, 0, 7);
    lt_set_text(L, "type", types[stat->type]);
    lt_set_integer(L, "size", (int64_t)stat->size);
    lt_set_integer(L, "mode", stat->mode);
    lt_set_integer(L, "mtime", stat->mtime);
    lt_set_integer(L, "uid", stat->uid);
    lt_set_integer(L, "gid", stat->gid);
    lt_set_text(L, "target", stat->target);
}

static int push_stat(lua_State *L, struct tt_op *op)
{
    const struct tt_stat *stat = tt_stat_of(op);
    if (!stat)
        return 0;
    push_stat_table(L, stat);
    return 1;
}

int lt_env_stat(lua_State *L)
{
    static const char *const names[] = {"follow", NULL};
    struct lt_options o;
    const char *path;
    lt_options_open(L, &o, 3, "env:stat", names, false);
    bool follow = lt_option_boolean(&o, "follow", true);
    struct tt_env *env = check_target(L, "env:stat", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->files->stat(env, scope, path, follow), push_stat);
}

static int push_entries(lua_State *L, struct tt_op *op)
{
    const struct tt_entries *entries = tt_entries_of(op);
    lua_createtable(L, (int)entries->count, 0);
    for (size_t i = 0; i < entries->count; i++) {
        push_stat_table(L, &entries->items[i].stat);
        lt_set_text(L, "name", entries->items[i].path);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

int lt_env_list(lua_State *L)
{
    const char *path;
    struct tt_env *env = check_target(L, "env:list", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->files->list(env, scope, path), push_entries);
}

/* --- globs --- */

/* The first pattern that matched nothing, or `count`. */
static size_t find_unmatched(const struct tt_entries *entries, const char *const *patterns,
                             size_t count)
{
    struct tt_glob *glob = NULL;
    if (entries->count == 0)
        return 0;
    if (tt_glob_new(&glob, patterns, count, NULL) < 0)
        return count;
    bool *hits = tt_zalloc(count);
    for (size_t i = 0; i < entries->count; i++)
        tt_glob_match(glob, entries->items[i].path, entries->items[i].stat.type != TT_FILE_REGULAR,
                      hits);
    size_t unmatched = 0;
    while (unmatched < count && hits[unmatched])
        unmatched++;
    free(hits);
    tt_glob_free(glob);
    return unmatched;
}

/* Stack: env, patterns, options …; at index 4 the text before each path, at 5 whether nothing is
 * fine, at 6 the patterns as they were searched for. */
static int push_matches(lua_State *L, struct tt_op *op)
{
    const struct tt_entries *entries = tt_entries_of(op);
    size_t count = lua_rawlen(L, 2);
    size_t unmatched =
        lua_toboolean(L, 5) ? count : find_unmatched(entries, lua_touserdata(L, 6), count);
    if (unmatched < count) {
        lua_rawgeti(L, 2, (lua_Integer)unmatched + 1);
        lt_raisef(L, TT_NOT_FOUND, "env:glob: nothing matches '%s'", lua_tostring(L, -1));
    }
    lua_createtable(L, (int)entries->count, 0);
    for (size_t i = 0; i < entries->count; i++) {
        lua_pushvalue(L, 4);
        lua_pushstring(L, entries->items[i].path);
        lua_concat(L, 2);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* Patterns are all relative (to cwd) or all absolute (then the root is /). */
static bool check_absolute(lua_State *L, const char **patterns, size_t count)
{
    bool absolute = *patterns[0] == '/';
    for (size_t i = 0; i < count; i++) {
        if (!*patterns[i])
            lt_invalid(L, "env:glob: a pattern is empty");
        if ((*patterns[i] == '/') != absolute)
            lt_invalid(L, "env:glob: absolute and relative patterns cannot be mixed");
        patterns[i] += absolute ? strspn(patterns[i], "/") : 0;
    }
    return absolute;
}

int lt_env_glob(lua_State *L)
{
    static const char *const names[] = {"empty", NULL};
    const struct lt_env_defaults *defaults = NULL;
    struct lt_options o;
    lua_settop(L, 3);
    struct tt_env *env = check_files(L, "env:glob", &defaults);
    lt_options_open(L, &o, 3, "env:glob", names, false);
    if (lua_type(L, 2) == LUA_TSTRING) {
        lua_createtable(L, 1, 0);
        lua_pushvalue(L, 2);
        lua_rawseti(L, -2, 1);
        lua_replace(L, 2);
    }
    size_t count = lt_check_sequence(L, 2, "env:glob", "patterns");
    if (count == 0)
        lt_invalid(L, "env:glob: there is no pattern");
    lua_pushnil(L); /* 4 */
    lua_pushboolean(L, lt_option_boolean(&o, "empty", false));
    const char **patterns = lua_newuserdatauv(L, count * sizeof *patterns, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        patterns[i] = lt_check_string(L, -1, "env:glob", "pattern");
        lua_pop(L, 1);
    }
    bool absolute = check_absolute(L, patterns, count);
    lua_pushstring(L, absolute ? "/" : "");
    lua_replace(L, 4);
    const char *cwd = defaults->command.cwd, *root = absolute ? "/" : cwd ? cwd : ".";
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->files->glob(env, scope, root, patterns, count), push_matches);
}

/* --- changes --- */

int lt_env_remove(lua_State *L)
{
    static const char *const names[] = {"recursive", NULL};
    struct lt_options o;
    const char *path;
    lt_options_open(L, &o, 3, "env:remove", names, false);
    bool recursive = lt_option_boolean(&o, "recursive", false);
    struct tt_env *env = check_target(L, "env:remove", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->files->remove(env, scope, path, recursive), NULL);
}

int lt_env_mkdir(lua_State *L)
{
    static const char *const names[] = {"mode", NULL};
    struct lt_options o;
    const char *path;
    lt_options_open(L, &o, 3, "env:mkdir", names, false);
    int mode = option_mode(&o);
    struct tt_env *env = check_target(L, "env:mkdir", &path);
    struct tt_scope *scope = lt_env_begin(L);
    return lt_await(L, env->class_->files->mkdir(env, scope, path, mode), NULL);
}
