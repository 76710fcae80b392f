/* For unit tests of files: a loop, a scratch directory, and an environment that has the files of
 * this machine and nothing else. */
#ifndef FILES_SUPPORT_H
#define FILES_SUPPORT_H

#include "core/base/alloc.h"
#include "core/files/fd_file.h"
#include "executors/local/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAYBE __attribute__((unused)) /* not every test uses all of it */

static struct tt_loop *loop;
static struct tt_scope *scope;
static struct tt_env *env;
static char dir[] = "/tmp/tutti-unit-XXXXXX";

static void env_free(struct tt_env *old)
{
    free(old);
}

MAYBE static struct tt_env *env_with(const struct tt_env_class *class_)
{
    struct tt_env *made = tt_zalloc(sizeof *made);
    tt_env_init(made, class_, "local:", "local:");
    return made;
}

static int setup(void **state)
{
    static const struct tt_env_class class_ = {
        .kind = "local", .paths_are_here = true, .files = &tx_local_files, .free = env_free};
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tt_loop_new(&loop, TT_CLOCK_VIRTUAL, 1, NULL), 0);
    scope = tt_scope_new(loop, NULL);
    env = env_with(&class_);
    return 0;
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

/* Runs the loop until op is done. The caller still releases it. */
static struct tt_op *await(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    assert_true(tt_loop_run(loop, &done));
    return op;
}

/* Runs what is left until nothing is live. */
MAYBE static void settle(void)
{
    static const bool never = false;
    while (tt_loop_live_ops(loop) > 0 && tt_loop_run(loop, &never))
        continue;
}

/* The exit status of `sh -c line` in dir. */
static int shell(const char *line)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) == 0)
            execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

MAYBE static void shell_succeeds(const char *line)
{
    if (shell(line) != 0) {
        print_error("failed: %s\n", line);
        fail();
    }
}

static int teardown(void **state)
{
    (void)state;
    settle();
    assert_int_equal(tt_loop_live_ops(loop), 0);
    assert_int_equal(env->refs, 1);
    tt_env_release(env);
    tt_scope_release(scope);
    tt_loop_free(loop);
    shell_succeeds("chmod -R u+rwx . && rm -rf \"$PWD\"");
    return 0;
}

/* dir/name, in one of a few turning buffers. */
MAYBE static const char *in_dir(const char *name)
{
    static char paths[8][4200];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

MAYBE static void put(const char *name, const char *text)
{
    FILE *file = fopen(in_dir(name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

MAYBE static void make_dir(const char *name)
{
    assert_int_equal(mkdir(in_dir(name), 0755), 0);
}

MAYBE static void link_to(const char *target, const char *name)
{
    assert_int_equal(symlink(target, in_dir(name)), 0);
}

MAYBE static void content_is(const char *name, const char *text)
{
    char got[4096];
    FILE *file = fopen(in_dir(name), "r");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = 0;
    fclose(file);
    assert_string_equal(got, text);
}

MAYBE static bool there(const char *name)
{
    struct stat st;
    return lstat(in_dir(name), &st) == 0;
}

MAYBE static unsigned mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(in_dir(name), &st), 0);
    return st.st_mode & 07777;
}

MAYBE static void succeeds(struct tt_op *op)
{
    await(op);
    if (op->error) {
        char *text = tt_error_text(op->error);
        print_error("%s\n", text);
        free(text);
        fail();
    }
    tt_op_release(op);
}

/* Fails with that kind, the message containing `has`. */
MAYBE static void fails(struct tt_op *op, enum tt_kind kind, const char *has)
{
    await(op);
    assert_non_null(op->error);
    char *text = tt_error_text(op->error);
    if (op->error->kind != kind || !strstr(text, has)) {
        print_error("%s: %s (wanted %s: %s)\n", tt_kind_name(op->error->kind), text,
                    tt_kind_name(kind), has);
        fail();
    }
    free(text);
    tt_op_release(op);
}

/* For a class whose files do not compare what they write, as those elsewhere: a digest tells. */
MAYBE static int create_uncompared(struct tt_fd_file *file, struct tt_error **err)
{
    int rc = tt_fd_file_create(file, 0600, err);
    file->file.compares = false;
    return rc;
}

MAYBE static struct tt_op *open_uncompared(struct tt_env *e, struct tt_scope *s, const char *path,
                                           const struct tt_write_options *options)
{
    struct tt_fd_file *file = tt_fd_file_new(e, path);
    file->final = tt_strdup(path);
    file->mode = options->mode;
    file->size = options->size;
    return tt_fd_file_open(file, s, create_uncompared);
}

#endif
