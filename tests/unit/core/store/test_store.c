/* The artifact store: collecting, choosing, laying out. */
#include "core/base/digest.h"
#include "core/store/store.h"
#include "tests/unit/core/files/files_support.h"

#include <signal.h>
#include <sys/resource.h>

static struct tt_store *store;

static int store_setup(void **state)
{
    setup(state);
    assert_int_equal(tt_store_open(&store, in_dir("state/run/store"), NULL), 0);
    make_dir("from");
    make_dir("to");
    return 0;
}

static int store_teardown(void **state)
{
    settle();
    shell_succeeds("! find . -name '.tutti-*' | grep .");
    tt_store_free(store);
    return teardown(state);
}

/* Patterns are separated by blanks. */
static struct tt_op *collect_from(struct tt_env *from, const char *root, const char *patterns)
{
    const char *list[8];
    size_t count = 0;
    char *copy = tt_strdup(patterns), *rest = copy;
    while ((list[count] = strtok_r(rest, " ", &rest)))
        count++;
    struct tt_op *op = tt_store_collect(store, scope, from, in_dir(root), list, count);
    free(copy);
    return op;
}

static struct tt_op *collect(const char *patterns)
{
    return collect_from(env, "from", patterns);
}

static char *names_of(const struct tt_artifacts *artifacts)
{
    char *names = tt_strdup("");
    for (size_t i = 0; i < artifacts->count; i++) {
        char *longer = tt_format("%s%s%s", names, i ? " " : "", artifacts->items[i].path);
        free(names);
        names = longer;
    }
    return names;
}

static struct tt_artifacts collected(const char *patterns, const char *expected)
{
    struct tt_op *op = await(collect(patterns));
    if (op->error) {
        print_error("%s: %s\n", patterns, op->error->message);
        fail();
    }
    struct tt_artifacts artifacts;
    tt_artifacts_copy(&artifacts, tt_artifacts_of(op));
    tt_op_release(op);
    char *names = names_of(&artifacts);
    assert_string_equal(names, expected);
    free(names);
    return artifacts;
}

static void collects(const char *patterns, const char *expected)
{
    struct tt_artifacts artifacts = collected(patterns, expected);
    tt_artifacts_clear(&artifacts);
}

static void there_and_back(void **state)
{
    (void)state;
    shell_succeeds(
        "cd from; mkdir -p dist/.hidden/deep dist/empty; echo one > dist/a; echo one > dist/b;"
        "printf '' > dist/zero; echo x > dist/.hidden/deep/x; chmod 751 dist/a;"
        "ln -s a dist/link; ln -s ../../b dist/.hidden/deep/up; ln -s nowhere dist/dangling;"
        "head -c 1000001 /dev/urandom > dist/large; echo no > other");
    struct tt_artifacts artifacts = collected(
        "dist", "dist/.hidden/deep/up dist/.hidden/deep/x dist/a dist/b dist/dangling dist/large "
                "dist/link dist/zero");
    const struct tt_artifact *a = &artifacts.items[2], *link = &artifacts.items[6];
    assert_int_equal(a->size, 4);
    assert_int_equal(a->mode, 0751);
    char hex[tt_digest_hex_size];
    assert_int_equal(tt_digest_bytes("one\n", 4, hex, NULL), 0);
    assert_string_equal(a->sha256, hex);
    assert_true(tt_artifact_is_link(link));
    assert_int_equal(link->mode, 0120777);
    assert_int_equal(link->size, 1);
    /* each content once, under its own digest, not to be changed */
    shell_succeeds(
        "cd state/run/store; test $(ls | wc -l) = 7; for f in *; do"
        " test $(sha256sum < $f | cut -d' ' -f1) = $f; test $(stat -c %a $f) = 444; done");
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to/new/root"), &artifacts));
    shell_succeeds("rmdir from/dist/empty; diff -r --no-dereference from/dist to/new/root/dist");
    shell_succeeds("test ! -e to/new/root/other; test $(stat -c %a to/new/root/dist/a) = 751");
    tt_artifacts_clear(&artifacts);
}

