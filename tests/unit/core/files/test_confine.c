/* Confinement: which paths lead out of a root, against links, "..", and circles. */
#include "files_support.h"

#include "core/files/confine.h"

static struct tt_confine *confine;

static void begin(const char *root)
{
    confine = tt_confine_new(env, in_dir(root));
}

static void end(void)
{
    tt_confine_free(confine);
}

static struct tt_op *check(const char *path)
{
    return tt_confine_check(confine, scope, path);
}

/* Fails when a plain path, or one that does not exist yet, is refused. */
static void what_is_below_is_fine(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p root/a/b; echo x > root/a/b/f");
    begin("root");
    succeeds(check("a/b/f"));
    succeeds(check("a/./b//f"));
    succeeds(check("none/at/all"));
    succeeds(check("a/../a/b"));
    succeeds(check(""));
    end();
}

/* Fails when ".." is only counted as text: through a link it is another directory's. */
static void upwards_is_refused(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p root/a/b/c; ln -s a/b/c root/deep; ln -s .. root/up");
    begin("root");
    fails(check(".."), TT_INVALID, "leads upwards");
    fails(check("a/../.."), TT_INVALID, "leads upwards");
    fails(check("none/../../x"), TT_INVALID, "leads upwards");
    succeeds(check("deep/../../../a")); /* a/b/c is where it starts from */
    fails(check("deep/../../../../a"), TT_INVALID, "leads upwards");
    fails(check("up/root"), TT_INVALID, "leads upwards");
    end();
}

/* Fails when a link out of root is followed, or one within it is not. */
static void links_are_followed(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p root/a rootless; ln -s \"$PWD/root/a\" root/inside;"
                   "ln -s \"$PWD/rootless\" root/beside; ln -s /etc root/etc; ln -s etc root/chain;"
                   "ln -s a root/relative");
    begin("root");
    succeeds(check("inside/x"));
    succeeds(check("relative/x"));
    fails(check("beside/x"), TT_INVALID, "leads through a symlink to");
    fails(check("etc/passwd"), TT_INVALID, "leads through a symlink to /etc");
    fails(check("chain"), TT_INVALID, "leads through a symlink to /etc");
    end();
}

/* Fails when links that go round are followed for ever. */
static void circles_end(void **state)
{
    (void)state;
    shell_succeeds("mkdir root; ln -s b root/a; ln -s a root/b; ln -s self/x root/self");
    begin("root");
    fails(check("a/x"), TT_INVALID, "too many symlinks");
    fails(check("self"), TT_INVALID, "too many symlinks");
    end();
}

/* Fails when something is remembered that was not seen, or the part of a name is taken for it. */
static void what_was_seen_is_known(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p root/a/b root/ab; ln -s a root/link");
    begin("root");
    assert_true(tt_confine_known(confine, ""));
    assert_false(tt_confine_known(confine, "a"));
    succeeds(check("a/b/none"));
    assert_true(tt_confine_known(confine, "a"));
    assert_true(tt_confine_known(confine, "a/b"));
    assert_false(tt_confine_known(confine, "a/b/none"));
    assert_false(tt_confine_known(confine, "ab"));
    succeeds(check("link/b"));
    assert_false(tt_confine_known(confine, "link"));
    tt_confine_trust(confine, "x/yy/z");
    assert_true(tt_confine_known(confine, "x/yy"));
    assert_true(tt_confine_known(confine, "x/yy/z"));
    assert_false(tt_confine_known(confine, "x/y"));
    end();
}

static void plain_paths(void **state)
{
    (void)state;
    static const char *const plain[] = {"a", "a/b", "...", "a/..b", ".git/x"};
    static const char *const odd[] = {"", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a/.."};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_true(tt_path_is_plain(plain[i]));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_false(tt_path_is_plain(odd[i]));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_below_is_fine), T(upwards_is_refused),     T(links_are_followed),
        T(circles_end),           T(what_was_seen_is_known), T(plain_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
