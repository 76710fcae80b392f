/* Files of a container by GET, HEAD and PUT of /containers/ID/archive. Archives pass through files
 * without a name here; libarchive runs on worker threads. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/files/fd_file.h"
#include "executors/docker/files.h"
#include "executors/docker/send.h"
#include "executors/remote/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { piece = 64 << 10 };

static char *archive_path(const char *container, const char *path)
{
    struct tt_buf text = {0};
    tt_buf_text(&text, "/containers/");
    tx_url_escape(&text, container);
    tt_buf_text(&text, "/archive?path=");
    tx_url_escape(&text, path);
    return tt_buf_take(&text);
}

static struct tt_op *ask(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                         const char *method, const char *path)
{
    char *where = archive_path(rooms->container, path);
    struct tx_docker_request request = {.method = method, .path = where, .body = -1};
    struct tt_op *op = tx_docker_send(rooms->docker, scope, &request);
    free(where);
    return op;
}

/* The daemon's message names its container; ours names the path. */
static struct tt_error *about(const char *path, const struct tt_error *error)
{
    struct tt_error *err = tt_error_copy(error);
    tt_fail(&err, err->kind, "%s", path);
    return err;
}

/* --- stat --- */

/* Go's file modes. */
enum { go_symlink = 1 << 27, go_setuid = 1 << 23, go_setgid = 1 << 22, go_sticky = 1 << 20 };
#define GO_DIRECTORY (1u << 31)
#define GO_OTHER     (1u << 26 | 1u << 25 | 1u << 24 | 1u << 21 | 1u << 19)

/* Reads X-Docker-Container-Path-Stat; *target is where a symlink leads in the end. */
static int read_stat(const struct tx_exchange *exchange, struct tt_stat *stat, char **target,
                     struct tt_error **err)
{
    char *header = tx_exchange_header(exchange, "X-Docker-Container-Path-Stat");
    size_t length = 0;
    char *text = header ? tt_base64_decode(header, &length) : NULL;
    json_t *value = NULL;
    int rc = text ? tt_json_parse(&value, text, length, "the daemon's stat", err)
                  : tt_fail(err, TT_IO, "the daemon tells nothing of the file");
    if (rc == 0) {
        unsigned mode = (unsigned)json_integer_value(json_object_get(value, "mode"));
        struct tm when = {0};
        const char *zone = strptime(tx_json_text(value, "mtime"), "%Y-%m-%dT%H:%M:%S", &when);
        stat->type = mode & GO_DIRECTORY ? TT_FILE_DIRECTORY
                     : mode & go_symlink ? TT_FILE_SYMLINK
                     : mode & GO_OTHER   ? TT_FILE_OTHER
                                         : TT_FILE_REGULAR;
        stat->mode = (mode & 0777) | (mode & go_setuid ? 04000 : 0) |
                     (mode & go_setgid ? 02000 : 0) | (mode & go_sticky ? 01000 : 0);
        stat->size = (uint64_t)json_integer_value(json_object_get(value, "size"));
        stat->mtime = zone ? (int64_t)timegm(&when) : 0;
        *target =
            stat->type == TT_FILE_SYMLINK ? tt_strdup(tx_json_text(value, "linkTarget")) : NULL;
    }
    json_decref(value);
    free(text);
    free(header);
    return rc;
}

struct look {
    struct tt_stat_op stat;
    struct tt_chain chain;
    struct tx_docker_rooms rooms;
    char *container, *path;
    bool follow;
    int links;
};

static struct look *look_of(struct tt_op *op)
{
    return (struct look *)(void *)op;
}

static void look_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&look_of(op)->chain, why);
}

static void look_free(struct tt_op *op)
{
    struct look *look = look_of(op);
    tx_docker_release(look->rooms.docker);
    free(look->container);
    free(look->path);
    tt_stat_op_free(op);
}

/* A missing container is answered as a missing file is. */
static void on_container(struct tt_op *op, struct tt_op *inspected)
{
    tt_op_finish(op, tt_error_copy(inspected->error));
}

