#include "lua/modules.h"

#include "lua/lclient.h"
#include "lua/lenv.h"
#include "lua/lflow.h"
#include "lua/lruntime.h"
#include "lua/lvalue.h"

const struct lt_module lt_modules[] = {
    {"host", luaopen_tutti_host},     {"env", luaopen_tutti_env},
    {"client", luaopen_tutti_client}, {"engine", luaopen_tutti_engine},
    {"json", luaopen_tutti_json},     {0, 0},
};
