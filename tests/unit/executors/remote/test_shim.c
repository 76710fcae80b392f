/* The shim, run by the shells of this machine: what arrives, what is reported, what is hidden. */
#include "core/base/alloc.h"
#include "core/base/quote.h"
#include "executors/remote/shim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char nonce[tx_nonce_size] = "0123456789abcdef";

struct outcome {
    struct tt_buf out, err; /* err without reports */
    char reports[32];       /* their letters */
    struct tx_report last_run, last_exit;
    int status; /* of waitpid */
};

static void slurp(FILE *file, struct tt_buf *into)
{
    char chunk[4096];
    fseek(file, 0, SEEK_SET);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        tt_buf_add(into, chunk, n);
    fclose(file);
}

static void take_reports(struct outcome *o, const struct tt_buf *raw)
{
    struct tx_reports reports = {0};
    memcpy(reports.nonce, nonce, sizeof nonce);
    struct tx_report report;
    size_t count = 0;
    for (size_t i = 0; i < raw->length; i++) { /* byte by byte: every split */
        bool more = tx_reports_next(&reports, raw->data + i, 1, &o->err, &report);
        for (; more; more = tx_reports_next(&reports, NULL, 0, &o->err, &report)) {
            o->reports[count++] = report.what;
            if (report.what == 'P')
                o->last_run = report;
            if (report.what == 'X')
                o->last_exit = report;
        }
    }
    tx_reports_end(&reports, &o->err);
}

/* The shell stands for the login shell: `shell -c line` with the header and the input on stdin. */
static struct outcome run(char *const *shell, const struct tt_command *command, bool is_sh,
                          const char *input)
{
    struct tx_shim shim;
    struct tx_shim_options options = {.nonce = nonce, .shell_is_sh = is_sh, .report_shell = !is_sh};
    assert_int_equal(tx_shim_build(&shim, command, &options, NULL), 0);
    struct outcome o = {0};
    FILE *out = tmpfile(), *err = tmpfile();
    int in[2];
    assert_int_equal(pipe(in), 0);
    char *argv[8] = {0};
    int n = 0;
    for (; shell[n]; n++)
        argv[n] = shell[n];
    argv[n++] = "-c";
    argv[n++] = shim.line;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        dup2(in[0], 0);
        dup2(fileno(out), 1);
        dup2(fileno(err), 2);
        close(in[0]);
        close(in[1]);
        setenv("SHELL", shell[0], 1);
        execvp(argv[0], argv);
        _exit(99);
    }
    close(in[0]);
    signal(SIGPIPE, SIG_IGN);
    if (shim.header.length)
        assert_int_equal(write(in[1], shim.header.data, shim.header.length), shim.header.length);
    if (input)
        assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    close(in[1]);
    waitpid(pid, &o.status, 0);
    struct tt_buf raw = {0};
    slurp(out, &o.out);
    slurp(err, &raw);
    take_reports(&o, &raw);
    tt_buf_free(&raw);
    tx_shim_clear(&shim);
    return o;
}

static void clear(struct outcome *o)
{
    tt_buf_free(&o->out);
    tt_buf_free(&o->err);
}

static char *sh[] = {"/bin/sh", NULL}, *bash[] = {"/bin/bash", NULL},
            *busybox[] = {"/bin/busybox", "sh", NULL};
static char *const *const shells[] = {sh, bash, busybox};

/* Both deliveries in each shell that is here: as the line itself, and through the loader. */
static void each(const struct tt_command *command, const char *input,
                 void (*check)(const struct outcome *o))
{
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (access(shells[i][0], X_OK) != 0)
            continue;
        for (int is_sh = 0; is_sh < 2; is_sh++) {
            struct outcome o = run(shells[i], command, is_sh, input);
            check(&o);
            clear(&o);
        }
    }
}

static void assert_text(const struct tt_buf *buf, const char *text)
{
    assert_string_equal(buf->data ? buf->data : "", text);
}

static void check_line(const struct outcome *o)
{
    assert_text(&o->out, "in:line\nout\n");
    assert_text(&o->err, "err\n");
    assert_string_equal(o->reports, "PX");
    assert_true(o->last_run.pid > 1);
    assert_int_equal(o->last_run.group, o->last_run.pid);
    assert_int_equal(o->last_exit.code, 3);
}