static void patterns_of_artifacts(void **state)
{
    (void)state;
    shell_succeeds("cd from; mkdir -p d/e; touch d/e/f d/g h .i 'j k'; ln -s d dl");
    collects("d", "d/e/f d/g");
    collects("d/", "d/e/f d/g");
    collects("d/**", "d/e/f d/g");
    collects("d/*", "d/e/f d/g");
    collects("./d//e", "d/e/f");
    collects("h .i", ".i h");
    collects("{h,d/g} d", "d/e/f d/g h");
    collects(".", ".i d/e/f d/g dl h j k");
    collects("**", ".i d/e/f d/g dl h j k");
    collects("dl", "dl/e/f dl/g");
    collects("d?", "dl/e/f dl/g");
    fails(collect("none"), TT_ARTIFACT, "nothing matches the pattern none");
    fails(collect("h *.o"), TT_ARTIFACT, "nothing matches the pattern *.o");
    fails(collect("h/"), TT_ARTIFACT, "nothing matches the pattern h/");
    shell_succeeds("mkdir from/empty");
    fails(collect("empty"), TT_ARTIFACT, "nothing matches the pattern empty");
    fails(collect("[a"), TT_INVALID, "pattern [a:");
    fails(collect("../x"), TT_INVALID, "pattern ../x:");
    fails(collect_from(env, "nowhere", "x"), TT_NOT_FOUND, "nowhere");
    assert_int_equal(mkfifo(in_dir("from/pipe"), 0600), 0);
    fails(collect("pipe"), TT_ARTIFACT, "pipe cannot be an artifact");
}

static void nothing_leaves_the_root(void **state)
{
    (void)state;
    shell_succeeds(
        "mkdir -p outside/d; echo secret > outside/d/s; cd from; mkdir in; echo x > in/x;"
        "ln -s ../outside/d out; ln -s $(dirname $PWD)/outside/d abs; ln -s in inside; ln -s "
        "../../outside/d/s in/file;"
        "ln -s loop loop; ln -s in/../../outside sneaky");
    fails(collect("out/s"), TT_INVALID, "out/s leads upwards, out of");
    fails(collect("out"), TT_INVALID, "out/s leads upwards, out of");
    fails(collect("abs/s"), TT_INVALID, "abs/s leads through a symlink to /tmp/");
    fails(collect("abs"), TT_INVALID, in_dir("outside/d"));
    fails(collect("in"), TT_INVALID, "in/file leads upwards");
    fails(collect("loop"), TT_INVALID, "too many symlinks");
    fails(collect("sneaky/d/s"), TT_INVALID, "leads upwards");
    collects("inside/x", "inside/x");
    char *line = tt_format("ln -s %s/from/in whole", dir);
    shell_succeeds(line);
    shell_succeeds("mv whole from/");
    free(line);
    collects("whole/x", "whole/x");
}

static struct tt_artifact artifact(const char *path, const char *content)
{
    struct tt_artifact made = {
        .path = (char *)(uintptr_t)path, .size = strlen(content), .mode = 0644};
    assert_int_equal(tt_digest_bytes(content, strlen(content), made.sha256, NULL), 0);
    return made;
}

