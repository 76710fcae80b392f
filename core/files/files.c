/* Files over all environments: results, whole files. */
#include "core/files/files.h"

#include "core/base/alloc.h"
#include "core/base/buf.h"

#include <stdlib.h>
#include <string.h>

/* --- results --- */

const struct tt_stat *tt_stat_of(struct tt_op *op)
{
    struct tt_stat_op *of = (struct tt_stat_op *)(void *)op;
    return !op->error && of->exists ? &of->stat : NULL;
}

const struct tt_entries *tt_entries_of(struct tt_op *op)
{
    return &((struct tt_entries_op *)(void *)op)->entries;
}

struct tt_file *tt_file_of(struct tt_op *op)
{
    struct tt_file_op *of = (struct tt_file_op *)(void *)op;
    if (op->error)
        return NULL;
    struct tt_file *file = of->file;
    of->file = NULL;
    return file;
}

const char *tt_digest_of(struct tt_op *op)
{
    return ((struct tt_digest_op *)(void *)op)->hex;
}

void tt_stat_op_free(struct tt_op *op)
{
    free(((struct tt_stat_op *)(void *)op)->stat.target);
    free(op);
}

void tt_entries_op_free(struct tt_op *op)
{
    tt_entries_clear(&((struct tt_entries_op *)(void *)op)->entries);
    free(op);
}

void tt_file_op_free(struct tt_op *op)
{
    struct tt_file *file = ((struct tt_file_op *)(void *)op)->file;
    if (file)
        file->class_->free(file);
    free(op);
}

void tt_entries_add(struct tt_entries *entries, char *path, const struct tt_stat *stat)
{
    /* room grows by doubling: at 0, 1, 2, 4, 8 … */
    if ((entries->count & (entries->count - 1)) == 0) {
        size_t room = entries->count ? entries->count * 2 : 1;
        entries->items = tt_reallocarray(entries->items, room, sizeof *entries->items);
    }
    entries->items[entries->count++] = (struct tt_entry){path, *stat};
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tt_entry *)a)->path, ((const struct tt_entry *)b)->path);
}

void tt_entries_sort(struct tt_entries *entries)
{
    if (entries->count > 1)
        qsort(entries->items, entries->count, sizeof *entries->items, by_path);
}

void tt_entries_clear(struct tt_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].path);
        free(entries->items[i].stat.target);
    }
    free(entries->items);
    *entries = (struct tt_entries){0};
}

char *tt_path_join(const char *dir, const char *name)
{
    if (!dir || !*dir || strcmp(dir, ".") == 0)
        return tt_strdup(*name ? name : ".");
    if (!*name)
        return tt_strdup(dir);
    return tt_format(dir[strlen(dir) - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

struct tt_op *tt_file_unsupported(struct tt_env *env, struct tt_scope *scope, const char *what)
{
    return tt_op_finished_new(
        scope, tt_error_new(TT_UNSUPPORTED, "%s: %s is not possible here", env->text, what));
}

struct tt_op *tt_file_no_digest(struct tt_file *file, struct tt_scope *scope)
{
    (void)file;
    return tt_op_finished_new(
        scope, tt_error_new(TT_UNSUPPORTED, "a file has no checksum before it is finished"));
}

struct tt_op *tt_no_put_tree(struct tt_env *env, struct tt_scope *scope, const char *here,
                             const char *there)
{
    (void)here, (void)there;
    return tt_file_unsupported(env, scope, "a tree in one stream");
}

struct tt_op *tt_no_get_tree(struct tt_env *env, struct tt_scope *scope, const char *there,
                             const char *here)
{
    return tt_no_put_tree(env, scope, here, there);
}

/* --- whole files: one operation that leads others, one at a time --- */

enum { chunk = 256 * 1024 };

struct whole_op {
    struct tt_bytes_op bytes; /* what was read; the operation itself */
    struct tt_scope *steps;   /* where they run: cancelled with the operation */
    struct tt_file *file;
    struct tt_buf buf; /* read so far, or what is to be written */
    size_t max;
    char *path;
};

static struct tt_op *op_of(struct whole_op *whole)
{
    return &whole->bytes.op;
}

static void whole_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct whole_op *)(void *)op)->steps, why);
}

