/* The file operations of this machine, on a scratch directory. */
#include "tests/unit/core/files/files_support.h"

static const struct tt_write_options plain = {.mode = -1, .size = -1};

static struct tt_op *write_text(const char *path, const char *text, int mode)
{
    struct tt_write_options options = {.mode = mode, .size = -1};
    return tt_write_file(env, scope, path, text, strlen(text), &options);
}

static void read_is(const char *path, const char *text, size_t length)
{
    struct tt_op *op = await(tt_read_file(env, scope, path, 100 << 20));
    assert_null(op->error);
    assert_int_equal(tt_bytes_of(op)->length, length);
    if (length)
        assert_memory_equal(tt_bytes_of(op)->data, text, length);
    tt_op_release(op);
}

static void no_temporary_is_left(void)
{
    shell_succeeds("! find . -name '.tutti-*' | grep .");
}

static void written_is_read(void **state)
{
    (void)state;
    succeeds(write_text(in_dir("a b'\xff"), "hello", -1));
    read_is(in_dir("a b'\xff"), "hello", 5);
    succeeds(write_text(in_dir("empty"), "", -1));
    read_is(in_dir("empty"), "", 0);
    size_t length = (3 << 20) + 17;
    char *large = tt_alloc(length);
    for (size_t i = 0; i < length; i++)
        large[i] = (char)(i * 2654435761u >> 13);
    succeeds(tt_write_file(env, scope, in_dir("large"), large, length, &plain));
    read_is(in_dir("large"), large, length);
    fails(tt_read_file(env, scope, in_dir("large"), 1000), TT_OUTPUT_LIMIT,
          "large: more than 1000 bytes");
    free(large);
    no_temporary_is_left();
}

static void modes_are_kept_and_set(void **state)
{
    (void)state;
    mode_t mask = umask(027);
    succeeds(write_text(in_dir("new"), "x", -1));
    assert_int_equal(mode_of("new"), 0640);
    succeeds(write_text(in_dir("exact"), "x", 0666));
    assert_int_equal(mode_of("exact"), 0666);
    umask(mask);
    chmod(in_dir("new"), 04751);
    succeeds(write_text(in_dir("new"), "y", -1));
    assert_int_equal(mode_of("new"), 04751);
    succeeds(write_text(in_dir("new"), "z", 0600));
    assert_int_equal(mode_of("new"), 0600);
    if (geteuid() == 0) {
        assert_int_equal(chown(in_dir("new"), 1234, 5678), 0);
        succeeds(write_text(in_dir("new"), "owned", -1));
        struct stat st;
        assert_int_equal(stat(in_dir("new"), &st), 0);
        assert_int_equal(st.st_uid, 1234);
        assert_int_equal(st.st_gid, 5678);
    }
}

static void links_are_followed_when_writing(void **state)
{
    (void)state;
    make_dir("d");
    put("d/real", "old");
    link_to("real", "d/link");
    link_to("d/link", "chain");
    link_to("d/made", "dangling");
    link_to("loop", "loop");
    succeeds(write_text(in_dir("chain"), "new", -1));
    content_is("d/real", "new");
    shell_succeeds("test -L chain && test -L d/link && test ! -L d/real");
    succeeds(write_text(in_dir("dangling"), "born", -1));
    content_is("d/made", "born");
    fails(write_text(in_dir("loop"), "x", -1), TT_IO, "loop");
    no_temporary_is_left();
}

static void what_cannot_be_read_or_written(void **state)
{
    (void)state;
    make_dir("d");
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    fails(tt_read_file(env, scope, in_dir("none"), 10), TT_NOT_FOUND, "/none: No such file");
    fails(tt_read_file(env, scope, in_dir("d"), 10), TT_IO, "Is a directory");
    fails(tt_read_file(env, scope, in_dir("pipe"), 10), TT_UNSUPPORTED, "pipe or socket");
    fails(write_text(in_dir("pipe"), "x", -1), TT_UNSUPPORTED, "pipe or socket");
    fails(write_text(in_dir("d"), "x", -1), TT_IO, "Is a directory");
    fails(write_text(in_dir("d/"), "x", -1), TT_IO, "Is a directory");
    fails(write_text(in_dir("none/x"), "x", -1), TT_NOT_FOUND, "none/x");
    fails(write_text("", "x", -1), TT_IO, "an empty path");
    put("file", "x");
    fails(write_text(in_dir("file/x"), "x", -1), TT_NOT_FOUND, "file/x");
    /* a device is written, never replaced */
    succeeds(write_text("/dev/null", "x", -1));
    struct stat st;
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    fails(write_text("/dev/full", "x", -1), TT_IO, "/dev/full: No space left");
    no_temporary_is_left();
}