static void laying_out_stays_below_root(void **state)
{
    (void)state;
    put("from/f", "x");
    collects("f", "f");
    static const char *const bad[] = {"../f", "/f", "", "a//f", "a/../f", ".", "./f", "f/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tt_artifact one = artifact(bad[i], "x");
        fails(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}),
              TT_INVALID, "is no path of an artifact");
    }
    shell_succeeds("mkdir outside; ln -s ../outside to/out; ln -s ../outside/f to/f; mkdir to/in;"
                   "ln -s in to/inside");
    struct tt_artifact one = artifact("out/f", "x");
    fails(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}),
          TT_INVALID, "leads upwards");
    one = artifact("out/deeper/f", "x");
    fails(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}),
          TT_INVALID, "leads upwards");
    one = artifact("f", "x"); /* a symlink there is replaced */
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}));
    shell_succeeds("test ! -L to/f; test -z \"$(ls outside)\"");
    one = artifact("inside/f", "x");
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}));
    content_is("to/in/f", "x");
    snprintf(one.sha256, sizeof one.sha256, "../../../../etc/passwd");
    fails(tt_store_lay_out(store, scope, env, in_dir("to"), &(struct tt_artifacts){&one, 1}),
          TT_INVALID, "is no SHA-256");
}

static void laying_out_adds_and_replaces(void **state)
{
    (void)state;
    shell_succeeds("cd from; mkdir d; echo new > d/a; echo same > d/b; chmod 600 d/b; ln -s a d/l;"
                   "cd ../to; mkdir d; echo old > d/a; cp -p ../from/d/b d/b; echo own > d/own;"
                   "touch -d @1000 d/b; echo file > d/l");
    struct tt_artifacts artifacts = collected("d", "d/a d/b d/l");
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), &artifacts));
    content_is("to/d/a", "new\n");
    content_is("to/d/own", "own\n");
    shell_succeeds("cd to/d; test $(stat -c %Y b) = 1000; test $(readlink l) = a");
    chmod(in_dir("to/d/b"), 0644);
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), &artifacts));
    assert_int_equal(mode_of("to/d/b"), 0600);
    /* what cannot be replaced */
    shell_succeeds("rm to/d/a; mkdir to/d/a");
    fails(tt_store_lay_out(store, scope, env, in_dir("to"), &artifacts), TT_IO, "Is a directory");
    tt_artifacts_clear(&artifacts);
}

static void damage_is_found(void **state)
{
    (void)state;
    put("from/f", "content");
    link_to("f", "from/l");
    struct tt_artifacts artifacts = collected("f l", "f l");
    shell_succeeds("cd state/run/store; chmod u+w *; for f in *; do printf broken! > $f; done");
    for (size_t i = 0; i < 2; i++) {
        struct tt_artifacts one = {&artifacts.items[i], 1};
        fails(tt_store_lay_out(store, scope, env, in_dir("to"), &one), TT_ARTIFACT,
              "is damaged in");
    }
    assert_false(there("to/f"));
    shell_succeeds("rm -f state/run/store/*");
    fails(tt_store_lay_out(store, scope, env, in_dir("to"), &artifacts), TT_ARTIFACT,
          " in the store ");
    /* collecting again mends it */
    collects("f l", "f l");
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), &artifacts));
    content_is("to/f", "content");
    tt_artifacts_clear(&artifacts);
}

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

static void far_environments(void **state)
{
    (void)state;
    struct tt_file_class files = tx_local_files;
    struct tt_env_class class_ = {.kind = "far", .files = &files, .free = env_free};
    struct tt_env *far = env_with(&class_);
    files.glob = tt_glob_by_listing;
    files.open_write = open_uncompared;
    shell_succeeds("cd from; mkdir d; echo x > d/x");
    succeeds(collect_from(far, "from", "d"));
    struct tt_artifacts artifacts = collected("d", "d/x");
    files.digest = wrong_digest;
    fails(collect_from(far, "from", "d"), TT_ARTIFACT, "its checksum differs");
    fails(tt_store_lay_out(store, scope, far, in_dir("to"), &artifacts), TT_ARTIFACT, "damaged in");
    files.digest = no_digest;
    succeeds(collect_from(far, "from", "d"));
    succeeds(tt_store_lay_out(store, scope, far, in_dir("to"), &artifacts));
    settle();
    tt_artifacts_clear(&artifacts);
    tt_env_release(far);
}