static void whole_free(struct tt_op *op)
{
    struct whole_op *whole = (struct whole_op *)(void *)op;
    if (whole->file)
        whole->file->class_->free(whole->file);
    tt_buf_free(&whole->buf);
    free(whole->path);
    tt_scope_release(whole->steps);
    tt_bytes_op_free(op);
}

/* Lets go of the step that is done. False when it failed: the whole has then failed too. */
static bool step_went_well(struct whole_op *whole, struct tt_op *step)
{
    struct tt_error *err = step->error;
    step->error = NULL;
    tt_op_release(step);
    if (err)
        tt_op_finish(op_of(whole), err);
    return !err;
}

static struct whole_op *whole_new(const struct tt_op_class *class_, struct tt_scope *scope,
                                  const char *path)
{
    struct whole_op *whole = tt_zalloc(sizeof *whole);
    whole->path = tt_strdup(path);
    whole->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(op_of(whole), class_, scope);
    return whole;
}

static void on_read(struct tt_op *step, void *arg)
{
    struct whole_op *whole = arg;
    const struct tt_bytes *got = tt_bytes_of(step);
    size_t length = step->error ? 0 : got->length;
    bool too_much = length > whole->max - whole->buf.length;
    char *room = too_much || !length ? NULL : tt_buf_reserve(&whole->buf, length);
    if (room) {
        memcpy(room, got->data, length);
        whole->buf.length += length;
    }
    if (!step_went_well(whole, step))
        return;
    if (too_much) {
        tt_op_finish(op_of(whole), tt_error_new(TT_OUTPUT_LIMIT, "%s: more than %zu bytes",
                                                whole->path, whole->max));
    } else if (room) {
        tt_op_await(whole->file->class_->read(whole->file, whole->steps, chunk), on_read, whole);
    } else if (length) {
        tt_op_finish(op_of(whole), tt_error_new(TT_IO, "%s: not enough memory", whole->path));
    } else {
        whole->bytes.bytes.length = whole->buf.length;
        whole->bytes.bytes.data = whole->buf.length ? tt_buf_take(&whole->buf) : NULL;
        tt_op_finish(op_of(whole), NULL);
    }
}

static void on_opened_to_read(struct tt_op *step, void *arg)
{
    struct whole_op *whole = arg;
    whole->file = tt_file_of(step);
    if (step_went_well(whole, step))
        tt_op_await(whole->file->class_->read(whole->file, whole->steps, chunk), on_read, whole);
}

struct tt_op *tt_read_file(struct tt_env *env, struct tt_scope *scope, const char *path, size_t max)
{
    static const struct tt_op_class class_ = {"reading a file", whole_cancel, whole_free};
    struct whole_op *whole = whole_new(&class_, scope, path);
    whole->max = max;
    if (!tt_op_finished(op_of(whole)))
        tt_op_await(env->class_->files->open_read(env, whole->steps, path), on_opened_to_read,
                    whole);
    return op_of(whole);
}

static void on_committed(struct tt_op *step, void *arg)
{
    struct whole_op *whole = arg;
    if (step_went_well(whole, step))
        tt_op_finish(op_of(whole), NULL);
}

static void on_written(struct tt_op *step, void *arg)
{
    struct whole_op *whole = arg;
    if (step_went_well(whole, step))
        tt_op_await(whole->file->class_->commit(whole->file, whole->steps), on_committed, whole);
}

static void on_opened_to_write(struct tt_op *step, void *arg)
{
    struct whole_op *whole = arg;
    whole->file = tt_file_of(step);
    if (step_went_well(whole, step))
        tt_op_await(whole->file->class_->write(whole->file, whole->steps, whole->buf.data,
                                               whole->buf.length),
                    on_written, whole);
}

struct tt_op *tt_write_file(struct tt_env *env, struct tt_scope *scope, const char *path,
                            const void *data, size_t length, const struct tt_write_options *options)
{
    static const struct tt_op_class class_ = {"writing a file", whole_cancel, whole_free};
    struct whole_op *whole = whole_new(&class_, scope, path);
    struct tt_write_options exact = *options;
    exact.size = (int64_t)length;
    if (tt_op_finished(op_of(whole)))
        return op_of(whole);
    tt_buf_add(&whole->buf, data, length);
    tt_op_await(env->class_->files->open_write(env, whole->steps, path, &exact), on_opened_to_write,
                whole);
    return op_of(whole);
}