static void test_line(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "read x; echo in:$x; echo out; echo err >&2; exit 3"};
    each(&c, "line\n", check_line);
}

static void check_replaced(const struct outcome *o)
{
    assert_text(&o->out, "replaced\n");
    assert_text(&o->err, "");
    assert_string_equal(o->reports, "PX");
    assert_int_equal(o->last_exit.code, 0);
}

/* A line that takes the shell away is still reported. */
static void test_exec_and_trap(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "exec echo replaced"};
    each(&c, NULL, check_replaced);
    c.shell = "trap 'echo replaced' EXIT";
    each(&c, NULL, check_replaced);
}

static void check_own_pid_killed(const struct outcome *o)
{
    assert_string_equal(o->reports, "P");
    assert_text(&o->out, "before\n");
    assert_true(WIFSIGNALED(o->status));
    assert_int_equal(WTERMSIG(o->status), SIGKILL);
}

static void test_own_pid(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "echo before; kill -9 $$; echo after"};
    each(&c, NULL, check_own_pid_killed);
}

/* Every byte but NUL, as an argument and as a variable's value. */
static char *all_bytes(void)
{
    struct tt_buf all = {0};
    tt_buf_text(&all, "-n $(touch x) `y` 'q' \"d\" \\ !! \n\n");
    for (int i = 1; i < 256; i++) {
        char c = (char)i;
        tt_buf_add(&all, &c, 1);
    }
    tt_buf_text(&all, "\\\n\n");
    return tt_buf_take(&all);
}

static void check_all_bytes(const struct outcome *o)
{
    char *all = all_bytes();
    assert_int_equal(o->out.length, strlen(all));
    assert_memory_equal(o->out.data, all, strlen(all));
    assert_string_equal(o->reports, "PX");
    assert_int_equal(o->last_exit.code, 0);
    free(all);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    char *all = all_bytes();
    char *argv[] = {"printf", "%s", all, NULL};
    struct tt_command c = {.argv = argv};
    each(&c, NULL, check_all_bytes);
    c = (struct tt_command){.shell = "printf %s \"$V\""};
    tt_command_set_var(&c, "V", all);
    each(&c, NULL, check_all_bytes);
    c.shell = "printenv V | { IFS=; x=$(cat; echo _); x=${x%_}; printf %s \"${x%?}\"; }";
    each(&c, NULL, check_all_bytes);
    c.shell = NULL;
    tt_command_clear(&c);
    struct tt_buf line = {0};
    tt_buf_text(&line, "printf %s ");
    tt_quote(&line, all, strlen(all));
    c = (struct tt_command){.shell = line.data};
    each(&c, NULL, check_all_bytes);
    tt_buf_free(&line);
    free(all);
}

static void check_input(const struct outcome *o)
{
    assert_text(&o->out, "one\ntwo\n");
    assert_int_equal(o->last_exit.code, 0);
}

/* The header takes no byte of the command's own input. */
static void test_input_after_header(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "cat"};
    tt_command_set_var(&c, "A", "1");
    each(&c, "one\ntwo\n", check_input);
    c.shell = NULL;
    tt_command_clear(&c);
}

static void check_bad_cwd(const struct outcome *o)
{
    assert_text(&o->out, "");
    assert_string_equal(o->reports, "SC");
    assert_non_null(strstr(o->err.data, "/nonexistent"));
}

static void check_cwd(const struct outcome *o)
{
    assert_text(&o->out, "/usr\n");
    assert_string_equal(o->reports, "SPX");
}

static void test_cwd(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "echo ran", .cwd = "/nonexistent/a b"};
    each(&c, NULL, check_bad_cwd);
    c = (struct tt_command){.shell = "pwd", .cwd = "/usr"};
    tt_command_set_var(&c, "CDPATH", "/tmp");
    each(&c, NULL, check_cwd);
    c.shell = c.cwd = NULL;
    tt_command_clear(&c);
}

static void check_not_found(const struct outcome *o)
{
    assert_string_equal(o->reports, "PX");
    assert_int_equal(o->last_exit.code, 127);
}

static void check_dash_word(const struct outcome *o)
{
    assert_int_equal(o->last_exit.code, 127);
}

