#include "executors/ssh/sftp/digest.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "core/base/quote.h"
#include "core/env/proc.h"
#include "executors/ssh/sftp/stream.h"

#include <stdlib.h>
#include <string.h>

enum { read_chunk = 256 << 10 };

struct sum {
    struct tt_digest_op base;
    struct tt_chain chain;
    struct tt_env *env; /* held; NULL when the file is read in any case */
    char *path;
    struct tt_file *file;
    struct tt_digest *digest;
};

static struct sum *sum_of(struct tt_op *op)
{
    return (struct sum *)(void *)op;
}

static void sum_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&sum_of(op)->chain, why);
}

static void sum_free(struct tt_op *op)
{
    struct sum *sum = sum_of(op);
    if (sum->file)
        sum->file->class_->free(sum->file);
    tt_digest_free(sum->digest);
    tt_env_release(sum->env);
    free(sum->path);
    free(sum);
}

static struct sum *sum_new(struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"computing a checksum", sum_cancel, sum_free};
    struct sum *sum = tt_zalloc(sizeof *sum);
    tt_op_init(&sum->base.op, &class_, scope);
    return sum;
}

static void read_on(struct tt_op *op, tt_chain_step *next)
{
    struct sum *sum = sum_of(op);
    tt_then(&sum->chain, op, sum->file->class_->read(sum->file, op->scope, read_chunk), next);
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct sum *sum = sum_of(op);
    struct tt_error *err = tt_error_copy(read->error);
    size_t length = err ? 0 : tt_bytes_of(read)->length;
    if (length) {
        tt_digest_add(sum->digest, tt_bytes_of(read)->data, length);
        read_on(op, on_bytes);
        return;
    }
    if (!err)
        tt_digest_hex(sum->digest, sum->base.hex, &err);
    tt_op_finish(op, err);
}

static void read_all(struct tt_op *op)
{
    struct tt_error *err = NULL;
    if (tt_digest_new(&sum_of(op)->digest, &err) < 0)
        tt_op_finish(op, err);
    else
        read_on(op, on_bytes);
}

static bool sum_said(const struct tt_buf *said, char hex[tt_digest_hex_size])
{
    if (said->length < tt_digest_hex_size - 1)
        return false;
    memcpy(hex, said->data, tt_digest_hex_size - 1);
    hex[tt_digest_hex_size - 1] = '\0';
    return tt_digest_valid(hex);
}

static void on_said(struct tt_op *op, struct tt_op *ran)
{
    const struct tt_result *result = tt_result_of(ran);
    if (ran->error)
        tt_op_finish(op, tt_error_copy(ran->error));
    else if (result && result->kind == TT_OK && sum_said(&result->out, sum_of(op)->base.hex))
        tt_op_finish(op, NULL);
    else
        read_all(op);
}

/* A small file is read back at once: cheaper than a process. */
static void on_open(struct tt_op *op, struct tt_op *opened)
{
    struct sum *sum = sum_of(op);
    if (opened->error) {
        tt_op_finish(op, tt_error_copy(opened->error));
        return;
    }
    sum->file = tt_file_of(opened);
    if (sum->file->stat.size <= tx_digest_read_back_max) {
        read_all(op);
        return;
    }
    struct tt_buf line = {0};
    tt_buf_text(&line, "exec <");
    tt_quote(&line, sum->path, strlen(sum->path));
    /* openssl uses what the processor has for SHA-256: several times faster where that is much */
    tt_buf_text(&line, "&&if command -v openssl >/dev/null;then openssl dgst -sha256 -r;"
                       "else sha256sum;fi");
    struct tt_command command = {.shell = line.data};
    struct tt_capture_options options;
    tt_capture_defaults(&options);
    tt_then(&sum->chain, op, tt_capture(sum->env, op->scope, &command, &options), on_said);
    tt_buf_free(&line);
}

struct tt_op *tx_ssh_digest(struct tt_env *env, struct tt_scope *scope, const char *path)
{
    struct sum *sum = sum_new(scope);
    sum->env = env;
    tt_env_retain(env);
    sum->path = tt_strdup(path);
    if (!tt_op_finished(&sum->base.op))
        tt_then(&sum->chain, &sum->base.op, tx_ssh_open_read(env, scope, path), on_open);
    return &sum->base.op;
}

struct tt_op *tx_digest_read(struct tt_file *file, struct tt_scope *scope)
{
    struct sum *sum = sum_new(scope);
    sum->file = file;
    if (!tt_op_finished(&sum->base.op))
        read_all(&sum->base.op);
    return &sum->base.op;
}
