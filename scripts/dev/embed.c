/* Turns Lua files into one C file of bytecode: embed OUT.c FOLDER NAME.lua...
 *
 * Each file becomes an entry { module name, bytes, size } of lt_stdlib[], which lua/libraries.c
 * searches; cli/run.lua is the module cli.run. Bytecode and not source, because parsing the library
 * would cost more than the start-up budget; line numbers stay in, so that tracebacks are whole. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int append(lua_State *L, const void *bytes, size_t size, void *out)
{
    const unsigned char *p = bytes;
    (void)L;
    for (size_t i = 0; i < size; i++)
        if (fprintf(out, "%u,%s", p[i], i % 32 == 31 ? "\n" : "") < 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: embed OUT.c FOLDER NAME.lua...\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    FILE *out = fopen(argv[1], "w");
    if (!L || !out) {
        fprintf(stderr, "embed: cannot write %s\n", argv[1]);
        return 1;
    }
    fprintf(out, "/* Made by scripts/dev/embed.c. */\n#include \"lua/stdlib.h\"\n");
    for (int i = 3; i < argc; i++) {
        char path[4096], chunk[4096];
        snprintf(path, sizeof path, "%s/%s", argv[2], argv[i]);
        snprintf(chunk, sizeof chunk, "@tutti/%s", argv[i]);
        FILE *in = fopen(path, "r");
        if (!in) {
            fprintf(stderr, "embed: cannot read %s\n", path);
            return 1;
        }
        fseek(in, 0, SEEK_END);
        size_t size = (size_t)ftell(in);
        fseek(in, 0, SEEK_SET);
        char *source = malloc(size + 1);
        if (!source || fread(source, 1, size, in) != size) {
            fprintf(stderr, "embed: cannot read %s\n", path);
            return 1;
        }
        fclose(in);
        if (luaL_loadbuffer(L, source, size, chunk) != LUA_OK) {
            fprintf(stderr, "embed: %s\n", lua_tostring(L, -1));
            return 1;
        }
        free(source);
        fprintf(out, "static const unsigned char module_%d[] = {\n", i - 3);
        if (lua_dump(L, append, out, 0) != 0)
            return 1;
        fprintf(out, "};\n");
        lua_settop(L, 0);
    }
    fprintf(out, "const struct lt_stdlib_module lt_stdlib[] = {\n");
    for (int i = 3; i < argc; i++) {
        for (char *slash; (slash = strchr(argv[i], '/'));)
            *slash = '.';
        fprintf(out, "    {\"%.*s\", module_%d, sizeof module_%d},\n", (int)strlen(argv[i]) - 4,
                argv[i], i - 3, i - 3);
    }
    fprintf(out, "    {0, 0, 0},\n};\n");
    lua_close(L);
    return fclose(out) == 0 ? 0 : 1;
}