static void uncommitted_leaves_the_old(void **state)
{
    (void)state;
    put("f", "old");
    struct tt_op *op = await(tx_local_files.open_write(env, scope, in_dir("f"), &plain));
    struct tt_file *file = tt_file_of(op);
    assert_non_null(file);
    tt_op_release(op);
    succeeds(file->class_->write(file, scope, "new", 3));
    file->class_->free(file);
    content_is("f", "old");
    no_temporary_is_left();
    /* and one that nobody took */
    tt_op_release(await(tx_local_files.open_write(env, scope, in_dir("f"), &plain)));
    no_temporary_is_left();
    /* a promise of size that was not kept */
    struct tt_write_options promise = {.mode = -1, .size = 10};
    op = await(tx_local_files.open_write(env, scope, in_dir("f"), &promise));
    file = tt_file_of(op);
    tt_op_release(op);
    succeeds(file->class_->write(file, scope, "new", 3));
    fails(file->class_->commit(file, scope), TT_IO, "10 bytes were to be written, 3 came");
    file->class_->free(file);
    content_is("f", "old");
    no_temporary_is_left();
}

static void stat_tells(void **state)
{
    (void)state;
    put("f", "12345");
    chmod(in_dir("f"), 0640);
    link_to("f", "l");
    struct tt_op *op = await(tx_local_files.stat(env, scope, in_dir("l"), false));
    const struct tt_stat *stat = tt_stat_of(op);
    assert_int_equal(stat->type, TT_FILE_SYMLINK);
    assert_string_equal(stat->target, "f");
    tt_op_release(op);
    op = await(tx_local_files.stat(env, scope, in_dir("l"), true));
    stat = tt_stat_of(op);
    assert_int_equal(stat->type, TT_FILE_REGULAR);
    assert_int_equal(stat->size, 5);
    assert_int_equal(stat->mode, 0640);
    assert_null(stat->target);
    tt_op_release(op);
    op = await(tx_local_files.stat(env, scope, in_dir("f/x"), true));
    assert_null(op->error);
    assert_null(tt_stat_of(op));
    tt_op_release(op);
}

static void lists(void **state)
{
    (void)state;
    make_dir("d");
    put("d/.dot", "");
    put("d/b", "12");
    make_dir("d/a");
    link_to("nowhere", "d/l");
    struct tt_op *op = await(tx_local_files.list(env, scope, in_dir("d")));
    const struct tt_entries *entries = tt_entries_of(op);
    assert_int_equal(entries->count, 4);
    assert_string_equal(entries->items[0].path, ".dot");
    assert_string_equal(entries->items[1].path, "a");
    assert_int_equal(entries->items[1].stat.type, TT_FILE_DIRECTORY);
    assert_int_equal(entries->items[2].stat.size, 2);
    assert_string_equal(entries->items[3].stat.target, "nowhere");
    tt_op_release(op);
    fails(tx_local_files.list(env, scope, in_dir("d/b")), TT_NOT_FOUND, "cannot list");
}

static void removing_never_goes_through_links(void **state)
{
    (void)state;
    shell_succeeds(
        "mkdir -p keep t/a/b; touch keep/me t/a/b/f t/.dot; chmod 500 t/a/b; chmod 700 t/a/b;"
        "ln -s ../keep t/out; ln -s ../../keep t/a/out; ln -s t tlink");
    fails(tx_local_files.remove(env, scope, in_dir("t"), false), TT_INVALID, "recursive");
    fails(tx_local_files.remove(env, scope, in_dir("none"), true), TT_NOT_FOUND, "none");
    fails(tx_local_files.remove(env, scope, "/", true), TT_INVALID, "names no entry");
    fails(tx_local_files.remove(env, scope, "", true), TT_INVALID, "names no entry");
    fails(tx_local_files.remove(env, scope, in_dir("t/.."), true), TT_INVALID, "names no entry");
    succeeds(tx_local_files.remove(env, scope, in_dir("tlink/"), true));
    assert_false(there("tlink"));
    assert_true(there("t/a/b/f"));
    succeeds(tx_local_files.remove(env, scope, in_dir("t"), true));
    assert_false(there("t"));
    assert_true(there("keep/me"));
    /* more entries than one read of the directory gives */
    shell_succeeds("mkdir many; cd many; seq 3000 | xargs touch");
    succeeds(tx_local_files.remove(env, scope, in_dir("many"), true));
    assert_false(there("many"));
}

static void directories_and_links_are_made(void **state)
{
    (void)state;
    succeeds(tx_local_files.mkdir(env, scope, in_dir("a/b/c/"), 0750));
    assert_int_equal(mode_of("a/b/c"), 0750);
    succeeds(tx_local_files.mkdir(env, scope, in_dir("a/b/c"), -1));
    succeeds(tx_local_files.mkdir(env, scope, in_dir("a"), 0700));
    assert_int_equal(mode_of("a"), 0700);
    put("f", "x");
    fails(tx_local_files.mkdir(env, scope, in_dir("f"), -1), TT_NOT_FOUND, "f: Not a directory");
    fails(tx_local_files.mkdir(env, scope, in_dir("f/x"), -1), TT_NOT_FOUND, "Not a directory");
    succeeds(tx_local_files.symlink(env, scope, "to", in_dir("l")));
    succeeds(tx_local_files.symlink(env, scope, "elsewhere", in_dir("l")));
    shell_succeeds("test \"$(readlink l)\" = elsewhere");
    fails(tx_local_files.symlink(env, scope, "to", in_dir("a")), TT_IO, "Is a directory");
    no_temporary_is_left();
}

