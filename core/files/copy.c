/* tt_copy: a file or a tree from one environment to another, over their file classes alone.
 *
 * The work is a stack of items, each a little chain of operations. A directory is made first with a
 * mode that lets us write, and gets its own mode when all below it is there. The symlink that the
 * copy starts at is followed, those below it are copied. Between this machine and another, a whole
 * directory may go in one stream instead (put_tree, get_tree). */
#include "core/base/alloc.h"
#include "core/files/commit.h"
#include "core/files/pump.h"

#include <stdlib.h>
#include <string.h>

/* Small files wait for answers most of their time, large ones for room and memory. */
enum { at_once = 64, large_at_once = 8, large_size = 512 * 1024, reread_size = 1 << 20 };

struct item {
    struct item *next;
    struct copy *copy;
    struct item *parent; /* the directory's item; NULL for the top */
    char *from, *to;
    struct tt_stat stat; /* target owned */
    struct tt_file *source, *target;
    bool listed;     /* a directory whose children are known */
    bool large;      /* counted as one */
    size_t children; /* those that are not yet there */
};

struct copy {
    struct tt_op op;
    struct tt_scope *steps; /* cancelled with the operation, and by its first error */
    struct tt_env *from, *to;
    struct item *pending;
    unsigned running, large;
    struct tt_error *error;
};

static void close_files(struct item *item)
{
    if (item->source)
        item->source->class_->free(item->source);
    if (item->target)
        item->target->class_->free(item->target);
    item->source = item->target = NULL;
}

static void item_free(struct item *item)
{
    close_files(item);
    free(item->from);
    free(item->to);
    free(item->stat.target);
    free(item);
}

static void copy_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct copy *)(void *)op)->steps, why);
}

static void copy_free(struct tt_op *op)
{
    struct copy *copy = (struct copy *)(void *)op;
    tt_error_free(copy->error);
    tt_scope_release(copy->steps);
    tt_env_release(copy->from);
    tt_env_release(copy->to);
    free(copy);
}

static struct item *push(struct copy *copy, struct item *parent, char *from, char *to)
{
    struct item *item = tt_zalloc(sizeof *item);
    item->copy = copy;
    item->parent = parent;
    item->from = from;
    item->to = to;
    item->next = copy->pending;
    copy->pending = item;
    return item;
}

static void go_on(struct copy *copy);

/* An item is there, or never will be; with the last child its directory gets its mode. */
static void item_over(struct item *item)
{
    struct copy *copy = item->copy;
    struct item *parent = item->parent;
    item_free(item);
    if (parent && --parent->children == 0) {
        parent->next = copy->pending;
        copy->pending = parent;
    }
}

static void item_ends(struct item *item)
{
    struct copy *copy = item->copy;
    if (item->large)
        copy->large--;
    item_over(item);
    copy->running--;
    go_on(copy);
}

/* Takes err, which may be NULL. */
static void item_fails(struct item *item, struct tt_error *err)
{
    struct copy *copy = item->copy;
    if (!copy->error) {
        copy->error = err;
        tt_scope_cancel(copy->steps, err);
    } else {
        tt_error_free(err);
    }
    item_ends(item);
}

/* True when the step went well; else the item has ended. Releases the step. */
static bool went_well(struct item *item, struct tt_op *step)
{
    struct tt_error *err = step->error;
    step->error = NULL;
    tt_op_release(step);
    if (err)
        item_fails(item, err);
    return !err;
}

static void on_last_step(struct tt_op *step, void *arg)
{
    if (went_well(arg, step))
        item_ends(arg);
}

/* --- a file: open both, pump, compare and commit --- */

static void on_committed(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    bool damaged = !step->error && tt_commit_damaged(step);
    if (!went_well(item, step))
        return;
    if (damaged)
        item_fails(item, tt_error_new(TT_IO,
                                      "%s arrived damaged, or %s changed while it was copied: "
                                      "their checksums differ",
                                      item->to, item->from));
    else
        item_ends(item);
}

static void on_pumped(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    char sha256[tt_digest_hex_size];
    memcpy(sha256, ((struct tt_pump_op *)(void *)step)->sha256, sizeof sha256);
    if (went_well(item, step))
        tt_op_await(tt_commit(item->target, item->to, *sha256 ? sha256 : NULL, item->source,
                              item->copy->steps),
                    on_committed, item);
}

/* While a large file moves, there is no processor to spare: both sides hash it at once afterwards.
 */
static bool is_hashed_on_the_way(const struct item *item)
{
    bool afterwards = item->source->rereads && item->source->stat.size >= reread_size;
    return !item->target->compares && !afterwards;
}

static void on_target_open(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    item->target = tt_file_of(step);
    if (went_well(item, step))
        tt_op_await(tt_pump(item->source, item->target, tt_pump_max(&item->source->stat),
                            is_hashed_on_the_way(item), item->copy->steps),
                    on_pumped, item);
}

static void on_source_open(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct copy *copy = item->copy;
    item->source = tt_file_of(step);
    if (!went_well(item, step))
        return;
    struct tt_write_options options = {.mode = (int)item->source->stat.mode,
                                       .size = tt_pump_promise(&item->source->stat)};
    tt_op_await(copy->to->class_->files->open_write(copy->to, copy->steps, item->to, &options),
                on_target_open, item);
}

/* --- a directory: make, list, its children, its mode --- */

static void set_mode(struct item *item)
{
    struct copy *copy = item->copy;
    tt_op_await(
        copy->to->class_->files->mkdir(copy->to, copy->steps, item->to, (int)item->stat.mode),
        on_last_step, item);
}

