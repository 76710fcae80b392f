#include "files_cases.h"

#include "core/base/digest.h"
#include "executors/local/local.h"

struct tt_env *files_env;

static const struct tt_write_options plain = {.mode = -1, .size = -1};

static void write_text(const char *path, const void *data, size_t length)
{
    await_release(tt_write_file(files_env, root, path, data, length, &plain));
}

static char *shell(const char *line)
{
    struct tt_result *r = run_shell(files_env, line);
    assert_result(r, TT_OK);
    char *text = tt_strndup(r->out.data ? r->out.data : "", r->out.length);
    tt_result_release(r);
    return text;
}

static void fresh_folder(void)
{
    free(shell("rm -rf /tmp/files && mkdir /tmp/files"));
}

static void expect(const char *path, const void *data, size_t length)
{
    struct tt_op *op = tt_read_file(files_env, root, path, 64 << 20);
    await(op);
    assert_done(op);
    assert_int_equal(tt_bytes_of(op)->length, length);
    if (length)
        assert_memory_equal(tt_bytes_of(op)->data, data, length);
    tt_op_release(op);
}

static char *pattern(size_t size)
{
    char *bytes = tt_alloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 13 + i / 257);
    return bytes;
}

void file_round_trip(void **state)
{
    (void)state;
    fresh_folder();
    size_t sizes[] = {0, 1, 5, 65535, 65537, 200000};
    char *bytes = pattern(200000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_text("/tmp/files/a", bytes, sizes[i]);
        expect("/tmp/files/a", bytes, sizes[i]);
        char hex[tt_digest_hex_size];
        tt_digest_bytes(bytes, sizes[i], hex, NULL);
        struct tt_op *op = files_env->class_->files->digest(files_env, root, "/tmp/files/a");
        await(op);
        assert_done(op);
        assert_string_equal(tt_digest_of(op), hex);
        tt_op_release(op);
    }
    free(bytes);
    char *left = shell("ls -A /tmp/files");
    assert_string_equal(left, "a\n");
    free(left);
}

void file_large(void **state)
{
    (void)state;
    fresh_folder();
    size_t size = 9 << 20;
    char *bytes = pattern(size);
    write_text("/tmp/files/big", bytes, size);
    expect("/tmp/files/big", bytes, size);
    free(bytes);
    char *left = shell("ls -A /tmp/files");
    assert_string_equal(left, "big\n");
    free(left);
}

void file_modes_and_links(void **state)
{
    (void)state;
    fresh_folder();
    free(shell(
        "cd /tmp/files; echo old >real; chmod 0751 real; chown 1000:1000 real; ln -s real link"));
    write_text("/tmp/files/link", "new\n", 4);
    char *said = shell("cd /tmp/files; stat -c '%F %a %u' link real; cat real");
    assert_string_equal(said, "symbolic link 777 0\nregular file 751 1000\nnew\n");
    free(said);
    struct tt_write_options options = {.mode = 0600, .size = 3};
    await_release(tt_write_file(files_env, root, "/tmp/files/secret", "abc", 3, &options));
    said = shell("stat -c %a /tmp/files/secret");
    assert_string_equal(said, "600\n");
    free(said);
    await_release(
        files_env->class_->files->symlink(files_env, root, "some where", "/tmp/files/l2"));
    await_release(files_env->class_->files->symlink(files_env, root, "/tmp", "/tmp/files/l2"));
    await_release(files_env->class_->files->symlink(files_env, root, "x y", "/tmp/files/l2"));
    said = shell("readlink /tmp/files/l2; ls -A /tmp/files");
    assert_string_equal(said, "x y\nl2\nlink\nreal\nsecret\n");
    free(said);
}

void file_strange_names(void **state)
{
    (void)state;
    fresh_folder();
    const char *names[] = {"a b", "$(id)", "new\nline", "'q\"", "-n", "\xff\xfe", "*", ".hidden"};
    size_t count = sizeof names / sizeof *names;
    for (size_t i = 0; i < count; i++) {
        char *path = tt_format("/tmp/files/%s", names[i]);
        write_text(path, names[i], strlen(names[i]));
        expect(path, names[i], strlen(names[i]));
        free(path);
    }
    await_release(
        files_env->class_->files->symlink(files_env, root, "to\nhere", "/tmp/files/li\nnk"));
    struct tt_op *op = files_env->class_->files->list(files_env, root, "/tmp/files");
    await(op);
    assert_done(op);
    const struct tt_entries *entries = tt_entries_of(op);
    assert_int_equal(entries->count, count + 1);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t j = 0; j < entries->count; j++)
            found |= strcmp(entries->items[j].path, names[i]) == 0 &&
                     entries->items[j].stat.size == strlen(names[i]);
        assert_true(found);
    }
    bool link = false;
    for (size_t j = 0; j < entries->count; j++)
        link |= strcmp(entries->items[j].path, "li\nnk") == 0 &&
                strcmp(entries->items[j].stat.target, "to\nhere") == 0;
    assert_true(link);
    tt_op_release(op);
    for (size_t i = 0; i < count; i++) {
        char *path = tt_format("/tmp/files/%s", names[i]);
        await_release(files_env->class_->files->remove(files_env, root, path, false));
        free(path);
    }
}

