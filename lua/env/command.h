/* The arguments of env:run, env:try and env:spawn, read into a command. Internal to lua/. */
#ifndef LT_COMMAND_H
#define LT_COMMAND_H

#include "core/env/proc.h"
#include "lua/env/env.h"

/* Lives in a userdata, which frees it. */
struct lt_run {
    struct lt_env_defaults with; /* its command is the whole command */
    const char *input;           /* borrowed from the arguments; NULL: none was given */
    size_t input_length;
    bool stdin_off; /* stdin = false */
    struct tt_buf text;
};

/* Reads the arguments from index 2 on, in either form:
 *     env:run("tar czf %s %s", out, dir)
 *     env:run{ "ls", "-l", cwd = "/tmp" }   env:run{ sh = "make" | { "tar %s", x }, … }
 * Pushes the userdata that holds the result. Raises `invalid` for all that is wrong. `what` is
 * "env:run" and so on; `streamed`: stdin is a pipe unless false, and max_output has no meaning. */
struct lt_run *lt_read_run(lua_State *L, const char *what, bool streamed);

/* The options for core/env/proc.h. */
struct tt_proc_options lt_proc_options(const struct lt_run *run);

#endif
