#include "executors/remote/shim.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/quote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A line longer than this goes as header: an argument ends at 128 KiB, libssh2's packet at 32. */
enum { max_inline = 24000, max_report = 64 };

/* Caught by a shell that only waits for the command, so that a signal to the group ends the command
 * and not its observer; a child starts with the defaults again. */
static const char caught[] = "trap : HUP INT QUIT ABRT ALRM TERM USR1 USR2 PIPE;";

static void quoted(struct tt_buf *out, const char *text)
{
    tt_quote(out, text, strlen(text));
}

static void report(struct tt_buf *out, const char *nonce, const char *what, const char *args)
{
    tt_buf_format(out, "printf \"\\036%s:%s\\037\"%s", nonce, what, args);
}

/* --- parts of the script --- */

static void add_cd(struct tt_buf *out, const char *nonce, const char *cwd)
{
    tt_buf_text(out, "CDPATH= cd -- ");
    if (strcmp(cwd, "-") == 0)
        tt_buf_text(out, "./");
    quoted(out, cwd);
    tt_buf_text(out, ">/dev/null||{ ");
    report(out, nonce, "C", ">&2");
    tt_buf_text(out, ";exit 1;};");
}

static void add_exports(struct tt_buf *out, const struct tt_command *command)
{
    for (size_t i = 0; i < command->var_count; i++) {
        tt_buf_format(out, "export %s=", command->vars[i].name);
        if (*command->vars[i].value)
            quoted(out, command->vars[i].value);
        tt_buf_text(out, ";");
    }
}

static void add_argv(struct tt_buf *out, char *const *argv)
{
    /* dash's exec knows no `--`; a word like `-c` must not become an option of another shell's */
    tt_buf_text(out, argv[0][0] == '-' ? "command --" : "exec");
    for (; *argv; argv++) {
        tt_buf_text(out, " ");
        quoted(out, *argv);
    }
}

static void add_running(struct tt_buf *out, const struct tx_shim_options *o, const char *to)
{
    const char *group = "\"$$\"";
    if (o->report_group) {
        tt_buf_text(out, "read -r a b c d g a </proc/$$/stat;");
        group = "\"$g\"";
    }
    if (o->report_shell)
        tt_buf_text(out, "a=0;case $SHELL in */sh|*/dash|*/ash)"
                         "[ \"$SHELL\" -ef /bin/sh ]&&a=1;;esac;");
    tt_buf_format(out, "printf \"\\036%s:P%%s %%s %%s\\037\" \"$$\" %s %s>&%s;", o->nonce, group,
                  o->report_shell ? "\"$a\"" : "", to);
    if (o->report_group || o->report_shell)
        tt_buf_text(out, "unset a b c d g;");
}

/* In the shell itself, its end reported by a trap. Not for lines that could lose the trap. */
static void add_line_here(struct tt_buf *out, const struct tt_command *command,
                          const struct tx_shim_options *o)
{
    tt_buf_text(out, "trap '");
    report(out, o->nonce, "X%s", " \"$?\">&2' 0;");
    add_running(out, o, "2");
    tt_buf_text(out, "eval ");
    quoted(out, command->shell);
}

/* In a child, whose end the shell waits for. */
static void add_child(struct tt_buf *out, const struct tt_command *command,
                      const struct tx_shim_options *o)
{
    tt_buf_text(out, caught);
    tt_buf_text(out, "exec 9>&2 2>/dev/null;"); /* its own "Terminated" is nobody's output */
    add_running(out, o, "9");
    tt_buf_text(out, "(exec 2>&9 9>&-;");
    if (command->argv) {
        add_argv(out, command->argv);
    } else {
        tt_buf_text(out, "exec /bin/sh -c ");
        quoted(out, command->shell);
    }
    tt_buf_text(out, ");");
    report(out, o->nonce, "X%s", " \"$?\">&9");
}

/* For the other user: the outer launcher reports the end. */
static void add_replaced(struct tt_buf *out, const struct tt_command *command,
                         const struct tx_shim_options *o)
{
    add_running(out, o, "2");
    if (command->argv) {
        add_argv(out, command->argv);
    } else {
        tt_buf_text(out, "exec /bin/sh -c ");
        quoted(out, command->shell);
    }
}

/* Whether the line may take the shell away from the trap, or a variable would change how the shell
 * reads it. Erring to true costs a process. */
static bool needs_child(const struct tt_command *command)
{
    if (!command->shell || command->pty || strstr(command->shell, "exec") ||
        strstr(command->shell, "trap") || strstr(command->shell, "set"))
        return true;
    for (size_t i = 0; i < command->var_count; i++) {
        const char *name = command->vars[i].name;
        if (strcmp(name, "IFS") == 0 || strcmp(name, "PS4") == 0 || strcmp(name, "OPTIND") == 0)
            return true;
    }
    return false;
}

