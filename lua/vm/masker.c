#include "lua/vm/masker.h"

#include "core/base/alloc.h"
#include "core/base/mask.h"
#include "lua/value/owned.h"
#include "lua/vm/state.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int masker_gc(lua_State *L)
{
    tt_masker_free(*(struct tt_masker **)lua_touserdata(L, 1));
    return 0;
}

struct tt_masker *lt_masker(lua_State *L)
{
    static const char key;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
        lua_pop(L, 1);
        struct tt_masker **box = lt_push_owned(L, sizeof(struct tt_masker *), masker_gc);
        *box = tt_masker_new();
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    struct tt_masker *masker = *(struct tt_masker **)lua_touserdata(L, -1);
    lua_pop(L, 1);
    return masker;
}

void lt_warn(struct lt_vm *vm, const char *format, ...)
{
    struct tt_buf out = {0};
    va_list args;
    va_start(args, format);
    char *text = tt_vformat(format, args);
    va_end(args);
    tt_mask_text(lt_masker(vm->L), text, strlen(text), &out);
    fprintf(stderr, "tutti: %s\n", out.data ? out.data : "");
    tt_buf_free(&out);
    free(text);
}