static void test_not_found(void **state)
{
    (void)state;
    char *argv[] = {"no such command", NULL}, *dash[] = {"-c", "echo x", NULL};
    struct tt_command c = {.argv = argv};
    each(&c, NULL, check_not_found);
    c.argv = dash;
    each(&c, NULL, check_dash_word);
}

static void check_syntax(const struct outcome *o)
{
    assert_string_equal(o->reports, "PX");
    assert_int_equal(o->last_exit.code, 2);
    assert_true(o->err.length > 0);
}

static void test_syntax_error(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "if then ("};
    struct outcome o = run(sh, &c, true, NULL);
    check_syntax(&o);
    clear(&o);
}

static void check_grandchild(const struct outcome *o)
{
    assert_string_equal(o->reports, "PX");
    assert_int_equal(o->last_exit.code, 0);
}

static void test_background(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "sleep 1 & echo started"};
    each(&c, NULL, check_grandchild);
}

/* TERM to the group ends the command, and what it does on the way is still observed. */
static void test_term_is_observed(void **state)
{
    (void)state;
    char *argv[] = {"/bin/sh", "-c", "trap 'echo bye; exit 5' TERM; kill -TERM -$PPID; wait", NULL};
    struct tt_command c = {.argv = argv};
    struct outcome o = run(sh, &c, true, NULL);
    assert_text(&o.out, "bye\n");
    assert_int_equal(o.last_exit.code, 5);
    clear(&o);
}

static void test_is_secret(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "true", .user = "someone", .password = "hunter2"};
    tt_command_set_var(&c, "TOKEN", "hunter3");
    for (int is_sh = 0; is_sh < 2; is_sh++) {
        struct tx_shim shim;
        struct tx_shim_options options = {.nonce = nonce, .shell_is_sh = is_sh};
        assert_int_equal(tx_shim_build(&shim, &c, &options, NULL), 0);
        assert_null(strstr(shim.line, "hunter"));
        assert_null(strstr(shim.header.data, "hunter2"));
        assert_true(shim.header_on_ready);
        tx_shim_clear(&shim);
        c.user = is_sh ? c.user : "someone";
    }
    c.shell = c.user = c.password = NULL;
    tt_command_clear(&c);
}

static void test_own_command_line_is_no_report(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "tr '\\0' '\\n' </proc/$$/cmdline >&2"};
    struct outcome o = run(sh, &c, true, NULL);
    assert_string_equal(o.reports, "PX");
    assert_non_null(strstr(o.err.data, nonce));
    clear(&o);
}

static void test_refused(void **state)
{
    (void)state;
    struct tt_command c = {.shell = "true", .user = "root", .pty = true};
    struct tx_shim shim;
    struct tx_shim_options options = {.nonce = nonce};
    assert_int_equal(tx_shim_build(&shim, &c, &options, NULL), -TT_UNSUPPORTED);
}

static void test_reports_in_data(void **state)
{
    (void)state;
    struct tx_reports reports = {0};
    memcpy(reports.nonce, nonce, sizeof nonce);
    struct tt_buf out = {0};
    struct tx_report report;
    const char text[] = "a\0360123456789abcdeX:b\036\036c\0360123456789abcdef:X7\037tail\036012";
    size_t length = sizeof text - 1;
    assert_true(tx_reports_next(&reports, text, length, &out, &report));
    assert_int_equal(report.what, 'X');
    assert_int_equal(report.code, 7);
    assert_text(&out, "a\0360123456789abcdeX:b\036\036c");
    assert_false(tx_reports_next(&reports, NULL, 0, &out, &report));
    tx_reports_end(&reports, &out);
    assert_text(&out, "a\0360123456789abcdeX:b\036\036ctail\036012");
    tt_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_exec_and_trap),
        cmocka_unit_test(test_own_pid),
        cmocka_unit_test(test_hostile_bytes),
        cmocka_unit_test(test_input_after_header),
        cmocka_unit_test(test_cwd),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_syntax_error),
        cmocka_unit_test(test_background),
        cmocka_unit_test(test_term_is_observed),
        cmocka_unit_test(test_is_secret),
        cmocka_unit_test(test_own_command_line_is_no_report),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_reports_in_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
