#include "lua/modules.h"

#include "lua/env/client.h"
#include "lua/env/env.h"
#include "lua/flow/flow.h"
#include "lua/value/value.h"
#include "lua/vm/runtime.h"

const struct lt_module lt_modules[] = {
    {"host", luaopen_tutti_host},     {"env", luaopen_tutti_env},
    {"client", luaopen_tutti_client}, {"engine", luaopen_tutti_engine},
    {"json", luaopen_tutti_json},     {0, 0},
};
