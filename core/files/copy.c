/* tt_copy: a file or a tree from one environment to another, over their file classes alone.
 *
 * The work is a stack of items, each an operation made of steps, that a batch takes from the top. A
 * directory is made first with a mode that lets us write, and gets its own mode by an item of its
 * own when all below it is there. The symlink that the
 * copy starts at is followed, those below it are copied. Between this machine and another, a whole
 * directory may go in one stream instead (put_tree, get_tree). */
#include "core/async/batch.h"
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/files/commit.h"
#include "core/files/pump.h"

#include <stdlib.h>
#include <string.h>

/* Small files wait for answers most of their time, large ones for room and memory. */
enum { at_once = 64, large_at_once = 8, large_size = 512 * 1024, reread_size = 1 << 20 };

/* A directory that was made there, with its children on their way. */
struct folder {
    struct folder *parent; /* held; NULL for the top */
    unsigned refs;         /* the items in it, and its last item */
    size_t left;           /* items in it that are not yet there */
    char *to;
    unsigned mode;
};

struct item {
    struct tt_op op; /* begun once the batch takes the item */
    struct tt_chain chain;
    struct item *next;
    struct copy *copy;
    struct folder *in;   /* held; NULL for the top */
    struct folder *made; /* held: this is its last item, which gives it its mode; or NULL */
    char *from, *to;
    struct tt_stat stat; /* target owned */
    struct tt_file *source, *target;
    bool large; /* counted as one */
};

struct copy {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_env *from, *to;
    struct item *pending;
    unsigned large; /* large files under way */
};

static struct item *item_of(struct tt_op *op)
{
    return (struct item *)(void *)op;
}

static struct copy *copy_of(struct tt_op *op)
{
    return (struct copy *)(void *)op;
}

static struct folder *folder_retain(struct folder *folder)
{
    if (folder)
        folder->refs++;
    return folder;
}

static void folder_release(struct folder *folder)
{
    while (folder && --folder->refs == 0) {
        struct folder *parent = folder->parent;
        free(folder->to);
        free(folder);
        folder = parent;
    }
}

static void item_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&item_of(op)->chain, why);
}

static void item_free(struct tt_op *op)
{
    struct item *item = item_of(op);
    if (item->source)
        item->source->class_->free(item->source);
    if (item->target)
        item->target->class_->free(item->target);
    folder_release(item->in);
    folder_release(item->made);
    free(item->from);
    free(item->to);
    free(item->stat.target);
    free(item);
}

static void copy_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&copy_of(op)->chain, why);
}

static void copy_free(struct tt_op *op)
{
    struct copy *copy = copy_of(op);
    while (copy->pending) {
        struct item *item = copy->pending;
        copy->pending = item->next;
        item_free(&item->op);
    }
    tt_env_release(copy->from);
    tt_env_release(copy->to);
    free(copy);
}

static struct item *push(struct copy *copy, struct folder *in, char *from, char *to)
{
    struct item *item = tt_zalloc(sizeof *item);
    item->copy = copy;
    item->in = folder_retain(in);
    item->from = from;
    item->to = to;
    item->next = copy->pending;
    copy->pending = item;
    return item;
}

static void then(struct item *item, struct tt_op *step, tt_chain_step *next)
{
    tt_then(&item->chain, &item->op, step, next);
}

/* The item is there; after the last one in a directory, that one gets its mode. */
static void item_ends(struct item *item)
{
    struct folder *in = item->in;
    item->copy->large -= item->large;
    if (in && --in->left == 0)
        push(item->copy, in->parent, NULL, tt_strdup(in->to))->made = folder_retain(in);
    tt_op_finish(&item->op, NULL);
}

static void on_last_step(struct tt_op *op, struct tt_op *step)
{
    if (!tt_chain_fails(op, step))
        item_ends(item_of(op));
}

/* --- a file: open both, pump, compare and commit --- */

static void on_committed(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    bool damaged = !step->error && tt_commit_damaged(step);
    if (tt_chain_fails(op, step))
        return;
    if (damaged)
        tt_op_finish(op, tt_error_new(TT_IO,
                                      "%s arrived damaged, or %s changed while it was copied: "
                                      "their checksums differ",
                                      item->to, item->from));
    else
        item_ends(item);
}

static void on_pumped(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    char sha256[tt_digest_hex_size];
    memcpy(sha256, ((struct tt_pump_op *)(void *)step)->sha256, sizeof sha256);
    if (!tt_chain_fails(op, step))
        then(item,
             tt_commit(item->target, item->to, *sha256 ? sha256 : NULL, item->source, op->scope),
             on_committed);
}

/* While a large file moves, there is no processor to spare: both sides hash it at once afterwards.
 */
static bool is_hashed_on_the_way(const struct item *item)
{
    bool afterwards = item->source->rereads && item->source->stat.size >= reread_size;
    return !item->target->compares && !afterwards;
}

static void on_target_open(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    item->target = tt_file_of(step);
    if (!tt_chain_fails(op, step))
        then(item,
             tt_pump(item->source, item->target, tt_pump_max(&item->source->stat),
                     is_hashed_on_the_way(item), op->scope),
             on_pumped);
}

static void on_source_open(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct copy *copy = item->copy;
    item->source = tt_file_of(step);
    if (tt_chain_fails(op, step))
        return;
    struct tt_write_options options = {.mode = (int)item->source->stat.mode,
                                       .size = tt_pump_promise(&item->source->stat)};
    then(item, copy->to->class_->files->open_write(copy->to, item->op.scope, item->to, &options),
         on_target_open);
}

/* --- a directory: make, list, its children, its mode --- */

