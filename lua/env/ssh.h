/* SSH hosts in Lua: tutti.ssh. */
#ifndef LT_SSH_H
#define LT_SSH_H

#include "lua/env/env.h"

extern const struct lt_env_constructor lt_ssh;

#endif