static void digests(void **state)
{
    (void)state;
    put("f", "abc");
    struct tt_op *op = await(tx_local_files.digest(env, scope, in_dir("f")));
    assert_string_equal(tt_digest_of(op),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    tt_op_release(op);
    fails(tx_local_files.digest(env, scope, dir), TT_IO, "Is a directory");
    fails(tx_local_files.digest(env, scope, in_dir("none")), TT_NOT_FOUND, "none");
}

typedef struct tt_op *glob_fn(struct tt_env *, struct tt_scope *, const char *, const char *const *,
                              size_t);

static void glob_is(const char *patterns, const char *expected)
{
    const char *list[8];
    size_t count = 0;
    char *copy = tt_strdup(patterns), *rest = copy;
    while ((list[count] = strtok_r(rest, " ", &rest)))
        count++;
    glob_fn *both[] = {tx_local_files.glob, tt_glob_by_listing};
    for (size_t i = 0; i < 2; i++) {
        struct tt_op *op = await(both[i](env, scope, dir, list, count));
        assert_null(op->error);
        struct tt_entries entries = *tt_entries_of(op);
        char *got = tt_strdup("");
        for (size_t k = 0; k < entries.count; k++) {
            char *longer = tt_format("%s%s%s", got, k ? " " : "", entries.items[k].path);
            free(got);
            got = longer;
        }
        assert_string_equal(got, expected);
        free(got);
        tt_op_release(op);
    }
    free(copy);
}

static void globs_natively_and_by_listing(void **state)
{
    (void)state;
    shell_succeeds("mkdir -p src/sub .hidden empty out; touch a.c b.c a.h src/x.c src/sub/y.c "
                   ".hidden/z.c .dot 'with space'; ln -s src link; ln -s a.c lc; ln -s .. src/up");
    glob_is("*.c", "a.c b.c");
    glob_is("**/*.c", ".hidden/z.c a.c b.c src/sub/y.c src/x.c");
    glob_is("*", ".dot .hidden a.c a.h b.c empty lc link out src with space");
    glob_is("**", ".dot .hidden .hidden/z.c a.c a.h b.c empty lc link out src src/sub src/sub/y.c "
                  "src/up src/x.c with space");
    glob_is("*/", ".hidden empty link out src");
    glob_is("link/*.c", "link/x.c");
    glob_is("*/x.c", "link/x.c src/x.c");
    glob_is("link/**", "link/sub link/sub/y.c link/up link/x.c");
    glob_is("{a,b}.c src/sub/y.c *.c", "a.c b.c src/sub/y.c");
    glob_is("none", "");
    glob_is("src/sub/*.c src/*.c", "src/sub/y.c src/x.c");
    glob_is("link/sub/y.c link/sub/none", "link/sub/y.c");
    glob_is("none/x/*", "");
    glob_is("a.c/x", "");
    /* nothing has to be readable above what is looked for */
    shell_succeeds("mkdir -p shut/open; touch shut/open/f; chmod 311 shut");
    glob_is("shut/open/*", "shut/open/f");
    shell_succeeds("chmod 700 shut; rm -r shut");
    glob_is("empty/*", "");
    const char *bad = "../x", *good = "*";
    glob_fn *both[] = {tx_local_files.glob, tt_glob_by_listing};
    for (size_t i = 0; i < 2; i++) {
        fails(both[i](env, scope, dir, &bad, 1), TT_INVALID, "..");
        fails(both[i](env, scope, in_dir("none"), &good, 1), TT_NOT_FOUND, "none");
    }
}

static void cancelled_operations_end(void **state)
{
    (void)state;
    struct tt_scope *inner = tt_scope_new(loop, scope);
    struct tt_op *ops[20];
    const char *all = "**";
    for (size_t i = 0; i < 20; i++)
        ops[i] = i % 2 ? tx_local_files.glob(env, inner, "/usr", &all, 1)
                       : tt_glob_by_listing(env, inner, "/usr", &all, 1);
    struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
    tt_scope_cancel(inner, why);
    tt_error_free(why);
    for (size_t i = 0; i < 20; i++) {
        await(ops[i]);
        assert_int_equal(ops[i]->error->kind, TT_CANCELLED);
        assert_string_equal(ops[i]->error->message, "enough");
        tt_op_release(ops[i]);
    }
    fails(tt_read_file(env, inner, in_dir("f"), 10), TT_CANCELLED, "enough");
    fails(tt_write_file(env, inner, in_dir("f"), "x", 1, &plain), TT_CANCELLED, "enough");
    tt_scope_release(inner);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(written_is_read),
        T(modes_are_kept_and_set),
        T(links_are_followed_when_writing),
        T(what_cannot_be_read_or_written),
        T(uncommitted_leaves_the_old),
        T(stat_tells),
        T(lists),
        T(removing_never_goes_through_links),
        T(directories_and_links_are_made),
        T(digests),
        T(globs_natively_and_by_listing),
        T(cancelled_operations_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
