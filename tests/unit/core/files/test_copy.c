/* Copying trees between environments; both ends here are this machine, through classes that also
 * misbehave. */
#include "files_support.h"

#include <time.h>

static struct tt_op *copy(const char *from, const char *to)
{
    return tt_copy(env, in_dir(from), env, in_dir(to), scope);
}

static void trees_arrive_identical(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p t/.hidden/deep t/empty 't/with space'; echo hi > t/.dot;"
                   "echo x > 't/with space/a\nb'; printf '' > t/zero; chmod 4751 t/.dot;"
                   "head -c 3000001 /dev/urandom > t/large; chmod 640 t/large;"
                   "ln -s .dot t/link; ln -s nowhere t/dangling; ln -s ../../t t/.hidden/up;"
                   "echo r > t/.hidden/deep/r; chmod 555 t/.hidden/deep; chmod 1777 t/empty");
    succeeds(copy("t", "made/parents/c"));
    shell_succeeds("diff -r --no-dereference t made/parents/c");
    static const char listing[] =
        "(cd t; find . -printf '%p %m %y %l %s\\n' | grep -v ' d ' | sort) > l1;"
        "(cd made/parents/c; find . -printf '%p %m %y %l %s\\n' | grep -v ' d ' | sort) > l2;"
        "(cd t; find . -type d -printf '%p %m\\n' | sort) >> l1;"
        "(cd made/parents/c; find . -type d -printf '%p %m\\n' | sort) >> l2; diff l1 l2";
    shell_succeeds(listing);
    shell_succeeds("! find made -name '.tutti-*' | grep .");
    /* merging: adds and replaces, never deletes */
    shell_succeeds(
        "chmod -R u+w made; echo own > made/parents/c/own; echo old > made/parents/c/.dot");
    succeeds(copy("t", "made/parents/c"));
    content_is("made/parents/c/own", "own\n");
    content_is("made/parents/c/.dot", "hi\n");
}

static void one_file(void **state)
{
    (void)state;
    put("f", "text");
    chmod(in_dir("f"), 0604);
    link_to("f", "l");
    succeeds(copy("l", "g"));
    content_is("g", "text");
    assert_int_equal(mode_of("g"), 0604);
    shell_succeeds("test ! -L g");
    succeeds(copy("f", "f"));
    content_is("f", "text");
    succeeds(tt_copy(env, in_dir("f"), env, "/dev/null", scope)); /* nothing to compare there */
    /* what claims to be empty and is not */
    succeeds(tt_copy(env, "/proc/self/status", env, in_dir("status"), scope));
    shell_succeeds("grep -q Pid: status");
}

static void thousands_of_files(void **state)
{
    (void)state;
    shell_succeeds("mkdir t; cd t; for d in $(seq 20); do mkdir $d; for f in $(seq 100); do"
                   " echo $d $f > $d/$f; done; done");
    succeeds(copy("t", "c"));
    shell_succeeds("diff -r t c");
}

static void refusals(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p t/d; mkfifo t/d/pipe; echo x > f; mkdir dir");
    fails(copy("none", "x"), TT_NOT_FOUND, "none: there is no such file");
    fails(copy("t", "c"), TT_UNSUPPORTED, "pipe cannot be copied");
    fails(copy("t", "t/d/e"), TT_INVALID, "into itself");
    fails(copy("t/", "t/d"), TT_INVALID, "into itself");
    fails(copy("f", "dir"), TT_IO, "Is a directory");
    fails(copy("f", "none/f"), TT_NOT_FOUND, "none/f");
    fails(copy("dir", "f"), TT_NOT_FOUND, "Not a directory");
}

/* --- a destination that damages what it gets, or cannot tell --- */

static struct tt_op *wrong_digest(struct tt_env *e, struct tt_scope *s, const char *path)
{
    (void)path;
    return tx_local_files.digest(e, s, "/dev/null");
}

static struct tt_op *no_digest(struct tt_env *e, struct tt_scope *s, const char *path)
{
    (void)path;
    return tt_file_unsupported(e, s, "a checksum");
}

static void checksums_are_compared(void **state)
{
    (void)state;
    put("f", "text");
    struct tt_file_class files = tx_local_files;
    struct tt_env_class class_ = {.kind = "odd", .files = &files, .free = env_free};
    struct tt_env *odd = env_with(&class_);
    files.open_write = open_uncompared;
    files.digest = wrong_digest;
    fails(tt_copy(env, in_dir("f"), odd, in_dir("g"), scope), TT_IO, "arrived damaged");
    files.digest = no_digest;
    succeeds(tt_copy(env, in_dir("f"), odd, in_dir("g"), scope));
    /* a large one is hashed after it moved, on both sides */
    shell_succeeds("head -c 40000000 /dev/urandom > large");
    files.digest = tx_local_files.digest;
    succeeds(tt_copy(env, in_dir("large"), odd, in_dir("copy"), scope));
    shell_succeeds("cmp large copy");
    files.digest = wrong_digest;
    fails(tt_copy(env, in_dir("large"), odd, in_dir("copy"), scope), TT_IO, "arrived damaged");
    settle();
    tt_env_release(odd);
}

static void cancelled_in_the_middle(void **state)
{
    (void)state;
    shell_succeeds("mkdir t; cd t; for d in $(seq 50); do head -c 300000 /dev/zero > $d; done");
    for (int steps = 0; steps < 60; steps += 7) {
        struct tt_scope *inner = tt_scope_new(loop, scope);
        struct tt_op *op = tt_copy(env, in_dir("t"), env, in_dir("c"), inner);
        for (int i = 0; i < steps; i++) {
            struct tt_op *pause = tt_sleep(scope, 0);
            tt_op_release(await(pause));
        }
        struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
        tt_scope_cancel(inner, why);
        tt_error_free(why);
        await(op);
        assert_true(!op->error || op->error->kind == TT_CANCELLED);
        tt_op_release(op);
        tt_scope_release(inner);
        settle();
        shell_succeeds("! find . -name '.tutti-*' | grep .");
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(trees_arrive_identical), T(one_file),
        T(thousands_of_files),     T(refusals),
        T(checksums_are_compared), T(cancelled_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