/* What runs once everything has arrived. */
static void add_body(struct tt_buf *out, const struct tt_command *command,
                     const struct tx_shim_options *o, bool loaded, bool inner)
{
    if (loaded)
        tt_buf_text(out, "unset h l N;");
    if (loaded && command->pty)
        tt_buf_text(out, "stty echo icanon isig iexten icrnl ixon;");
    if (command->cwd) {
        report(out, o->nonce, "S%s", " \"$$\">&2;");
        add_cd(out, o->nonce, command->cwd);
    }
    add_exports(out, command);
    if (inner)
        add_replaced(out, command, o);
    else if (needs_child(command))
        add_child(out, command, o);
    else
        add_line_here(out, command, o);
}

/* Reads the header up to the nonce and runs it; a header of one line without finding out what a
 * newline is, which costs a process. Without single quotes, newlines, `!` and doubled backslashes,
 * so that every login shell passes it on as it is. */
static void add_loader(struct tt_buf *out, const char *nonce, bool one_line, bool say_ready)
{
    if (say_ready) {
        report(out, nonce, "R", ">&2");
        tt_buf_text(out, ";");
    }
    if (one_line)
        tt_buf_format(out, "IFS= read -r h;IFS= read -r l;[ \"$l\" = %s ]||exit 1;eval \"$h\"",
                      nonce);
    else
        tt_buf_format(out,
                      "h=;N=$(printf \"\\n_\");N=${N%%_};"
                      "while IFS= read -r l;do [ \"$l\" = %s ]&&break;h=$h$l$N;done;"
                      "[ \"$l\" = %s ]||exit 1;eval \"$h\"",
                      nonce, nonce);
}

static bool is_one_line(const struct tt_buf *body)
{
    return !memchr(body->data, '\n', body->length);
}

/* Runs the loader as the other user, and reports how that ended. */
static void add_sudo(struct tt_buf *out, const struct tt_command *command, const char *nonce,
                     bool one_line)
{
    char *user = tt_strdup(command->user);
    char *group = strchr(user, ':');
    if (group)
        *group++ = '\0';
    tt_buf_text(out, caught);
    report(out, nonce, "S%s", " \"$$\">&2;");
    if (command->password) {
        tt_buf_text(out, "p=$(");
        report(out, nonce, "?", ");sudo -S -p \"$p\"");
    } else {
        tt_buf_text(out, "sudo -n");
    }
    tt_buf_text(out, " -H -u ");
    quoted(out, user);
    if (group) {
        tt_buf_text(out, " -g ");
        quoted(out, group);
    }
    tt_buf_text(out, " -- /bin/sh -c '");
    add_loader(out, nonce, one_line, true);
    tt_buf_text(out, "';");
    report(out, nonce, "X%s", " \"$?\">&2");
    free(user);
}

/* --- how it is sent --- */

static void end_header(struct tt_buf *header, const char *nonce)
{
    tt_buf_format(header, "\n%s\n", nonce);
}

/* The line that starts the loader under any login shell. */
static char *loader_line(const struct tx_shim_options *o, bool one_line)
{
    struct tt_buf line = {0};
    if (!o->shell_is_sh)
        tt_buf_text(&line, "exec /bin/sh -c '");
    add_loader(&line, o->nonce, one_line, false);
    if (!o->shell_is_sh)
        tt_buf_text(&line, "'");
    return tt_buf_take(&line);
}

static void build_for_user(struct tx_shim *shim, const struct tt_command *command,
                           const struct tx_shim_options *o)
{
    struct tx_shim_options inner = *o;
    inner.report_group = true; /* sudo may or may not give it a group of its own */
    inner.report_shell = false;
    add_body(&shim->header, command, &inner, true, true);
    bool one_line = is_one_line(&shim->header);
    end_header(&shim->header, o->nonce);
    shim->header_on_ready = true;
    struct tt_buf line = {0};
    /* A fixed text but for names that were checked: `$` in a user's name is quoted by tt_quote, and
     * then this text needs a real /bin/sh to pass through any login shell. */
    struct tt_buf script = {0};
    add_sudo(&script, command, o->nonce, one_line);
    tt_buf_add(&script, "", 1);
    if (!o->shell_is_sh) {
        tt_buf_text(&line, "exec /bin/sh -c ");
        quoted(&line, script.data);
    } else {
        tt_buf_text(&line, script.data);
    }
    tt_buf_free(&script);
    shim->line = tt_buf_take(&line);
}

