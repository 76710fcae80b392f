/* Files of environments in Lua: env:read, env:write, tutti.copy and so on. All of them raise; a
 * relative path is below the environment's cwd. Internal to lua/. */
#ifndef LT_FILES_H
#define LT_FILES_H

#include <lua.h>

int lt_env_read(lua_State *L);     /* env:read(path, { max = }) → bytes */
int lt_env_write(lua_State *L);    /* env:write(path, bytes, { mode = }) */
int lt_env_upload(lua_State *L);   /* env:upload(path here, path there): a file or a tree */
int lt_env_download(lua_State *L); /* env:download(path there, path here) */
int lt_env_stat(lua_State *L);     /* env:stat(path, { follow = }) → table or nil */
int lt_env_list(lua_State *L);     /* env:list(path) → tables with name, sorted */
int lt_env_glob(lua_State *L);     /* env:glob(pattern or list, { empty = }) → paths, sorted */
int lt_env_remove(lua_State *L);   /* env:remove(path, { recursive = }) */
int lt_env_mkdir(lua_State *L);    /* env:mkdir(path, { mode = }): with its parents */
int lt_copy(lua_State *L); /* tutti.copy({ env, path }, { env, path }); a path alone is here */

#endif