static void set_mode(struct item *item, unsigned mode)
{
    struct tt_env *to = item->copy->to;
    then(item, to->class_->files->mkdir(to, item->op.scope, item->to, (int)mode), on_last_step);
}

static void on_listed(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct copy *copy = item->copy;
    const struct tt_entries *entries = tt_entries_of(step);
    if (tt_chain_fails(op, step))
        return;
    if (entries->count == 0) {
        set_mode(item, item->stat.mode);
        return;
    }
    struct folder *folder = tt_zalloc(sizeof *folder);
    folder->parent = folder_retain(item->in);
    folder->to = tt_strdup(item->to);
    folder->mode = item->stat.mode;
    folder->left = entries->count;
    if (folder->parent)
        folder->parent->left++; /* its last item comes in place of this one */
    for (size_t i = 0; i < entries->count; i++) {
        const char *name = entries->items[i].path;
        struct item *child =
            push(copy, folder, tt_path_join(item->from, name), tt_path_join(item->to, name));
        child->stat = entries->items[i].stat;
        entries->items[i].stat.target = NULL;
    }
    item_ends(item);
}

static void on_made(struct tt_op *op, struct tt_op *step)
{
    struct item *item = item_of(op);
    struct tt_env *from = item->copy->from;
    if (!tt_chain_fails(op, step))
        then(item, from->class_->files->list(from, op->scope, item->from), on_listed);
}

/* --- all of it --- */

static void begin(struct item *item)
{
    struct copy *copy = item->copy;
    struct tt_scope *scope = item->op.scope;
    const struct tt_file_class *from = copy->from->class_->files, *to = copy->to->class_->files;
    if (item->made) {
        set_mode(item, item->made->mode);
        return;
    }
    switch (item->stat.type) {
    case TT_FILE_REGULAR:
        then(item, from->open_read(copy->from, scope, item->from), on_source_open);
        return;
    case TT_FILE_SYMLINK:
        then(item, to->symlink(copy->to, scope, item->stat.target, item->to), on_last_step);
        return;
    case TT_FILE_DIRECTORY:
        then(item, to->mkdir(copy->to, scope, item->to, -1), on_made);
        return;
    case TT_FILE_OTHER:
        tt_op_finish(&item->op,
                     tt_error_new(TT_UNSUPPORTED,
                                  "%s cannot be copied: it is no file, directory or symlink",
                                  item->from));
        return;
    }
}

/* The item on top, unless that is one large file too many: it waits for another to end. */
static struct tt_op *next_item(void *arg, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"copying an entry", item_cancel, item_free};
    struct copy *copy = arg;
    struct item *item = copy->pending;
    if (!item)
        return NULL;
    item->large = item->stat.type == TT_FILE_REGULAR && item->stat.size >= large_size;
    if (item->large && copy->large == large_at_once)
        return NULL;
    copy->large += item->large;
    copy->pending = item->next;
    tt_op_init(&item->op, &class_, scope);
    if (!tt_op_finished(&item->op))
        begin(item);
    return &item->op;
}

static void on_all_there(struct tt_op *op, struct tt_op *batch)
{
    if (!tt_chain_fails(op, batch))
        tt_op_finish(op, NULL);
}

static void copy_items(struct copy *copy)
{
    tt_then(&copy->chain, &copy->op, tt_batch(copy->op.scope, at_once, next_item, copy),
            on_all_there);
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

static void on_tree(struct tt_op *op, struct tt_op *step)
{
    if (step->error && step->error->kind == TT_UNSUPPORTED)
        copy_items(copy_of(op));
    else
        on_all_there(op, step);
}

static void on_place_known(struct tt_op *op, struct tt_op *step)
{
    struct copy *copy = copy_of(op);
    struct item *top = copy->pending;
    bool taken = tt_stat_of(step) != NULL;
    if (tt_chain_fails(op, step))
        return;
    const struct tt_file_class *from = copy->from->class_->files, *to = copy->to->class_->files;
    if (taken) /* it merges into what is there */
        copy_items(copy);
    else if (copy->from->class_->paths_are_here)
        tt_then(&copy->chain, op, to->put_tree(copy->to, op->scope, top->from, top->to), on_tree);
    else
        tt_then(&copy->chain, op, from->get_tree(copy->from, op->scope, top->from, top->to),
                on_tree);
}

static void on_top_known(struct tt_op *op, struct tt_op *step)
{
    struct copy *copy = copy_of(op);
    struct item *top = copy->pending;
    const struct tt_stat *stat = tt_stat_of(step);
    bool missing = !stat;
    if (stat)
        top->stat = *stat;
    top->stat.target = NULL;
    if (tt_chain_fails(op, step))
        return;
    bool folder = top->stat.type == TT_FILE_DIRECTORY;
    if (missing)
        tt_op_finish(
            op, tt_error_new(TT_NOT_FOUND, "cannot copy %s: there is no such file", top->from));
    else if (folder && into_itself(copy->from, top->from, copy->to, top->to))
        tt_op_finish(op, tt_error_new(TT_INVALID, "%s cannot be copied into itself, to %s",
                                      top->from, top->to));
    else if (folder && copy->from->class_->paths_are_here != copy->to->class_->paths_are_here)
        tt_then(&copy->chain, op,
                copy->to->class_->files->stat(copy->to, op->scope, top->to, false), on_place_known);
    else
        copy_items(copy);
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
    tt_op_init(&copy->op, &class_, scope);
    if (tt_op_finished(&copy->op))
        return &copy->op;
    push(copy, NULL, tt_strdup(from_path), tt_strdup(to_path));
    tt_then(&copy->chain, &copy->op, from->class_->files->stat(from, scope, from_path, true),
            on_top_known);
    return &copy->op;
}
