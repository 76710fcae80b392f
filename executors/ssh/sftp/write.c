/* Writing an open remote file as a stream: many requests in flight, renamed into place when all of
 * it has arrived. */
#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "executors/ssh/sftp/digest.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

enum { max_in_flight = 2 << 20 };

struct writer {
    struct tt_file file;
    struct tx_sftp *sftp;    /* held */
    char *path;              /* as asked for */
    char *final, *temporary; /* temporary NULL: written in place (a device) */
    struct tt_buf handle;
    int mode;     /* to set; -1: none */
    int64_t size; /* announced; -1: not */
    uint64_t offset;
    size_t in_flight;
    struct digest_op *asker; /* waits until all has arrived */
    bool summed;             /* its digest was told, which says more than its size */
    struct tt_error *error;
    struct write_op *op;
    struct tx_operation *commit;
    bool committed;
};

struct write_op {
    struct tt_op op;
    struct writer *writer; /* NULL: not waiting */
    const char *data;      /* borrowed */
    size_t length, at;
};

static void on_written(void *arg, const struct tx_sftp_reply *reply);
static void all_arrived(struct writer *w);
static void go_on_committing(struct writer *w);

static void send_more(struct writer *w, struct write_op *op)
{
    while (op->at < op->length && w->in_flight < max_in_flight && !w->error) {
        struct tt_buf payload = {0};
        size_t length = op->length - op->at;
        if (length > tx_sftp_max_write(w->sftp))
            length = tx_sftp_max_write(w->sftp);
        tx_put_string(&payload, w->handle.data, w->handle.length);
        tx_put_u64(&payload, w->offset);
        tx_sftp_send_data(w->sftp, TX_SFTP_WRITE, &payload, op->data + op->at, length, on_written,
                          w);
        tt_buf_free(&payload);
        w->in_flight += tx_sftp_max_write(w->sftp);
        w->offset += length;
        op->at += length;
    }
    if (op->at == op->length || w->error) {
        op->writer = NULL;
        w->op = NULL;
        tt_op_finish(&op->op, tt_error_copy(w->error));
    }
}

static void on_written(void *arg, const struct tx_sftp_reply *reply)
{
    struct writer *w = arg;
    w->in_flight -= tx_sftp_max_write(w->sftp);
    if (reply->status != TX_SFTP_OK && !w->error)
        w->error = tx_sftp_error(reply, "write", w->path);
    if (w->op)
        send_more(w, w->op);
    if (w->asker && !w->in_flight)
        all_arrived(w);
    if (w->commit && !w->in_flight)
        go_on_committing(w);
}

static void write_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct write_op *write = (struct write_op *)(void *)op;
    if (write->writer)
        write->writer->op = NULL;
    write->writer = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static struct tt_op *writer_write(struct tt_file *file, struct tt_scope *scope, const void *data,
                                  size_t length)
{
    static const struct tt_op_class class_ = {"writing a file", write_cancel, tt_op_free};
    struct writer *w = (struct writer *)(void *)file;
    struct write_op *op = tt_zalloc(sizeof *op);
    tt_op_init(&op->op, &class_, scope);
    if (tt_op_finished(&op->op))
        return &op->op;
    op->data = data;
    op->length = length;
    op->writer = w;
    w->op = op;
    send_more(w, op);
    return &op->op;
}

static struct tt_op *writer_no_read(struct tt_file *file, struct tt_scope *scope, size_t max)
{
    (void)max;
    return tt_op_finished_new(scope, tt_error_new(TT_INVALID, "%s was opened for writing",
                                                  ((struct writer *)(void *)file)->path));
}

/* --- the digest of what arrived --- */

struct digest_op {
    struct tt_digest_op base;
    struct tt_chain chain;
    struct writer *writer; /* NULL: not waiting for what is on the way */
};

static void digest_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct digest_op *digest = (struct digest_op *)(void *)op;
    if (!digest->writer) {
        tt_chain_cancel(&digest->chain, why);
        return;
    }
    digest->writer->asker = NULL;
    digest->writer = NULL;
    tt_op_finish(op, tt_error_copy(why));
}

static void on_digest(struct tt_op *op, struct tt_op *told)
{
    struct digest_op *digest = (struct digest_op *)(void *)op;
    if (!told->error)
        memcpy(digest->base.hex, tt_digest_of(told), sizeof digest->base.hex);
    tt_op_finish(op, tt_error_copy(told->error));
}