static void a_full_disk_leaves_nothing(void **state)
{
    (void)state;
    shell_succeeds("head -c 2000000 /dev/zero > from/big");
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 500000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    fails(collect("big"), TT_IO, "cannot write the artifact big in the store");
    setrlimit(RLIMIT_FSIZE, &old);
    shell_succeeds("test -z \"$(ls -A state/run/store)\"");
    collects("big", "big");
}

static void many(void **state)
{
    (void)state;
    shell_succeeds(
        "cd from; for d in $(seq 30); do mkdir $d; for f in $(seq 50); do echo $f > $d/$f;"
        " done; done");
    struct tt_op *op = await(collect("**"));
    assert_null(op->error);
    assert_int_equal(tt_artifacts_of(op)->count, 1500);
    succeeds(tt_store_lay_out(store, scope, env, in_dir("to"), tt_artifacts_of(op)));
    tt_op_release(op);
    shell_succeeds("diff -r from to; test $(ls state/run/store | wc -l) = 50");
}

static void cancelling(void **state)
{
    (void)state;
    shell_succeeds("cd from; for f in $(seq 40); do head -c 200000 /dev/zero > $f; done");
    const char *all = "**";
    for (int steps = 0; steps < 40; steps += 5) {
        struct tt_scope *inner = tt_scope_new(loop, scope);
        struct tt_op *op = tt_store_collect(store, inner, env, in_dir("from"), &all, 1);
        for (int i = 0; i < steps; i++)
            tt_op_release(await(tt_sleep(scope, 0)));
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

/* --- choosing, without any file --- */

static void choosing(void **state)
{
    (void)state;
    struct tt_artifact a[] = {artifact("dist/x", "1"), artifact("dist/y", "2"), artifact("z", "3")};
    struct tt_artifact b[] = {artifact("dist/x", "1"), artifact("dist/y", "changed")};
    struct tt_artifacts la = {a, 3}, lb = {b, 2}, out;
    struct tt_artifact_source sources[] = {{"build", &la}, {"test", &lb}};
    struct tt_error *err = NULL;
    const char *patterns[] = {"dist", "z"};
    assert_int_equal(tt_artifacts_select(&out, sources, 1, patterns, 2, &err), 0);
    char *names = names_of(&out);
    assert_string_equal(names, "dist/x dist/y z");
    free(names);
    tt_artifacts_clear(&out);
    assert_int_equal(tt_artifacts_select(&out, sources, 2, patterns, 1, &err), -TT_INVALID);
    assert_string_equal(err->message, "build and test both give dist/y, with different content");
    tt_error_free(err);
    err = NULL;
    const char *x = "**/x", *none = "dist/*.o", *bad = "[";
    assert_int_equal(tt_artifacts_select(&out, sources, 2, &x, 1, &err), 0);
    assert_int_equal(out.count, 1);
    tt_artifacts_clear(&out);
    assert_int_equal(tt_artifacts_select(&out, sources, 2, &none, 1, &err), -TT_ARTIFACT);
    assert_string_equal(err->message,
                        "the outputs of the tasks before: nothing matches the pattern dist/*.o");
    tt_error_free(err);
    err = NULL;
    assert_int_equal(tt_artifacts_select(&out, sources, 2, &bad, 1, &err), -TT_INVALID);
    tt_error_free(err);
}

static void stores_that_cannot_be(void **state)
{
    (void)state;
    struct tt_store *other;
    struct tt_error *err = NULL;
    put("file", "");
    assert_true(tt_store_open(&other, in_dir("file/store"), &err) < 0);
    char *text = tt_error_text(err);
    assert_non_null(strstr(text, "file: Not a directory"));
    free(text);
    tt_error_free(err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        T(there_and_back),
        T(patterns_of_artifacts),
        T(nothing_leaves_the_root),
        T(laying_out_stays_below_root),
        T(laying_out_adds_and_replaces),
        T(damage_is_found),
        T(far_environments),
        T(a_full_disk_leaves_nothing),
        T(many),
        T(cancelling),
        T(choosing),
        T(stores_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
