/* SSH hosts in Lua: tutti.ssh. */
#ifndef LT_LSSH_H
#define LT_LSSH_H

#include "lua/env/env.h"

extern const struct lt_env_constructor lt_ssh;

#endif
