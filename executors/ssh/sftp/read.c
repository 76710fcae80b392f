/* Reading a remote file as a stream, several requests ahead of the reader. */
#include "core/base/alloc.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

enum { max_parts = 12, whole_size = 64 << 10 };

/* A piece of the file that was asked for. */
struct part {
    uint32_t id;
    uint64_t offset;
    size_t want, given; /* given: handed to the reader */
    struct tt_buf data;
    bool done, end; /* end: the file ends in it */
};

struct reader {
    struct tt_file file;
    struct tx_sftp *sftp; /* held */
    char *path;
    struct tt_buf handle;
    struct part parts[max_parts]; /* a ring, in the order of offsets */
    unsigned first, count, window;
    uint64_t next; /* offset to ask for */
    bool ended;    /* nothing more is asked for */
    bool lent;     /* the handle; its size is known and does not change */
    struct tt_error *error;
    struct read_op *op;
};

struct read_op {
    struct tt_bytes_op base;
    struct reader *reader; /* NULL: not waiting */
    size_t max;
};

static void on_part(void *arg, const struct tx_sftp_reply *reply);

static void ask(struct reader *r, struct part *part)
{
    struct tt_buf payload = {0};
    tx_put_string(&payload, r->handle.data, r->handle.length);
    tx_put_u64(&payload, part->offset + part->data.length);
    tx_put_u32(&payload, (uint32_t)(part->want - part->data.length));
    part->id = tx_sftp_send(r->sftp, TX_SFTP_READ, &payload, on_part, r);
    tt_buf_free(&payload);
}

/* Up to the known size in large pieces, then one to find the end. */
static void ask_ahead(struct reader *r)
{
    while (!r->ended && !r->error && r->count < r->window) {
        size_t want = tx_sftp_max_read(r->sftp);
        uint64_t left = r->file.stat.size > r->next ? r->file.stat.size - r->next : 0;
        if (!left && r->lent) {
            r->ended = true;
            return;
        }
        struct part *part = &r->parts[(r->first + r->count++) % max_parts];
        if (left && left < want)
            want = (size_t)left;
        else if (!left && r->file.stat.size)
            want = 4096; /* the end is expected here */
        *part = (struct part){.offset = r->next, .want = want};
        r->next += want;
        /* nothing is asked for beyond a piece that should find the end */
        if (!left)
            r->ended = true;
        ask(r, part);
    }
}

static void finish(struct reader *r, struct read_op *op, struct tt_error *err)
{
    op->reader = NULL;
    r->op = NULL;
    tt_op_finish(&op->base.op, err);
}

/* Parts that were handed over make room for others. */
static void drop_given(struct reader *r)
{
    struct part *part = &r->parts[r->first];
    while (r->count && part->done && part->given == part->data.length && !part->end) {
        tt_buf_free(&part->data);
        r->first = (r->first + 1) % max_parts;
        r->count--;
        part = &r->parts[r->first];
    }
}

/* What has arrived without a gap, at most max. A later part may have bytes behind one that found
 * the end, when the file grew in between: the file ends where its end was seen. */
static size_t available(const struct reader *r, size_t max)
{
    size_t have = 0;
    for (unsigned i = 0; i < r->count && have < max; i++) {
        const struct part *part = &r->parts[(r->first + i) % max_parts];
        if (!part->done)
            break;
        have += part->data.length - part->given;
        if (part->end)
            break;
    }
    return have < max ? have : max;
}

/* A large part as it is, small ones joined: to copy 255 KiB costs more than another turn of the
 * reader. */
static void take(struct reader *r, struct tt_bytes *bytes, size_t max)
{
    struct part *part = &r->parts[r->first];
    if (!part->given && !part->end && part->data.length >= whole_size && part->data.length <= max) {
        bytes->length = part->data.length;
        bytes->data = tt_buf_take(&part->data);
        return;
    }
    size_t length = bytes->length = available(r, max);
    bytes->data = length ? tt_alloc(length) : NULL;
    for (size_t at = 0; at < length;) {
        part = &r->parts[r->first];
        size_t have = part->data.length - part->given;
        if (have > length - at)
            have = length - at;
        memcpy(bytes->data + at, part->data.data + part->given, have);
        part->given += have;
        at += have;
        drop_given(r);
    }
}

/* Gives what is there; false: nothing yet. */
static bool give(struct reader *r, struct read_op *op)
{
    drop_given(r);
    if (!r->count && r->ended && r->lent && !r->error) {
        finish(r, op, NULL);
        return true;
    }
    if (!r->count && r->ended && !r->error) {
        r->ended = false; /* the file grew: go on */
        ask_ahead(r);
    }
    if (r->error) {
        finish(r, op, tt_error_copy(r->error));
        return true;
    }
    if (!r->count || !r->parts[r->first].done)
        return false;
    take(r, &op->base.bytes, op->max);
    r->window = r->window * 2 < max_parts ? r->window * 2 : max_parts;
    drop_given(r);
    ask_ahead(r);
    finish(r, op, NULL);
    return true;
}

static struct part *part_of(struct reader *r, uint32_t id)
{
    for (unsigned i = 0; i < r->count; i++) {
        struct part *part = &r->parts[(r->first + i) % max_parts];
        if (!part->done && part->id == id)
            return part;
    }
    return NULL;
}