static void on_listed(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct copy *copy = item->copy;
    const struct tt_entries *entries = tt_entries_of(step);
    item->listed = true;
    for (size_t i = 0; i < entries->count && !step->error; i++) {
        const char *name = entries->items[i].path;
        struct item *child =
            push(copy, item, tt_path_join(item->from, name), tt_path_join(item->to, name));
        child->stat = entries->items[i].stat;
        entries->items[i].stat.target = NULL;
        item->children++;
    }
    if (item->children > 0) {
        tt_op_release(step);
        copy->running--;
        go_on(copy);
    } else if (went_well(item, step)) {
        set_mode(item);
    }
}

static void on_made(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct copy *copy = item->copy;
    if (went_well(item, step))
        tt_op_await(copy->from->class_->files->list(copy->from, copy->steps, item->from), on_listed,
                    item);
}

/* --- all of it --- */

static void start(struct item *item)
{
    struct copy *copy = item->copy;
    const struct tt_file_class *from = copy->from->class_->files, *to = copy->to->class_->files;
    switch (item->stat.type) {
    case TT_FILE_REGULAR:
        tt_op_await(from->open_read(copy->from, copy->steps, item->from), on_source_open, item);
        return;
    case TT_FILE_SYMLINK:
        tt_op_await(to->symlink(copy->to, copy->steps, item->stat.target, item->to), on_last_step,
                    item);
        return;
    case TT_FILE_DIRECTORY:
        if (item->listed)
            set_mode(item);
        else
            tt_op_await(to->mkdir(copy->to, copy->steps, item->to, -1), on_made, item);
        return;
    case TT_FILE_OTHER:
        tt_op_await(tt_op_finished_new(copy->steps,
                                       tt_error_new(TT_UNSUPPORTED,
                                                    "%s cannot be copied: it is no file, directory "
                                                    "or symlink",
                                                    item->from)),
                    on_last_step, item);
        return;
    }
}

static bool has_room(const struct copy *copy, bool large)
{
    return copy->error || (copy->running < at_once && (!large || copy->large < large_at_once));
}

static void go_on(struct copy *copy)
{
    while (copy->pending) {
        struct item *item = copy->pending;
        bool large = item->stat.type == TT_FILE_REGULAR && item->stat.size >= large_size;
        if (!has_room(copy, large))
            break;
        copy->pending = item->next;
        if (copy->error) {
            item_over(item);
        } else {
            copy->running++;
            copy->large += large;
            item->large = large;
            start(item);
        }
    }
    if (copy->running > 0)
        return;
    struct tt_error *err = copy->error;
    copy->error = NULL;
    tt_op_finish(&copy->op, err);
}

/* A tree copied into itself would never end. Judged by the text of the paths. */
static bool into_itself(const struct tt_env *from, const char *from_path, const struct tt_env *to,
                        const char *to_path)
{
    size_t length = strlen(from_path);
    while (length > 1 && from_path[length - 1] == '/')
        length--;
    return length > 0 && strcmp(from->identity, to->identity) == 0 &&
           strncmp(from_path, to_path, length) == 0 &&
           (to_path[length] == '/' || from_path[length - 1] == '/') && to_path[length + 1];
}

/* --- a whole tree in one stream --- */

static void on_tree(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    if (step->error && step->error->kind == TT_UNSUPPORTED) {
        tt_op_release(step);
        start(item);
    } else {
        on_last_step(step, item);
    }
}

static void on_place_known(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct copy *copy = item->copy;
    bool taken = tt_stat_of(step) != NULL;
    if (!went_well(item, step))
        return;
    if (taken) /* it merges into what is there */
        start(item);
    else if (copy->from->class_->paths_are_here)
        tt_op_await(copy->to->class_->files->put_tree(copy->to, copy->steps, item->from, item->to),
                    on_tree, item);
    else
        tt_op_await(
            copy->from->class_->files->get_tree(copy->from, copy->steps, item->from, item->to),
            on_tree, item);
}

static void start_tree(struct item *item)
{
    struct copy *copy = item->copy;
    if (copy->from->class_->paths_are_here == copy->to->class_->paths_are_here)
        start(item);
    else
        tt_op_await(copy->to->class_->files->stat(copy->to, copy->steps, item->to, false),
                    on_place_known, item);
}

static void on_top_known(struct tt_op *step, void *arg)
{
    struct item *item = arg;
    struct copy *copy = item->copy;
    const struct tt_stat *stat = tt_stat_of(step);
    bool missing = !stat;
    if (stat)
        item->stat = *stat;
    if (!went_well(item, step))
        return;
    if (missing)
        item_fails(item,
                   tt_error_new(TT_NOT_FOUND, "cannot copy %s: there is no such file", item->from));
    else if (item->stat.type == TT_FILE_DIRECTORY &&
             into_itself(copy->from, item->from, copy->to, item->to))
        item_fails(item, tt_error_new(TT_INVALID, "%s cannot be copied into itself, to %s",
                                      item->from, item->to));
    else if (item->stat.type == TT_FILE_DIRECTORY)
        start_tree(item);
    else
        start(item);
}

struct tt_op *tt_copy(struct tt_env *from, const char *from_path, struct tt_env *to,
                      const char *to_path, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"copy", copy_cancel, copy_free};
    struct copy *copy = tt_zalloc(sizeof *copy);
    copy->from = from;
    copy->to = to;
    tt_env_retain(from);
    tt_env_retain(to);
    copy->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(&copy->op, &class_, scope);
    if (tt_op_finished(&copy->op))
        return &copy->op;
    struct item *top = push(copy, NULL, tt_strdup(from_path), tt_strdup(to_path));
    copy->pending = NULL;
    copy->running = 1;
    tt_op_await(from->class_->files->stat(from, copy->steps, from_path, true), on_top_known, top);
    return &copy->op;
}