static void on_looked(struct tt_op *op, struct tt_op *sent)
{
    struct look *look = look_of(op);
    struct tt_error *err = NULL;
    char *target = NULL;
    if (sent->error && sent->error->kind == TT_NOT_FOUND) {
        struct tt_buf path = {0};
        tt_buf_text(&path, "/containers/");
        tx_url_escape(&path, look->container);
        tt_buf_text(&path, "/json");
        tt_then(&look->chain, op,
                tx_api_call(tx_docker_http(look->rooms.docker), op->scope, "GET", path.data, NULL,
                            NULL),
                on_container);
        tt_buf_free(&path);
        return;
    }
    if (sent->error) {
        tt_op_finish(op, about(look->path, sent->error));
        return;
    }
    struct tx_exchange *exchange = tx_docker_sent(sent);
    int rc = read_stat(exchange, &look->stat.stat, &target, &err);
    tx_exchange_free(exchange);
    if (rc == 0 && target && look->follow && *target == '/' && look->links++ < 40) {
        free(look->path);
        look->path = target;
        tt_then(&look->chain, op, ask(&look->rooms, op->scope, "HEAD", look->path), on_looked);
        return;
    }
    look->stat.exists = rc == 0;
    look->stat.stat.target = target;
    tt_op_finish(op, err);
}

struct tt_op *tx_archive_stat(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path, bool follow)
{
    static const struct tt_op_class class_ = {"stat", look_cancel, look_free};
    struct look *look = tt_zalloc(sizeof *look);
    look->rooms = *rooms;
    tx_docker_retain(rooms->docker);
    look->rooms.container = look->container = tt_strdup(rooms->container);
    look->path = tt_strdup(path);
    look->follow = follow;
    tt_op_init(&look->stat.op, &class_, scope);
    if (!tt_op_finished(&look->stat.op))
        tt_then(&look->chain, &look->stat.op, ask(rooms, scope, "HEAD", path), on_looked);
    return &look->stat.op;
}

const char *tx_archive_stat_path(struct tt_op *op)
{
    return look_of(op)->path;
}

/* --- getting an archive, and what a worker thread makes of it --- */

struct fetch {
    union {
        struct tt_op op;
        struct tt_entries_op entries;
        struct tt_file_op file;
    } is;
    struct tt_chain chain;
    struct tx_docker_rooms rooms;
    struct tt_env *env; /* held; NULL for lists */
    char *container, *path;
    struct tx_exchange *exchange;
    struct tt_stat stat;
    int archive, content;
};

static struct fetch *fetch_of(struct tt_op *op)
{
    return (struct fetch *)(void *)op;
}

static void fetch_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&fetch_of(op)->chain, why);
}

static void fetch_free(struct tt_op *op)
{
    struct fetch *fetch = fetch_of(op);
    tx_exchange_free(fetch->exchange);
    if (fetch->archive >= 0)
        close(fetch->archive);
    if (fetch->content >= 0)
        close(fetch->content);
    tx_docker_release(fetch->rooms.docker);
    free(fetch->container);
    free(fetch->path);
    if (fetch->env) {
        tt_env_release(fetch->env);
        tt_file_op_free(op);
    } else {
        tt_entries_op_free(op);
    }
}

static struct fetch *fetch_new(const struct tx_docker_rooms *rooms, struct tt_env *env,
                               struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"archive", fetch_cancel, fetch_free};
    struct fetch *fetch = tt_zalloc(sizeof *fetch);
    fetch->rooms = *rooms;
    tx_docker_retain(rooms->docker);
    fetch->rooms.container = fetch->container = tt_strdup(rooms->container);
    fetch->path = tt_strdup(path);
    fetch->archive = fetch->content = -1;
    fetch->env = env;
    if (env)
        tt_env_retain(env);
    tt_op_init(&fetch->is.op, &class_, scope);
    return fetch;
}

static void on_unpacked(struct tt_op *op, struct tt_op *work)
{
    struct fetch *fetch = fetch_of(op);
    if (!work->error && fetch->env) {
        struct tt_fd_file *file = tt_fd_file_new(fetch->env, fetch->path);
        file->fd = fetch->content;
        lseek(file->fd, 0, SEEK_SET);
        fetch->content = -1;
        file->file.stat = fetch->stat;
        fetch->is.file.file = &file->file;
    }
    tt_op_finish(op, work->error ? about(fetch->path, work->error) : NULL);
}

