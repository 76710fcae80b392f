#include "executors/remote/shell_files.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "executors/remote/shell_agent.h"
#include "executors/remote/shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { small_answer = 64 << 10, long_answer = 64 << 20 };

/* --- words --- */

char *tx_shell_path(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return tt_format("%s%.*s", *path == '/' ? "" : "./", (int)length, path);
}

void tx_shell_add(struct tt_buf *script, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at;) {
        size_t run = strcspn(at, "%");
        tt_buf_add(script, at, run);
        at += run;
        if (*at == '%' && at[1] == 's') {
            tx_agent_quote(script, va_arg(args, const char *));
            at += 2;
        } else if (*at == '%') { /* %% */
            tt_buf_add(script, "%", 1);
            at += 2;
        }
    }
    va_end(args);
}

static bool says(const struct tt_buf *said, const char *what)
{
    return said->length && memmem(said->data, said->length, what, strlen(what));
}

struct tt_error *tx_shell_error(const char *path, const struct tt_buf *said)
{
    enum tt_kind kind = TT_IO;
    if (says(said, "No such file") || says(said, "Not a directory"))
        kind = TT_NOT_FOUND;
    else if (says(said, "ermission denied") || says(said, "not permitted"))
        kind = TT_PERMISSION;
    else if (says(said, ": not found"))
        kind = TT_UNSUPPORTED; /* the tool */
    size_t length = said->length;
    while (length && said->data[length - 1] == '\n')
        length--;
    return tt_error_new(kind, "%s: %.*s", path, (int)length, length ? said->data : "");
}

long tx_shell_stat_read(struct tt_stat *stat, const char *text, size_t length)
{
    unsigned long long fields[5]; /* mode, size, mtime, uid, gid */
    char *line = tt_strndup(text, length < 200 ? length : 200), *at = line;
    for (int i = 0; i < 5 && at; i++) {
        char *end;
        fields[i] = strtoull(at, &end, i == 0 ? 16 : 10);
        at = end > at && (*end == ' ' || i == 4) ? end + (i < 4) : NULL;
    }
    long used = at ? at - line : -1;
    free(line);
    if (used < 0)
        return -1;
    unsigned mode = (unsigned)fields[0];
    *stat = (struct tt_stat){.type = S_ISREG(mode)   ? TT_FILE_REGULAR
                                     : S_ISDIR(mode) ? TT_FILE_DIRECTORY
                                     : S_ISLNK(mode) ? TT_FILE_SYMLINK
                                                     : TT_FILE_OTHER,
                             .size = fields[1],
                             .mode = mode & 07777,
                             .mtime = (int64_t)fields[2],
                             .uid = (unsigned)fields[3],
                             .gid = (unsigned)fields[4]};
    return used;
}

/* --- what has no result --- */

struct simple {
    struct tt_op op;
    struct tt_chain chain;
    char *path;
};

static void simple_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct simple *)(void *)op)->chain, why);
}

static void simple_free(struct tt_op *op)
{
    free(((struct simple *)(void *)op)->path);
    free(op);
}

static void on_simple(struct tt_op *op, struct tt_op *ask)
{
    struct simple *simple = (struct simple *)(void *)op;
    struct tt_error *err = tt_error_copy(ask->error);
    if (!err && tx_agent_code(ask) != 0)
        err = tx_shell_error(simple->path, tx_agent_answer(ask));
    tt_op_finish(op, err);
}

/* Takes what script holds. */
static struct tt_op *simply(struct tt_env *env, struct tt_scope *scope, const char *path,
                            struct tt_buf *script)
{
    static const struct tt_op_class class_ = {"files", simple_cancel, simple_free};
    struct simple *simple = tt_zalloc(sizeof *simple);
    simple->path = tt_strdup(path);
    tt_op_init(&simple->op, &class_, scope);
    if (!tt_op_finished(&simple->op))
        tt_then(&simple->chain, &simple->op,
                tx_agent_ask(env, scope, script->data, NULL, 0, small_answer), on_simple);
    tt_buf_free(script);
    return &simple->op;
}

