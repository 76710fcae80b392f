#include "executors/remote/shim_container.h"

#include "core/base/alloc.h"
#include "core/base/quote.h"

#include <stdlib.h>
#include <string.h>

static bool is_utf8(const char *text)
{
    json_t *value = json_string(text); /* checks it */
    json_decref(value);
    return value != NULL;
}

/* Sets a shell variable to bytes that are not UTF-8. The x keeps newlines at the end. */
static void assign_octal(struct tt_buf *script, const char *name, const char *bytes)
{
    tt_buf_format(script, "%s=$(printf '", name);
    for (; *bytes; bytes++)
        tt_buf_format(script, "\\%03o", (unsigned char)*bytes);
    tt_buf_format(script, "x'); %s=${%s%%x}; ", name, name);
}

static void add_vars(const struct tt_command *command, struct tt_buf *script, json_t *vars)
{
    for (size_t i = 0; i < command->var_count; i++) {
        const struct tt_var *var = &command->vars[i];
        char *pair = tt_format("%s=%s", var->name, var->value);
        if (is_utf8(var->value)) {
            json_array_append_new(vars, json_string(pair));
        } else if (script) {
            assign_octal(script, var->name, var->value);
            tt_buf_format(script, "export %s; ", var->name);
        }
        explicit_bzero(pair, strlen(pair));
        free(pair);
    }
}

/* A name that `cd` takes for a path whatever it is, and does not look up in CDPATH. */
static void enter(struct tt_buf *script, const char *cwd, const char *nonce)
{
    char *path = *cwd == '/' ? tt_strdup(cwd) : tt_format("./%s", cwd);
    if (is_utf8(path)) {
        tt_buf_text(script, "cd ");
        tt_quote(script, path, strlen(path));
    } else {
        assign_octal(script, "d", path);
        tt_buf_text(script, "cd \"$d\"");
    }
    tt_buf_format(script, " || { printf '\\036%s:C\\037' >&2; exit 126; }; ", nonce);
    free(path);
}

static char *const *words_of(const struct tt_command *command, char *shell_words[4])
{
    static char sh[] = "/bin/sh", c[] = "-c";
    if (!command->shell)
        return command->argv;
    shell_words[0] = sh;
    shell_words[1] = c;
    shell_words[2] = command->shell;
    shell_words[3] = NULL;
    return shell_words;
}

bool tx_shim_enters(const struct tt_command *command)
{
    return command->cwd && (*command->cwd != '/' || !is_utf8(command->cwd));
}

json_t *tx_shim_container(const struct tt_command *command, const char *nonce, json_t **vars)
{
    char *shell_words[4];
    char *const *words = words_of(command, shell_words);
    struct tt_buf script = {0}, run = {0};
    json_t *argv = json_array();
    *vars = json_array();
    add_vars(command, &script, *vars);
    if (tx_shim_enters(command))
        enter(&script, command->cwd, nonce);
    tt_buf_format(&script, "printf '\\036%s:P%%d %%d\\037' $$ $$ >&2; ", nonce);
    json_array_append_new(argv, json_string("/bin/sh"));
    json_array_append_new(argv, json_string("-c"));
    json_array_append_new(argv, json_null()); /* the script's place */
    json_array_append_new(argv, json_string("sh"));
    tt_buf_text(&run, "exec");
    for (size_t i = 0, at = 1; words[i]; i++) {
        if (is_utf8(words[i])) {
            json_array_append_new(argv, json_string(words[i]));
            tt_buf_format(&run, " \"${%zu}\"", at++);
        } else {
            char *name = tt_format("w%zu", i);
            assign_octal(&script, name, words[i]);
            tt_buf_format(&run, " \"$%s\"", name);
            free(name);
        }
    }
    tt_buf_text(&script, run.data);
    json_array_set_new(argv, 2, json_string(script.data));
    tt_buf_free(&script);
    tt_buf_free(&run);
    return argv;
}

int tx_shim_none(const struct tt_command *command, json_t **argv, json_t **vars,
                 struct tt_error **err)
{
    char *shell_words[4];
    char *const *words = words_of(command, shell_words);
    bool sendable = !tx_shim_enters(command);
    *argv = json_array();
    *vars = json_array();
    add_vars(command, NULL, *vars);
    for (size_t i = 0; words[i]; i++)
        if (json_array_append_new(*argv, json_string(words[i])) < 0)
            sendable = false;
    if (sendable && json_array_size(*vars) == command->var_count)
        return 0;
    json_decref(*argv);
    json_decref(*vars);
    *argv = *vars = NULL;
    return tt_fail(
        err, TT_UNSUPPORTED,
        "the image has no /bin/sh: a relative cwd and bytes that are not UTF-8 need one");
}