static struct tt_op *read_back(struct writer *w, struct tt_scope *scope)
{
    return tx_digest_read(tx_stream_read_back(w->file.env, w->sftp, w->path, &w->handle, w->offset),
                          scope);
}

static void all_arrived(struct writer *w)
{
    struct digest_op *digest = w->asker;
    struct tt_op *op = &digest->base.op;
    w->asker = NULL;
    w->summed = true;
    digest->writer = NULL;
    if (w->error) {
        tt_op_finish(op, tt_error_copy(w->error));
    } else if (w->offset > tx_digest_read_back_max) {
        tt_then(&digest->chain, op, tx_ssh_digest(w->file.env, op->scope, w->temporary), on_digest);
    } else {
        tt_then(&digest->chain, op, read_back(w, op->scope), on_digest);
    }
}

static struct tt_op *writer_digest(struct tt_file *file, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"computing a checksum", digest_cancel, tt_op_free};
    struct writer *w = (struct writer *)(void *)file;
    struct digest_op *digest = tt_zalloc(sizeof *digest);
    tt_op_init(&digest->base.op, &class_, scope);
    if (tt_op_finished(&digest->base.op))
        return &digest->base.op;
    digest->writer = w;
    w->asker = digest;
    if (!w->in_flight || w->error)
        all_arrived(w);
    return &digest->base.op;
}

/* --- committing: mode, size and close are asked for together; then the rename --- */

static void plain_free(struct tt_op *op)
{
    tx_operation_clear((struct tx_operation *)(void *)op);
    free(op);
}

static struct writer *writer_of(struct tx_operation *operation)
{
    return (struct writer *)(void *)operation->other;
}

static void commit_finish(struct tx_operation *operation, struct tt_error *err)
{
    writer_of(operation)->commit = NULL;
    operation->other = NULL; /* the writer was only lent */
    tx_operation_finish(operation, err);
}

static void commit_cancel(struct tt_op *op, const struct tt_error *why)
{
    commit_finish((struct tx_operation *)(void *)op, tt_error_copy(why));
}

static void on_renamed(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (reply->status == TX_SFTP_OK) {
        writer_of(operation)->committed = true;
        commit_finish(operation, NULL);
    } else {
        commit_finish(operation, tx_sftp_error(reply, "replace", operation->path));
    }
}

static void on_settled(struct tx_operation *operation)
{
    struct writer *w = writer_of(operation);
    if (--operation->waiting > 0)
        return;
    if (operation->failed) {
        struct tt_error *err = operation->failed;
        operation->failed = NULL;
        commit_finish(operation, err);
    } else if (w->temporary) {
        tx_stream_rename(operation, w->temporary, w->final, on_renamed);
    } else {
        w->committed = true;
        commit_finish(operation, NULL);
    }
}

static void on_status(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    if (reply->status != TX_SFTP_OK && !operation->failed)
        operation->failed = tx_sftp_error(reply, "write", operation->path);
    on_settled(operation);
}

static void on_size(void *arg, const struct tx_sftp_reply *reply)
{
    struct tx_operation *operation = arg;
    struct writer *w = writer_of(operation);
    struct tx_cursor body = reply->body;
    struct tt_stat stat;
    if (!operation->failed && (reply->type != TX_SFTP_ATTRS || !tx_sftp_get_attrs(&body, &stat)))
        operation->failed = tx_sftp_error(reply, "write", operation->path);
    else if (!operation->failed && w->temporary && stat.size != w->offset)
        operation->failed = tt_error_new(
            TT_IO, "cannot write %s: %llu bytes were written and %llu arrived", operation->path,
            (unsigned long long)w->offset, (unsigned long long)stat.size);
    on_settled(operation);
}