static struct tt_op *shell_remove(struct tt_env *env, struct tt_scope *scope, const char *path,
                                  bool recursive)
{
    struct tt_buf script = {0};
    char *p = tx_shell_path(path);
    tx_shell_add(&script,
                 "[ -e %s ]||[ -L %s ]||{ echo No such file or directory;exit 1;};"
                 "if [ -d %s ]&&[ ! -L %s ];then ",
                 p, p, p, p);
    tx_shell_add(&script, recursive ? "rm -rf -- %s" : "rmdir -- %s", p);
    tx_shell_add(&script, ";else rm -f -- %s;fi", p);
    free(p);
    return simply(env, scope, path, &script);
}

static struct tt_op *shell_mkdir(struct tt_env *env, struct tt_scope *scope, const char *path,
                                 int mode)
{
    struct tt_buf script = {0};
    char *p = tx_shell_path(path);
    tx_shell_add(&script, "mkdir -p -- %s", p);
    if (mode >= 0) {
        tt_buf_format(&script, "&&chmod %04o -- ", (unsigned)mode & 07777);
        tx_agent_quote(&script, p);
    }
    free(p);
    return simply(env, scope, path, &script);
}

static struct tt_op *shell_symlink(struct tt_env *env, struct tt_scope *scope, const char *target,
                                   const char *path)
{
    struct tt_buf script = {0};
    char nonce[tx_nonce_size];
    struct tt_error *err = NULL;
    if (tx_shim_nonce(nonce, &err) < 0)
        return tt_op_finished_new(scope, err);
    char *p = tx_shell_path(path);
    char *temporary = tt_format("%s.tutti-%s", p, nonce);
    /* -T keeps mv from moving into a directory that a link stands for; older ones don't know it */
    tx_shell_add(&script,
                 "ln -s -- %s %s||exit 1;mv -fT -- %s %s 2>/dev/null||{ "
                 "if [ -d %s ]&&[ ! -L %s ];then rm -f -- %s;echo Is a directory;exit 1;fi;"
                 "rm -f -- %s&&mv -f -- %s %s||{ rm -f -- %s;exit 1;};}",
                 target, temporary, temporary, p, p, p, temporary, p, temporary, p, temporary);
    free(p);
    free(temporary);
    return simply(env, scope, path, &script);
}

/* --- stat --- */

struct stat_op {
    struct tt_stat_op base;
    struct tt_chain chain;
    char *path;
};

static void stat_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct stat_op *)(void *)op)->chain, why);
}

static void stat_free(struct tt_op *op)
{
    free(((struct stat_op *)(void *)op)->path);
    tt_stat_op_free(op);
}

static void on_stat(struct tt_op *op, struct tt_op *ask)
{
    struct stat_op *stat = (struct stat_op *)(void *)op;
    struct tt_buf *said = tx_agent_answer(ask);
    struct tt_error *err = tt_error_copy(ask->error);
    long used =
        err ? -1 : tx_shell_stat_read(&stat->base.stat, said->data ? said->data : "", said->length);
    if (!err && tx_agent_code(ask) != 0) {
        err = tx_shell_error(stat->path, said);
        if (err->kind == TT_NOT_FOUND) {
            tt_error_free(err);
            err = NULL;
        }
    } else if (!err && used < 0) {
        err = tt_error_new(TT_IO, "%s: stat said what is not understood", stat->path);
    } else if (!err) {
        stat->base.exists = true;
        if (stat->base.stat.type == TT_FILE_SYMLINK && said->length > (size_t)used + 1)
            stat->base.stat.target =
                tt_strndup(said->data + used + 1, said->length - (size_t)used - 1);
    }
    tt_op_finish(op, err);
}