void file_missing(void **state)
{
    (void)state;
    fresh_folder();
    const struct tt_file_class *files = files_env->class_->files;
    struct tt_op *ops[] = {
        files->open_read(files_env, root, "/tmp/files/none"),
        files->list(files_env, root, "/tmp/files/none"),
        files->remove(files_env, root, "/tmp/files/none", true),
        files->digest(files_env, root, "/tmp/files/none"),
        files->open_write(files_env, root, "/tmp/files/none/x", &plain),
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        await(ops[i]);
        assert_kind(ops[i], TT_NOT_FOUND);
        tt_op_release(ops[i]);
    }
    struct tt_op *op = files->open_read(files_env, root, "/tmp/files");
    await(op);
    assert_non_null(op->error);
    tt_op_release(op);
}

void file_stat(void **state)
{
    (void)state;
    fresh_folder();
    free(shell(
        "cd /tmp/files; echo hi >f; chmod 640 f; chown 7:8 f; touch -d '2001-02-03 04:05:06' f; "
        "ln -s f l; mkdir d"));
    const struct tt_file_class *files = files_env->class_->files;
    struct tt_op *op = files->stat(files_env, root, "/tmp/files/f", true);
    await(op);
    assert_done(op);
    const struct tt_stat *stat = tt_stat_of(op);
    assert_non_null(stat);
    assert_int_equal(stat->type, TT_FILE_REGULAR);
    assert_int_equal(stat->size, 3);
    assert_int_equal(stat->mode, 0640);
    assert_int_equal(stat->uid, 7);
    assert_int_equal(stat->gid, 8);
    assert_int_equal(stat->mtime, 981173106);
    tt_op_release(op);
    op = files->stat(files_env, root, "/tmp/files/l", false);
    await(op);
    assert_int_equal(tt_stat_of(op)->type, TT_FILE_SYMLINK);
    assert_string_equal(tt_stat_of(op)->target, "f");
    tt_op_release(op);
    op = files->stat(files_env, root, "/tmp/files/l", true);
    await(op);
    assert_int_equal(tt_stat_of(op)->type, TT_FILE_REGULAR);
    tt_op_release(op);
    op = files->stat(files_env, root, "/tmp/files/d", true);
    await(op);
    assert_int_equal(tt_stat_of(op)->type, TT_FILE_DIRECTORY);
    tt_op_release(op);
    op = files->stat(files_env, root, "/tmp/files/none", true);
    await(op);
    assert_done(op);
    assert_null(tt_stat_of(op));
    tt_op_release(op);
}

void file_abandoned(void **state)
{
    (void)state;
    fresh_folder();
    free(shell("echo old >/tmp/files/f"));
    size_t sizes[] = {10, 1 << 20};
    for (size_t i = 0; i < 2; i++) {
        char *bytes = pattern(sizes[i]);
        struct tt_op *op =
            files_env->class_->files->open_write(files_env, root, "/tmp/files/f", &plain);
        await(op);
        assert_done(op);
        struct tt_file *file = tt_file_of(op);
        tt_op_release(op);
        await_release(file->class_->write(file, root, bytes, sizes[i]));
        file->class_->free(file);
        free(bytes);
    }
    pass(600);
    char *said = shell("ls -A /tmp/files; cat /tmp/files/f");
    assert_string_equal(said, "f\nold\n");
    free(said);
}

void file_tree_copied(void **state)
{
    (void)state;
    fresh_folder();
    struct tt_env *here = tx_local_new(loop, NULL);
    char folder[] = "/tmp/tutti-files-XXXXXX";
    assert_non_null(mkdtemp(folder));
    host(
        "cd %s && mkdir -p from/sub/empty && echo one >from/one && echo two >from/sub/.two && "
        "chmod 755 from/one && ln -s ../one from/sub/link && head -c 700000 /dev/urandom >from/big",
        folder);
    char *from = tt_format("%s/from", folder), *back = tt_format("%s/back", folder);
    await_release(tt_copy(here, from, files_env, "/tmp/files/to", root));
    await_release(tt_copy(files_env, "/tmp/files/to", here, back, root));
    assert_int_equal(
        host("diff -r --no-dereference %s %s && test -x %s/one && test -d %s/sub/empty &&"
             " test \"$(readlink %s/sub/link)\" = ../one",
             from, back, back, back, back),
        0);
    host("rm -rf %s", folder);
    free(from);
    free(back);
    tt_env_release(here);
}
