/* Where Lua code writes words for people: `print` and io.stderr:write, which pass the masker. Bytes
 * given to io.write or to any other file are data and stay exact. */
#ifndef LT_MASKED_H
#define LT_MASKED_H

#include <lua.h>
#include <stdbool.h>

/* Replaces `print` and the files' `write` in the globals and libraries that are open. */
int lt_open_masked(lua_State *L);

/* `print` never raises: nobody's work fails because a line could not be shown. What is lost on
 * standard output is a result, though, unless it only carries the log (--json). At the process's
 * end this tells the loss on stderr, once; true when nothing was lost. */
bool lt_stdout_end(void);
void lt_stdout_is_log(void);
/* A result could not be written, for that errno. */
void lt_stdout_lost(int errnum);

#endif