static void go_on_committing(struct writer *w)
{
    struct tx_operation *operation = w->commit;
    if (w->error) {
        commit_finish(operation, tt_error_copy(w->error));
        return;
    }
    struct tt_buf handle = {0};
    tx_put_string(&handle, w->handle.data, w->handle.length);
    if (w->mode >= 0 && w->temporary) {
        struct tt_buf payload = {0};
        tt_buf_add(&payload, handle.data, handle.length);
        tx_sftp_put_mode(&payload, w->mode);
        operation->waiting++;
        tx_operation_ask(operation, TX_SFTP_FSETSTAT, &payload, on_status);
    }
    if (!w->summed) {
        operation->waiting++;
        tx_sftp_send(w->sftp, TX_SFTP_FSTAT, &handle, on_size, operation);
    }
    operation->waiting++;
    tx_sftp_send(w->sftp, TX_SFTP_CLOSE, &handle, on_status, operation);
    tt_buf_free(&handle);
    /* never closed twice: by then the server may have given it to another file */
    tt_buf_free(&w->handle);
}

static void commit_go(struct tx_operation *operation)
{
    (void)operation;
}

static struct tt_op *writer_commit(struct tt_file *file, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"finishing a file", commit_cancel, plain_free};
    struct writer *w = (struct writer *)(void *)file;
    struct tx_operation *operation =
        tx_operation_new(file->env, scope, &class_, "write", w->path, commit_go);
    if (tt_op_finished(&operation->as.op))
        return &operation->as.op;
    operation->sftp = w->sftp;
    tx_sftp_retain(w->sftp);
    operation->other = (char *)w;
    operation->asked = true; /* what is lost now is lost */
    w->commit = operation;
    if (w->size >= 0 && (uint64_t)w->size != w->offset && !w->error)
        w->error = tt_error_new(TT_IO, "cannot write %s: %lld bytes were announced, %llu came",
                                w->path, (long long)w->size, (unsigned long long)w->offset);
    if (!w->in_flight || w->error)
        go_on_committing(w);
    return &operation->as.op;
}

static void writer_free(struct tt_file *file)
{
    struct writer *w = (struct writer *)(void *)file;
    if (w->op)
        w->op->writer = NULL;
    if (w->asker) {
        struct tt_error *why = tt_error_new(TT_CANCELLED, "%s was closed meanwhile", w->path);
        digest_cancel(&w->asker->base.op, why);
        tt_error_free(why);
    }
    if (w->commit)
        commit_finish(w->commit, tt_error_new(TT_CANCELLED, "%s was closed meanwhile", w->path));
    tx_sftp_forget(w->sftp, w);
    if (w->handle.length)
        tx_sftp_close_quietly(w->sftp, &w->handle);
    if (!w->committed && w->temporary)
        tx_sftp_remove_quietly(w->sftp, w->temporary);
    tx_sftp_release(w->sftp);
    tt_buf_free(&w->handle);
    tt_error_free(w->error);
    tt_env_release(file->env);
    free(w->path);
    free(w->final);
    free(w->temporary);
    free(w);
}

static const struct tt_file_stream_class writer_class = {writer_no_read, writer_write,
                                                         writer_digest, writer_commit, writer_free};

struct tt_file *tx_stream_writer(struct tx_operation *opening, char *final, char *temporary,
                                 int mode, int64_t size)
{
    struct writer *w = tt_zalloc(sizeof *w);
    w->file =
        (struct tt_file){.class_ = &writer_class, .env = opening->env, .compares = !temporary};
    tt_env_retain(opening->env);
    w->sftp = opening->sftp;
    tx_sftp_retain(w->sftp);
    w->path = tt_strdup(opening->path);
    w->final = final;
    w->temporary = temporary;
    w->handle = opening->handle;
    opening->handle = (struct tt_buf){0};
    w->mode = mode;
    w->size = size;
    return &w->file;
}

char *tx_stream_temporary(const char *path, struct tt_loop *loop)
{
    const char *slash = strrchr(path, '/');
    return tt_format("%.*s.tutti-%016llx", slash ? (int)(slash - path) + 1 : 0, path,
                     (unsigned long long)tt_loop_random(loop));
}

void tx_stream_rename(struct tx_operation *operation, const char *from, const char *to,
                      tx_sftp_done *done)
{
    struct tt_buf payload = {0};
    bool replace = tx_sftp_can_replace(operation->sftp);
    if (replace)
        tx_put_text(&payload, "posix-rename@openssh.com");
    tx_put_text(&payload, from);
    tx_put_text(&payload, to);
    tx_operation_ask(operation, replace ? TX_SFTP_EXTENDED : TX_SFTP_RENAME, &payload, done);
}
