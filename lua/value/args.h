/* Arguments: the one reader of option tables and of values with units.
 *
 * Every function that reads its arguments here refuses the same mistakes in the same words: an
 * unknown option (with a suggestion), a wrong type (naming the option, what was expected and what
 * came). All errors are kind `invalid` and begin with the user's file:line.
 *
 *     static const char *const names[] = {"cwd", "timeout", NULL};
 *     struct lt_options o;
 *     lt_options_open(L, &o, 2, "env:run", names, false);
 *     const char *cwd = lt_option_string(&o, "cwd", NULL);
 *     int64_t timeout = lt_option_duration(&o, "timeout", TT_NEVER);
 *
 * Strings are borrowed from the table: valid while it is on the stack and unchanged. */
#ifndef LT_ARGS_H
#define LT_ARGS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_options {
    lua_State *L;
    int index;        /* absolute; 0: no table was given, every option has its fallback */
    const char *what; /* "env:run", "task 'build'": begins the messages */
    const char *const *names;
};

/* The value at index must be a table, or nil/none for no options. Every key must be among `names`
 * (ends with NULL); with `items`, a sequence 1..n may stand beside them. */
void lt_options_open(lua_State *L, struct lt_options *o, int index, const char *what,
                     const char *const *names, bool items);
bool lt_option_given(const struct lt_options *o, const char *name);

/* Pushes a table with the options of `o` that are among `names`, and opens it as `only`: for a
 * reader that must not see the others. */
void lt_options_only(const struct lt_options *o, struct lt_options *only, const char *const *names);

/* The value of an option; `fallback` when it is missing. */
const char *lt_option_string(const struct lt_options *o, const char *name, const char *fallback);
/* A string that may hold NUL bytes; *length is set. NULL when missing. */
const char *lt_option_bytes(const struct lt_options *o, const char *name, size_t *length);
int64_t lt_option_integer(const struct lt_options *o, const char *name, int64_t fallback,
                          int64_t min, int64_t max);
double lt_option_number(const struct lt_options *o, const char *name, double fallback, double min,
                        double max);
bool lt_option_boolean(const struct lt_options *o, const char *name, bool fallback);
int64_t lt_option_duration(const struct lt_options *o, const char *name, int64_t fallback); /* ms */
int64_t lt_option_size(const struct lt_options *o, const char *name, int64_t fallback); /* bytes */
/* An index into choices (ends with NULL). */
int lt_option_choice(const struct lt_options *o, const char *name, const char *const *choices,
                     int fallback);
/* Pushes the value (nil when missing) and returns its type: for functions, tables and unions. */
int lt_option_push(const struct lt_options *o, const char *name);
/* The option may be a string or a sequence of strings. Pushes a new sequence of them, empty when
 * the option is missing, and returns its length. */
size_t lt_option_strings(const struct lt_options *o, const char *name);
/* Fills `to` with the strings of the sequence at index, borrowed from it; `to` has room for all. */
void lt_list_strings(lua_State *L, int index, const char **to);
/* Raises "WHAT: option 'NAME' must be EXPECTED, got a table". */
_Noreturn void lt_option_wrong(const struct lt_options *o, const char *name, const char *expected);

/* Positional arguments; `what` names the function. */
const char *lt_check_string(lua_State *L, int index, const char *what, const char *name);
int64_t lt_check_duration(lua_State *L, int index, const char *what); /* ms */
void lt_check_function(lua_State *L, int index, const char *what, const char *name);
/* Raises unless the table at index is a sequence without holes or other keys; its length. */
size_t lt_check_sequence(lua_State *L, int index, const char *what, const char *name);

/* Values with units. A duration is a number of seconds, or a text: "250ms" "5s" "2m" "1h30m" "2d".
 * A size is a number of bytes, or a text: "64KiB" "16MiB" "2GiB". False for all else, and
 * for what is negative or NaN. */
bool lt_to_duration(lua_State *L, int index, int64_t *ms);
bool lt_to_size(lua_State *L, int index, int64_t *bytes);
/* Pushes, and returns, a description of the value at index for messages: "a table", "the string
 * 'x'", "3.5". */
const char *lt_describe(lua_State *L, int index);
/* The nearest of the names (core/base/suggest.h), or NULL. */
const char *lt_nearest(const char *word, const char *const *names);

#endif