static struct tt_op *shell_stat(struct tt_env *env, struct tt_scope *scope, const char *path,
                                bool follow)
{
    static const struct tt_op_class class_ = {"stat", stat_cancel, stat_free};
    struct stat_op *stat = tt_zalloc(sizeof *stat);
    stat->path = tt_strdup(path);
    tt_op_init(&stat->base.op, &class_, scope);
    if (tt_op_finished(&stat->base.op))
        return &stat->base.op;
    struct tt_buf script = {0};
    char *p = tx_shell_path(path);
    tx_shell_add(&script,
                 follow ? "stat -L -c '%%f %%s %%Y %%u %%g' -- %s"
                        : "stat -c '%%f %%s %%Y %%u %%g' -- %s",
                 p);
    if (!follow)
        tx_shell_add(&script, "&&{ [ ! -L %s ]||readlink -n -- %s;}", p, p);
    free(p);
    tt_then(&stat->chain, &stat->base.op,
            tx_agent_ask(env, scope, script.data, NULL, 0, small_answer), on_stat);
    tt_buf_free(&script);
    return &stat->base.op;
}

/* --- list --- */

struct list_op {
    struct tt_entries_op base;
    struct tt_chain chain;
    char *path;
    char nonce[tx_nonce_size];
};

static void list_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct list_op *)(void *)op)->chain, why);
}

static void list_free(struct tt_op *op)
{
    free(((struct list_op *)(void *)op)->path);
    tt_entries_op_free(op);
}

static struct tt_entry *entry_named(struct tt_entries *entries, const char *name)
{
    size_t low = 0, high = entries->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(entries->items[middle].path, name);
        if (order == 0)
            return &entries->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* One record: "MODE SIZE … ./name", or "= ./link" and on the next line where it points. */
static bool read_record(struct tt_entries *entries, const char *text, size_t length)
{
    struct tt_stat stat;
    if (length > 4 && memcmp(text, "= ./", 4) == 0) {
        /* names may have newlines in them: the link's own record told its length */
        for (size_t at = 4; at < length; at++) {
            if (text[at] != '\n')
                continue;
            char *name = tt_strndup(text + 4, at - 4);
            struct tt_entry *entry = entry_named(entries, name);
            free(name);
            if (entry && entry->stat.type == TT_FILE_SYMLINK && !entry->stat.target &&
                entry->stat.size == length - at - 1) {
                entry->stat.target = tt_strndup(text + at + 1, length - at - 1);
                return true;
            }
        }
        return false;
    }
    long used = tx_shell_stat_read(&stat, text, length);
    if (used < 0 || length < (size_t)used + 4)
        return false;
    tt_entries_add(entries, tt_strndup(text + used + 3, length - (size_t)used - 3), &stat);
    return true;
}

static int read_list(struct list_op *list, const struct tt_buf *said, struct tt_error **err)
{
    char mark[tx_nonce_size + 4];
    int width = snprintf(mark, sizeof mark, "@%s ", list->nonce);
    bool links = false;
    const char *at = said->data, *end = said->data + said->length;
    while (at && at < end) {
        if (end - at < width || memcmp(at, mark, (size_t)width) != 0)
            return tt_fail(err, TT_IO, "%s: %.*s", list->path, (int)strcspn(at, "\n"), at);
        at += width;
        const char *stop = memmem(at, (size_t)(end - at), mark, (size_t)width);
        const char *last = (stop ? stop : end) - 1; /* the newline */
        if (!links && *at == '=') {
            links = true;
            tt_entries_sort(&list->base.entries);
        }
        if (last < at || *last != '\n' ||
            !read_record(&list->base.entries, at, (size_t)(last - at)))
            return tt_fail(err, TT_IO, "%s: a listing that is not understood", list->path);
        at = stop;
    }
    if (!links)
        tt_entries_sort(&list->base.entries);
    return 0;
}

static void on_list(struct tt_op *op, struct tt_op *ask)
{
    struct list_op *list = (struct list_op *)(void *)op;
    struct tt_error *err = tt_error_copy(ask->error);
    if (!err && tx_agent_code(ask) != 0)
        err = tx_shell_error(list->path, tx_agent_answer(ask));
    else if (!err)
        read_list(list, tx_agent_answer(ask), &err);
    tt_op_finish(op, err);
}

static struct tt_op *shell_list(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"list", list_cancel, list_free};
    struct list_op *list = tt_zalloc(sizeof *list);
    struct tt_error *err = NULL;
    list->path = tt_strdup(path);
    tt_op_init(&list->base.op, &class_, scope);
    if (tt_op_finished(&list->base.op))
        return &list->base.op;
    if (tx_shim_nonce(list->nonce, &err) < 0) {
        tt_op_finish(&list->base.op, err);
        return &list->base.op;
    }
    struct tt_buf script = {0};
    char *p = tx_shell_path(path);
    tx_shell_add(&script,
                 "[ -d %s ]||{ [ -e %s ]&&echo Not a directory||echo No such file or directory;"
                 "exit 1;};cd %s&&",
                 p, p, p);
    tt_buf_format(
        &script,
        "find . -mindepth 1 -maxdepth 1 -exec stat -c '@%s %%f %%s %%Y %%u %%g %%n' -- "
        "{} +&&find . -mindepth 1 -maxdepth 1 -type l -exec sh -c "
        "'for f;do printf \"@%s = %%s\\n\" \"$f\";readlink -n -- \"$f\";echo;done' sh {} +",
        list->nonce, list->nonce);
    free(p);
    tt_then(&list->chain, &list->base.op,
            tx_agent_ask(env, scope, script.data, NULL, 0, long_answer), on_list);
    tt_buf_free(&script);
    return &list->base.op;
}

