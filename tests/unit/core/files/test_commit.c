/* Commits: what becomes visible, when, and what is left behind when nothing does. */
#include "files_support.h"

#include "core/base/digest.h"
#include "core/files/commit.h"

static struct tt_file *open_to_write(const struct tt_file_class *files, const char *name)
{
    struct tt_write_options options = {.mode = -1, .size = -1};
    struct tt_op *op = await(files->open_write(env, scope, in_dir(name), &options));
    assert_null(op->error);
    struct tt_file *file = tt_file_of(op);
    tt_op_release(op);
    return file;
}

static struct tt_op *digest_temporary(struct tt_file *file, struct tt_scope *s)
{
    return tx_local_files.digest(env, s, ((struct tt_fd_file *)(void *)file)->temporary);
}

/* One that does not compare what it writes, but can tell what arrived, as elsewhere. */
static struct tt_file *open_telling(const char *name)
{
    static struct tt_file_stream_class telling;
    struct tt_file_class files = tx_local_files;
    files.open_write = open_uncompared;
    struct tt_file *file = open_to_write(&files, name);
    telling = *file->class_;
    telling.digest = digest_temporary;
    file->class_ = &telling;
    return file;
}

static void write_text(struct tt_file *file, const char *text)
{
    succeeds(file->class_->write(file, scope, text, strlen(text)));
}

static const char *digest_of(const char *text)
{
    static char hex[tt_digest_hex_size];
    assert_int_equal(tt_digest_bytes(text, strlen(text), hex, NULL), 0);
    return hex;
}

static void nothing_is_left(void)
{
    shell_succeeds("! find . -name '.tutti-*' | grep .");
}

/* Fails when readers see a part of it before the commit, or when the mode of what stood there goes.
 */
static void a_commit_replaces_all_at_once(void **state)
{
    (void)state;
    put("f", "old");
    shell_succeeds("chmod 640 f");
    struct tt_file *file = open_to_write(&tx_local_files, "f");
    write_text(file, "new and longer");
    content_is("f", "old");
    succeeds(tt_commit(file, in_dir("f"), digest_of("new and longer"), NULL, scope));
    file->class_->free(file);
    content_is("f", "new and longer");
    assert_int_equal(mode_of("f"), 0640);
    nothing_is_left();
}

/* Fails when a file that is closed without a commit leaves its temporary, or shows. */
static void without_a_commit_nothing_is_left(void **state)
{
    (void)state;
    put("f", "old");
    struct tt_file *file = open_to_write(&tx_local_files, "f");
    write_text(file, "new");
    file->class_->free(file);
    settle();
    content_is("f", "old");
    nothing_is_left();
}

/* Fails when content that differs from its checksum becomes visible. */
static void what_is_damaged_is_not_shown(void **state)
{
    (void)state;
    put("f", "old");
    struct tt_file *file = open_telling("f");
    write_text(file, "new");
    struct tt_op *op = await(tt_commit(file, in_dir("f"), digest_of("other"), NULL, scope));
    assert_null(op->error);
    assert_true(tt_commit_damaged(op));
    tt_op_release(op);
    file->class_->free(file);
    settle();
    content_is("f", "old");
    nothing_is_left();
}

/* Fails when the source's own checksum is not asked for where none is given. */
static void the_source_can_tell_its_checksum(void **state)
{
    (void)state;
    put("from", "text");
    static const char *const texts[] = {"text", "tent"};
    for (int i = 0; i < 2; i++) {
        struct tt_op *op = await(tx_local_files.open_read(env, scope, in_dir("from")));
        struct tt_file *source = tt_file_of(op), *file = open_telling("to");
        tt_op_release(op);
        write_text(file, texts[i]);
        op = await(tt_commit(file, in_dir("to"), NULL, source, scope));
        assert_null(op->error);
        assert_int_equal(tt_commit_damaged(op), i);
        tt_op_release(op);
        file->class_->free(file);
        source->class_->free(source);
        settle();
        content_is("to", "text");
    }
    nothing_is_left();
}

/* Fails when a commit that cannot be made reports success, or leaves its temporary. */
static void a_commit_that_fails_leaves_nothing(void **state)
{
    (void)state;
    make_dir("d");
    struct tt_file *file = open_to_write(&tx_local_files, "d/f");
    write_text(file, "new");
    shell_succeeds("mkdir d/f"); /* a directory stands there now */
    fails(tt_commit(file, in_dir("d/f"), digest_of("new"), NULL, scope), TT_IO, "d/f");
    file->class_->free(file);
    settle();
    nothing_is_left();
}

/* Fails when a commit in a scope that is over makes anything visible. */
static void a_cancelled_commit_shows_nothing(void **state)
{
    (void)state;
    struct tt_scope *inner = tt_scope_new(loop, scope);
    struct tt_file *file = open_to_write(&tx_local_files, "f");
    write_text(file, "new");
    struct tt_error *why = tt_error_new(TT_CANCELLED, "enough");
    tt_scope_cancel(inner, why);
    tt_error_free(why);
    fails(tt_commit(file, in_dir("f"), digest_of("new"), NULL, inner), TT_CANCELLED, "enough");
    file->class_->free(file);
    settle();
    assert_false(there("f"));
    nothing_is_left();
    tt_scope_release(inner);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_commit_replaces_all_at_once),      T(without_a_commit_nothing_is_left),
        T(what_is_damaged_is_not_shown),       T(the_source_can_tell_its_checksum),
        T(a_commit_that_fails_leaves_nothing), T(a_cancelled_commit_shows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