static void add_child(void *arg, const struct tx_tar_entry *entry, int64_t mtime, unsigned uid,
                      unsigned gid)
{
    struct fetch *fetch = arg;
    const char *slash = strchr(entry->path, '/');
    const char *name = slash ? slash + 1 : "";
    size_t length = strcspn(name, "/");
    if (!length || (name[length] && name[length + 1]))
        return; /* the directory itself, or deeper */
    struct tt_stat stat = {.type = entry->type == 'd'   ? TT_FILE_DIRECTORY
                                   : entry->type == 'l' ? TT_FILE_SYMLINK
                                   : entry->type == 'f' ? TT_FILE_REGULAR
                                                        : TT_FILE_OTHER,
                           .size = (uint64_t)entry->size,
                           .mode = entry->mode,
                           .mtime = mtime,
                           .uid = uid,
                           .gid = gid,
                           .target = entry->target ? tt_strdup(entry->target) : NULL};
    tt_entries_add(&fetch->is.entries.entries, tt_strndup(name, length), &stat);
}

static int unpack(void *arg, struct tt_error **err)
{
    struct fetch *fetch = arg;
    if (!fetch->env) {
        int rc = tx_tar_list(fetch->archive, add_child, fetch, err);
        tt_entries_sort(&fetch->is.entries.entries);
        return rc;
    }
    fetch->content = tx_tar_file(err);
    return fetch->content < 0 ? fetch->content
                              : tx_tar_extract(fetch->archive, fetch->content, err);
}

static void on_piece(struct tt_op *op, struct tt_op *read)
{
    struct fetch *fetch = fetch_of(op);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    struct tt_error *err = NULL;
    if (read->error) {
        tt_op_finish(op, about(fetch->path, read->error));
    } else if (!bytes->length) {
        tt_then(&fetch->chain, op, tt_work(op->scope, "unpack", unpack, fetch, NULL), on_unpacked);
    } else if (TT_FAULT("docker_archive.spool") ||
               write(fetch->archive, bytes->data, bytes->length) != (ssize_t)bytes->length) {
        tt_fail_errno(&err, errno, "a temporary file");
        tt_op_finish(op, err);
    } else {
        tt_then(&fetch->chain, op, tx_exchange_read(fetch->exchange, op->scope, piece), on_piece);
    }
}

static void on_archive(struct tt_op *op, struct tt_op *sent)
{
    struct fetch *fetch = fetch_of(op);
    struct tt_error *err = NULL;
    if (sent->error) {
        tt_op_finish(op, about(fetch->path, sent->error));
        return;
    }
    fetch->exchange = tx_docker_sent(sent);
    fetch->archive = tx_tar_file(&err);
    if (fetch->archive < 0)
        tt_op_finish(op, err);
    else
        tt_then(&fetch->chain, op, tx_exchange_read(fetch->exchange, op->scope, piece), on_piece);
}

struct tt_op *tx_archive_list(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path)
{
    struct fetch *fetch = fetch_new(rooms, NULL, scope, path);
    if (!tt_op_finished(&fetch->is.op))
        tt_then(&fetch->chain, &fetch->is.op, ask(rooms, scope, "GET", path), on_archive);
    return &fetch->is.op;
}

static void on_what(struct tt_op *op, struct tt_op *looked)
{
    struct fetch *fetch = fetch_of(op);
    const struct tt_stat *stat = tt_stat_of(looked);
    if (looked->error) {
        tt_op_finish(op, tt_error_copy(looked->error));
    } else if (!stat) {
        tt_op_finish(op, tt_error_new(TT_NOT_FOUND, "%s: no such file", fetch->path));
    } else if (stat->type != TT_FILE_REGULAR) {
        tt_op_finish(op, tt_error_new(TT_IO, "%s is no regular file", fetch->path));
    } else {
        fetch->stat = *stat;
        fetch->stat.target = NULL;
        tt_then(&fetch->chain, op, ask(&fetch->rooms, op->scope, "GET", look_of(looked)->path),
                on_archive);
    }
}

struct tt_op *tx_archive_open_read(struct tt_env *env, const struct tx_docker_rooms *rooms,
                                   struct tt_scope *scope, const char *path)
{
    struct fetch *fetch = fetch_new(rooms, env, scope, path);
    if (!tt_op_finished(&fetch->is.op))
        tt_then(&fetch->chain, &fetch->is.op, tx_archive_stat(rooms, scope, path, true), on_what);
    return &fetch->is.op;
}