int tx_shim_build(struct tx_shim *shim, const struct tt_command *command,
                  const struct tx_shim_options *options, struct tt_error **err)
{
    *shim = (struct tx_shim){0};
    if (command->user && command->pty)
        return tt_fail(err, TT_UNSUPPORTED, "a pty for another user is not supported here");
    if (command->user) {
        build_for_user(shim, command, options);
        return 0;
    }
    struct tt_buf body = {0};
    if (options->shell_is_sh && command->var_count == 0) {
        add_body(&body, command, options, false, false);
        if (body.length <= max_inline) {
            shim->line = tt_buf_take(&body);
            return 0;
        }
        tt_buf_free(&body);
    }
    add_body(&shim->header, command, options, true, false);
    bool one_line = is_one_line(&shim->header);
    end_header(&shim->header, options->nonce);
    shim->line = loader_line(options, one_line);
    return 0;
}

void tx_shim_clear(struct tx_shim *shim)
{
    if (shim->header.data)
        explicit_bzero(shim->header.data, shim->header.length);
    tt_buf_free(&shim->header);
    free(shim->line);
    *shim = (struct tx_shim){0};
}

int tx_shim_nonce(char nonce[tx_nonce_size], struct tt_error **err)
{
    /* the system's numbers: a command that could guess its nonce could forge the shim's report */
    unsigned char bytes[(tx_nonce_size - 1) / 2];
    if (TT_FAULT("shim.random") || getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return tt_fail(err, TT_IO, "the system has no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++) {
        nonce[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        nonce[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    nonce[tx_nonce_size - 1] = '\0';
    return 0;
}

/* --- reports --- */

static const char *read_number(const char *at, const char *end, int64_t *value)
{
    *value = 0;
    while (at < end && *at == ' ')
        at++;
    for (; at < end && *at >= '0' && *at <= '9' && *value < INT64_MAX / 100; at++)
        *value = *value * 10 + (*at - '0');
    return at;
}

/* The report's text, between the colon and the end mark. */
static void read_report(struct tx_report *report, const char *at, const char *end)
{
    int64_t first = 0, second = 0, third = 0;
    *report = (struct tx_report){.what = at < end ? *at : '\0'};
    at = read_number(at < end ? at + 1 : end, end, &first);
    at = read_number(at, end, &second);
    read_number(at, end, &third);
    if (report->what == 'X')
        report->code = first <= 255 ? (int)first : -1;
    else
        report->pid = first;
    report->group = second;
    report->shell_is_sh = third == 1;
}

/* Whether these bytes are, or may become, a report: 1 yes, with where its text ends; 0 not yet to
 * be told; -1 no. */
static int is_report(const struct tx_reports *reports, const char *at, size_t length, size_t *end)
{
    char mark[tx_nonce_size + 1];
    size_t size = tx_nonce_size + 1;
    mark[0] = '\036';
    memcpy(mark + 1, reports->nonce, tx_nonce_size - 1);
    mark[size - 1] = ':';
    if (memcmp(at, mark, length < size ? length : size) != 0)
        return -1;
    if (length < size)
        return 0;
    size_t within = length < max_report ? length : max_report;
    const char *stop = memchr(at + size, '\037', within - size);
    if (!stop)
        return length < max_report ? 0 : -1;
    *end = (size_t)(stop - at);
    return 1;
}

bool tx_reports_next(struct tx_reports *reports, const char *bytes, size_t length,
                     struct tt_buf *out, struct tx_report *report)
{
    struct tt_buf *held = &reports->held;
    if (!held->length && length && !memchr(bytes, '\036', length)) {
        tt_buf_add(out, bytes, length);
        return false;
    }
    if (length)
        tt_buf_add(held, bytes, length);
    size_t at = 0;
    while (at < held->length) {
        const char *mark = memchr(held->data + at, '\036', held->length - at);
        size_t plain = mark ? (size_t)(mark - held->data) - at : held->length - at;
        tt_buf_add(out, held->data + at, plain);
        at += plain;
        if (!mark)
            break;
        size_t end = 0;
        int is = is_report(reports, mark, held->length - at, &end);
        if (is == 0)
            break;
        if (is > 0) {
            read_report(report, mark + tx_nonce_size + 1, mark + end);
            tt_buf_drop(held, at + end + 1);
            return true;
        }
        tt_buf_add(out, mark, 1);
        at++;
    }
    tt_buf_drop(held, at);
    return false;
}

void tx_reports_end(struct tx_reports *reports, struct tt_buf *out)
{
    if (reports->held.length)
        tt_buf_add(out, reports->held.data, reports->held.length);
    tt_buf_free(&reports->held);
}