/* --- digest --- */

struct digest_op {
    struct tt_digest_op base;
    struct tt_chain chain;
    char *path;
};

static void digest_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct digest_op *)(void *)op)->chain, why);
}

static void digest_free(struct tt_op *op)
{
    free(((struct digest_op *)(void *)op)->path);
    free(op);
}

static void on_digest(struct tt_op *op, struct tt_op *ask)
{
    struct digest_op *digest = (struct digest_op *)(void *)op;
    struct tt_buf *said = tx_agent_answer(ask);
    struct tt_error *err = tt_error_copy(ask->error);
    bool hex = said->length >= 64 && strspn(said->data, "0123456789abcdef") == 64;
    if (!err && tx_agent_code(ask) == 0 && hex)
        memcpy(digest->base.hex, said->data, 64);
    else if (!err)
        err = tx_shell_error(digest->path, said);
    tt_op_finish(op, err);
}

static struct tt_op *shell_digest(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"digest", digest_cancel, digest_free};
    struct digest_op *digest = tt_zalloc(sizeof *digest);
    digest->path = tt_strdup(path);
    tt_op_init(&digest->base.op, &class_, scope);
    if (tt_op_finished(&digest->base.op))
        return &digest->base.op;
    struct tt_buf script = {0};
    char *p = tx_shell_path(path);
    tx_shell_add(&script,
                 "[ -e %s ]||{ echo No such file or directory;exit 1;};"
                 "[ -d %s ]&&{ echo Is a directory;exit 1;};sha256sum <%s",
                 p, p, p);
    free(p);
    tt_then(&digest->chain, &digest->base.op,
            tx_agent_ask(env, scope, script.data, NULL, 0, small_answer), on_digest);
    tt_buf_free(&script);
    return &digest->base.op;
}

struct tt_op *tx_shell_files_close(struct tt_env *env, struct tt_scope *scope)
{
    tx_agent_end(tt_scope_loop(scope), env);
    return tt_op_finished_new(scope, NULL);
}

const struct tt_file_class tx_shell_files = {
    .stat = shell_stat,
    .list = shell_list,
    .open_read = tx_shell_open_read,
    .open_write = tx_shell_open_write,
    .remove = shell_remove,
    .mkdir = shell_mkdir,
    .symlink = shell_symlink,
    .digest = shell_digest,
    .glob = tt_glob_by_listing,
    .put_tree = tx_shell_put_tree,
    .get_tree = tx_shell_get_tree,
};
