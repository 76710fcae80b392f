/* What commands are made of, read from Lua: words, variables, bytes, secrets. There is one reader
 * of each, so that a mistake has the same message wherever it is made. Readers raise `invalid` with
 * the user's file:line; `what` begins the message. */
#ifndef LT_WORDS_H
#define LT_WORDS_H

#include "core/base/quote.h"
#include "lua/value/args.h"

/* The bytes of a string or a secret, borrowed from the value at index; NULL when it is something
 * else. */
const char *lt_to_data(lua_State *L, int index, size_t *length);
/* The same, or those of a number, which becomes a string at that index. */
const char *lt_to_bytes(lua_State *L, int index, size_t *length);

/* The word at the top of the stack: a string, or a number, which becomes a string there. Refuses
 * NUL bytes, and secrets, since other users can list a command's words. `number`: which word it is,
 * from 1, for the message. */
struct tt_word lt_check_word(lua_State *L, const char *what, int number);
/* Reads the `count` words of the sequence at index: pushes a sequence of them as strings, and fills
 * `words` (room for count), borrowed from that. */
void lt_push_words(lua_State *L, int index, size_t count, const char *what, struct tt_word *words);

/* Calls each(o, arg, NAME, value) for the variables of the option `env`, if it is given: a table
 * { NAME = string, number or secret }. `each` may throw. */
typedef void lt_each_var(const struct lt_options *o, void *arg, const char *name,
                         const char *value);
void lt_option_vars(const struct lt_options *o, lt_each_var *each, void *arg);

/* A string or a secret, borrowed from the table; NULL when it is missing. */
const char *lt_option_secret(const struct lt_options *o, const char *name);

#endif