static void on_part(void *arg, const struct tx_sftp_reply *reply)
{
    struct reader *r = arg;
    struct part *part = part_of(r, reply->id);
    struct tx_cursor body = reply->body;
    if (!part)
        return;
    if (reply->type == TX_SFTP_DATA) {
        struct tx_span data = tx_get_string(&body);
        if (body.bad || !data.length || data.length > part->want - part->data.length) {
            r->error = tt_error_new(TT_IO, "cannot read %s: the server makes no sense", r->path);
        } else {
            tt_buf_add(&part->data, data.bytes, data.length);
            part->done = part->data.length == part->want;
            if (!part->done)
                ask(r, part); /* a short answer: the rest of it */
        }
    } else if (reply->status == TX_SFTP_EOF) {
        part->done = part->end = true;
        r->ended = true;
    } else if (!r->error) {
        r->error = tx_sftp_error(reply, "read", r->path);
    }
    if (r->op)
        give(r, r->op);
}

static void read_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct read_op *read = (struct read_op *)(void *)op;
    if (read->reader)
        read->reader->op = NULL;
    read->reader = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *reader_read(struct tt_file *file, struct tt_scope *scope, size_t max)
{
    static const struct tt_op_class class_ = {"reading a file", read_cancel, tt_bytes_op_free};
    struct reader *r = (struct reader *)(void *)file;
    struct read_op *op = tt_zalloc(sizeof *op);
    op->max = max;
    tt_op_init(&op->base.op, &class_, scope);
    if (tt_op_finished(&op->base.op))
        return &op->base.op;
    op->reader = r;
    r->op = op;
    give(r, op);
    return &op->base.op;
}

static struct tt_op *reader_no_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                     size_t length)
{
    (void)data;
    (void)length;
    return tt_op_finished_new(scope, tt_error_new(TT_INVALID, "%s was opened for reading",
                                                  ((struct reader *)(void *)file)->path));
}

static struct tt_op *reader_no_commit(struct tt_file *file, struct tt_scope *scope)
{
    return reader_no_write(file, scope, NULL, 0);
}

static void reader_free(struct tt_file *file)
{
    struct reader *r = (struct reader *)(void *)file;
    if (r->op)
        r->op->reader = NULL;
    tx_sftp_forget(r->sftp, r);
    if (!r->lent)
        tx_sftp_close_quietly(r->sftp, &r->handle);
    tx_sftp_release(r->sftp);
    for (unsigned i = 0; i < r->count; i++)
        tt_buf_free(&r->parts[(r->first + i) % max_parts].data);
    tt_buf_free(&r->handle);
    tt_error_free(r->error);
    tt_env_release(file->env);
    free(r->path);
    free(r);
}

static const struct tt_file_stream_class reader_class = {
    reader_read, reader_no_write, tt_file_no_digest, reader_no_commit, reader_free};

static struct reader *reader_new(struct tt_env *env, struct tx_sftp *sftp, const char *path,
                                 const struct tt_stat *stat)
{
    struct reader *r = tt_zalloc(sizeof *r);
    r->file = (struct tt_file){.class_ = &reader_class, .env = env, .stat = *stat};
    tt_env_retain(env);
    r->sftp = sftp;
    tx_sftp_retain(sftp);
    r->path = tt_strdup(path);
    r->window = 2;
    return r;
}

struct tt_file *tx_stream_read_back(struct tt_env *env, struct tx_sftp *sftp, const char *path,
                                    const struct tt_buf *handle, uint64_t size)
{
    struct tt_stat stat = {.type = TT_FILE_REGULAR, .size = size};
    struct reader *r = reader_new(env, sftp, path, &stat);
    tt_buf_add(&r->handle, handle->data, handle->length);
    r->lent = true;
    ask_ahead(r);
    return &r->file;
}

/* --- opening --- */

static void open_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    tt_file_op_free(op);
}

static void on_open_stat(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (!tx_operation_expects(operation, reply, TX_SFTP_ATTRS))
        return;
    if (!tx_sftp_get_attrs(&body, &stat) || stat.type == TT_FILE_DIRECTORY) {
        tx_operation_finish(
            operation, tt_error_new(TT_IO, "cannot read %s: it is a directory", operation->path));
        return;
    }
    struct reader *r = reader_new(operation->env, operation->sftp, operation->path, &stat);
    r->handle = operation->handle;
    operation->handle = (struct tt_buf){0};
    operation->as.file.file = &r->file;
    ask_ahead(r); /* for whoever opens a file to read it */
    tx_operation_finish(operation, NULL);
}

static void on_open(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (!tx_operation_expects(operation, reply, TX_SFTP_HANDLE))
        return;
    tx_operation_take_handle(operation, reply);
    tx_operation_ask_handle(operation, TX_SFTP_FSTAT, on_open_stat);
}

static void open_go(struct tx_operation *operation)
{
    struct tt_buf payload = {0};
    tx_put_text(&payload, operation->path);
    tx_put_u32(&payload, 1); /* READ */
    tx_put_u32(&payload, 0);
    tx_operation_ask(operation, TX_SFTP_OPEN, &payload, on_open);
}

struct tt_op *tx_ssh_open_read(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"opening a file", tx_operation_cancel, open_free};
    return tx_operation_begin(tx_operation_new(env, scope, &class_, "read", path, open_go));
}
