#include "executors/remote/shim_pod.h"

#include "core/base/quote.h"

#include <string.h>

/* Caught by shells that only wait, so that a signal to the group ends the command and not its
 * observer; what a shell starts has the defaults again. */
#define CAUGHT "trap : HUP INT QUIT ABRT ALRM TERM USR1 USR2 PIPE;"

/* Reads the header up to the nonce. */
static void add_loader(struct tt_buf *out, const char *nonce)
{
    tt_buf_format(out,
                  "h=;N='\n';"
                  "while IFS= read -r l;do [ \"$l\" = %s ]&&break;h=$h$l$N;done;"
                  "[ \"$l\" = %s ]||exit 1;",
                  nonce, nonce);
}

/* Feeds stdin and guards: its own stdin ending before "e" means that the connection did. It ignores
 * signals: one that it caught would look to `read` like that end. */
static const char feeder[] =
    "f(){ trap '' HUP INT QUIT ABRT ALRM TERM USR1 USR2 PIPE;while read -r n;do case $n in e)exit "
    "0;;0)exec >/dev/null;;"
    "*)dd bs=\"$n\" count=1 iflag=fullblock 2>/dev/null;;esac;done;kill -KILL -$$;};";

char *tx_shim_pod_line(const char *nonce, const struct tt_command *command, bool stays)
{
    struct tt_buf out = {0};
    if (command->pty) {
        tt_buf_format(&out, "stty -echo -icanon;printf '\\036%s:R\\037' >&2;", nonce);
        add_loader(&out, nonce);
        tt_buf_text(&out, "stty echo icanon;unset l N;eval \"unset h;$h\"");
        return tt_buf_take(&out);
    }
    tt_buf_text(&out, CAUGHT);
    tt_buf_text(&out, feeder);
    add_loader(&out, nonce);
    if (command->stdin_open)
        tt_buf_format(&out,
                      "command -v dd >/dev/null||{ echo 'stdin needs dd in the image' >&2;"
                      "printf '\\036%s:C\\037' >&2;exit 1;};"
                      "f|{ " CAUGHT
                      "exec 9>&2 2>/dev/null;(exec 2>&9 9>&-;eval \"unset h l N;$h\");"
                      "printf '\\036%s:X%%s\\037' $? >&9;}",
                      nonce, nonce);
    else
        tt_buf_format(&out,
                      "exec 8<&0 9>&2 </dev/null 2>/dev/null;f <&8 >/dev/null 9>&- &\n"
                      "(exec 2>&9 8<&- 9>&-;eval \"unset h l N;$h\");"
                      "printf '\\036%s:X%%s\\037' $? >&9;%s",
                      nonce, stays ? "wait" : "kill -KILL $!");
    return tt_buf_take(&out);
}

static void add_quoted(struct tt_buf *out, const char *text)
{
    tt_quote(out, text, strlen(text));
}

void tx_shim_pod_header(struct tt_buf *out, const char *nonce, const struct tt_command *command)
{
    if (command->cwd) {
        tt_buf_text(out, "CDPATH= cd -- ");
        if (strcmp(command->cwd, "-") == 0)
            tt_buf_text(out, "./");
        add_quoted(out, command->cwd);
        tt_buf_format(out, " >/dev/null||{ printf '\\036%s:C\\037' >&2;exit 1;};", nonce);
    }
    for (size_t i = 0; i < command->var_count; i++) {
        tt_buf_format(out, "export %s=", command->vars[i].name);
        add_quoted(out, command->vars[i].value);
        tt_buf_text(out, ";");
    }
    /* the shim itself is the group's leader */
    tt_buf_format(out, "printf '\\036%s:P%%s %%s\\037' $$ $$ >&2;", nonce);
    if (command->shell) {
        tt_buf_text(out, "exec /bin/sh -c ");
        add_quoted(out, command->shell);
    } else {
        tt_buf_text(out, command->argv[0][0] == '-' ? "command --" : "exec");
        for (char *const *word = command->argv; *word; word++) {
            tt_buf_text(out, " ");
            add_quoted(out, *word);
        }
    }
    tt_buf_format(out, "\n%s\n", nonce);
}

void tx_shim_pod_input(struct tt_buf *out, const void *bytes, size_t length, bool pty)
{
    if (!length)
        return;
    if (!pty)
        tt_buf_format(out, "%zu\n", length);
    tt_buf_add(out, bytes, length);
}

void tx_shim_pod_input_end(struct tt_buf *out, bool pty)
{
    tt_buf_text(out, pty ? "\004" : "0\n");
}

void tx_shim_pod_release(struct tt_buf *out, bool pty)
{
    tt_buf_text(out, pty ? "" : "e\n");
}
