/* What a server says by SFTP: the client over a channel that this file stands in for. An operation
 * on a file gets the answers that the input has, one for each request, and ends; it ends in the
 * same way when the bytes arrive in pieces, and what it tells of files makes sense.
 *
 * The input: the operation; the size of pieces; then the answers, each a byte (even: a packet with
 * the right length and number is made around the rest; odd: the bytes stand as they are), two bytes
 * of length, and that many bytes. The first one answers the greeting. After the last one the stream
 * ends.
 *
 * inputs: 2000 */
#include "core/base/alloc.h"
#include "executors/ssh/host/host.h"
#include "executors/ssh/sftp/files.h"
#include "executors/ssh/wire/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool right)
{
    if (!right)
        abort();
}

/* --- the far side --- */

static struct far {
    const uint8_t *at, *end; /* answers to come */
    struct tt_buf said, heard;
    size_t piece;
    bool over, gave;   /* gave: a piece was just read */
    struct tt_job job; /* more bytes have arrived */
    void (*changed)(void *arg);
    void *arg;
    struct tt_loop *loop;
    struct tt_scope *life;
    struct tx_sftp *sftp;
    struct tx_attached *attached;
    struct tx_lease lease;
} far;

static uint8_t next(void)
{
    return far.at < far.end ? *far.at++ : 0;
}

static void answer(const uint8_t *id)
{
    if (far.at == far.end) {
        far.over = true;
        return;
    }
    bool raw = next() % 2;
    size_t length = next();
    length = length << 8 | next();
    if (length > (size_t)(far.end - far.at))
        length = (size_t)(far.end - far.at);
    const uint8_t *bytes = far.at;
    far.at += length;
    if (raw || !length) {
        tt_buf_add(&far.said, bytes, length);
        return;
    }
    tx_put_u32(&far.said, (uint32_t)(length + (id ? 4 : 0)));
    tt_buf_add(&far.said, bytes, 1);
    if (id)
        tt_buf_add(&far.said, id, 4);
    tt_buf_add(&far.said, bytes + 1, length - 1);
}

/* Answers the requests that have come whole, in their order. */
static void listen_to_requests(void)
{
    for (;;) {
        struct tx_cursor cursor = tx_cursor(far.heard.data, far.heard.length);
        uint32_t length = tx_get_u32(&cursor);
        struct tx_span request = tx_get_bytes(&cursor, length);
        if (cursor.bad)
            return;
        must(length >= 5);
        answer(request.bytes[0] == 1 ? NULL : request.bytes + 1);
        tt_buf_drop(&far.heard, 4 + length);
        tt_loop_post(far.loop, &far.job);
    }
}

static void on_job(struct tt_job *job)
{
    (void)job;
    if (far.changed)
        far.changed(far.arg);
}

/* --- what the client calls: one host, one connection, one channel --- */

struct tt_loop *tx_host_loop(const struct tx_host *host)
{
    (void)host;
    return far.loop;
}

struct tt_scope *tx_host_life(const struct tx_host *host)
{
    (void)host;
    return far.life;
}

void tx_host_retain(struct tx_host *host)
{
    (void)host;
}

void tx_host_release(struct tx_host *host)
{
    (void)host;
}

struct tx_sftp *tx_host_sftp(const struct tx_host *host)
{
    (void)host;
    return far.sftp;
}

void tx_host_set_sftp(struct tx_host *host, struct tx_sftp *sftp)
{
    (void)host;
    far.sftp = sftp;
}

struct tt_op *tx_host_channel(struct tx_host *host, struct tt_scope *scope, const char *target,
                              int port)
{
    (void)host;
    must(!target && !port);
    return tt_op_finished_new(scope, NULL);
}

struct tx_lease *tx_lease_of(struct tt_op *op)
{
    return op->error ? NULL : &far.lease;
}

void tx_lease_end(struct tx_lease *lease)
{
    must(lease == &far.lease);
    far.changed = NULL;
}

void tx_lease_is_attached(struct tx_lease *lease)
{
    (void)lease;
}

struct tx_host *tx_link_host(const struct tx_link *link)
{
    (void)link;
    return (struct tx_host *)(void *)&far;
}

void tx_link_attach(struct tx_link *link, struct tx_attached *attached)
{
    (void)link;
    far.attached = attached;
}

void tx_link_detach(struct tx_link *link, struct tx_attached *attached)
{
    (void)link;
    if (far.attached == attached)
        far.attached = NULL;
}

void tx_link_use(struct tx_link *link, bool yes)
{
    (void)link;
    (void)yes;
}

void tx_channel_listen(struct tx_channel *channel, void (*changed)(void *arg), void *arg)
{
    (void)channel;
    far.changed = changed;
    far.arg = arg;
    tt_loop_post(far.loop, &far.job);
}

int tx_channel_start(struct tx_channel *channel, const char *request, const char *text)
{
    (void)channel;
    must(strcmp(request, "subsystem") == 0 && strcmp(text, "sftp") == 0);
    /* a connection that broke on its first answer is replaced once */
    far.said.length = far.heard.length = 0;
    far.over = far.gave = false;
    return 0;
}

/* A piece, and then nothing before the loop has come round again. */
ssize_t tx_channel_read(struct tx_channel *channel, int stream, void *to, size_t room)
{
    (void)channel;
    must(stream == 0 && room > 0);
    if (far.gave) {
        far.gave = false;
        return -EAGAIN;
    }
    if (!far.said.length)
        return far.over ? 0 : -EAGAIN;
    size_t length = far.said.length < far.piece ? far.said.length : far.piece;
    length = length < room ? length : room;
    memcpy(to, far.said.data, length);
    tt_buf_drop(&far.said, length);
    far.gave = true;
    tt_loop_post(far.loop, &far.job);
    return (ssize_t)length;
}

ssize_t tx_channel_write(struct tx_channel *channel, const void *from, size_t length)
{
    (void)channel;
    tt_buf_add(&far.heard, from, length);
    listen_to_requests();
    return (ssize_t)length;
}

bool tx_channel_closed(struct tx_channel *channel)
{
    (void)channel;
    return true;
}

bool tx_channel_status(struct tx_channel *channel, int *code, int *signal)
{
    (void)channel;
    *code = *signal = 0;
    return true;
}

struct tx_session *tx_channel_session(const struct tx_channel *channel)
{
    (void)channel;
    return NULL;
}

void tx_session_wake(struct tx_session *session)
{
    (void)session;
    tt_loop_post(far.loop, &far.job);
}

void tx_session_break(struct tx_session *session, struct tt_error *why)
{
    (void)session;
    tt_error_free(why);
}

/* --- operations --- */

static void free_env(struct tt_env *env)
{
    (void)env;
}

static void on_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

static void wait_for(struct tt_op *op)
{
    bool done = false;
    tt_op_await(op, on_done, &done);
    /* who waits for the rest of a packet sees the stream end; so does a connection that follows */
    for (int tries = 0; !tt_loop_run(far.loop, &done); tries++) {
        must(tries < 2);
        far.over = true;
        tt_loop_post(far.loop, &far.job);
    }
}

static void tell_stat(struct tt_buf *told, const struct tt_stat *stat)
{
    must(stat->mode <= 07777);
    must((stat->type == TT_FILE_SYMLINK) == (stat->target != NULL));
    tt_buf_format(told, " %d %o %llu %u %u %lld %s\n", (int)stat->type, stat->mode,
                  (unsigned long long)stat->size, (unsigned)stat->uid, (unsigned)stat->gid,
                  (long long)stat->mtime, stat->target ? stat->target : "");
}

static void tell_entries(struct tt_buf *told, const struct tt_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const char *path = entries->items[i].path;
        must(!strchr(path, '/') && strcmp(path, ".") != 0 && strcmp(path, "..") != 0);
        must(i == 0 || strcmp(entries->items[i - 1].path, path) <= 0);
        tt_buf_text(told, path);
        tell_stat(told, &entries->items[i].stat);
    }
}

static void read_all(struct tt_buf *told, struct tt_file *file, struct tt_scope *scope)
{
    for (bool more = true; more;) {
        struct tt_op *op = file->class_->read(file, scope, 1000);
        wait_for(op);
        const struct tt_bytes *bytes = op->error ? NULL : tt_bytes_of(op);
        must(!bytes || bytes->length <= 1000);
        more = bytes && bytes->length;
        if (more)
            tt_buf_add(told, bytes->data, bytes->length);
        tt_buf_format(told, "%s", op->error ? tt_kind_name(op->error->kind) : "");
        tt_op_release(op);
    }
}

enum what { STAT, LIST, MKDIR, SYMLINK, REMOVE, READ, WHATS };

static struct tt_op *begin(enum what what, struct tt_env *env, struct tt_scope *scope)
{
    const struct tt_file_class *files = env->class_->files;
    switch (what) {
    case LIST:
        return files->list(env, scope, "/a");
    case MKDIR:
        return files->mkdir(env, scope, "/a/b/c", 0700);
    case SYMLINK:
        return files->symlink(env, scope, "target", "/a");
    case REMOVE:
        return files->remove(env, scope, "/a", true);
    case READ:
        return files->open_read(env, scope, "/a");
    default:
        return files->stat(env, scope, "/a", false);
    }
}

/* What became of the operation, as text. */
static char *try_it(enum what what, size_t piece, const uint8_t *data, size_t size)
{
    static const struct tt_env_class class_ = {
        .kind = "ssh", .files = &tx_ssh_files, .free = free_env};
    struct tx_ssh_env env = {.host = (struct tx_host *)(void *)&far};
    struct tt_buf told = {0};
    far = (struct far){.at = data, .end = data + size, .piece = piece, .job.run = on_job};
    must(tt_loop_new(&far.loop, TT_CLOCK_VIRTUAL, 1, NULL) == 0);
    far.life = tt_scope_new(far.loop, NULL);
    tt_env_init(&env.base, &class_, "ssh://fuzz", "ssh://fuzz");
    struct tt_scope *scope = tt_scope_new(far.loop, NULL);
    struct tt_op *op = begin(what, &env.base, scope);
    wait_for(op);
    if (op->error) {
        char *text = tt_error_text(op->error);
        tt_buf_format(&told, "%s: %s", tt_kind_name(op->error->kind), text);
        free(text);
    } else if (what == LIST) {
        tell_entries(&told, tt_entries_of(op));
    } else if (what == STAT) {
        const struct tt_stat *stat = tt_stat_of(op);
        tt_buf_text(&told, stat ? "is" : "is not");
        if (stat)
            tell_stat(&told, stat);
    } else if (what == READ) {
        struct tt_file *file = tt_file_of(op);
        read_all(&told, file, scope);
        file->class_->free(file);
    } else {
        tt_buf_text(&told, "done");
    }
    tt_op_release(op);
    if (far.attached)
        far.attached->drop(far.attached);
    must(!far.sftp);
    tt_scope_release(scope);
    tt_loop_settle(far.loop, 1000);
    tt_loop_unpost(far.loop, &far.job);
    must(tt_loop_live_ops(far.loop) == 0);
    tt_scope_release(far.life);
    tt_env_release(&env.base);
    tt_loop_free(far.loop);
    tt_buf_free(&far.said);
    tt_buf_free(&far.heard);
    return tt_buf_take(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum what what = (enum what)(data[0] % WHATS);
    char *whole = try_it(what, SIZE_MAX, data + 2, size - 2);
    char *pieces = try_it(what, data[1] % 64 + 1u, data + 2, size - 2);
    /* how far a stream is read, or a tree removed, before an error behind it is seen depends on
     * when that comes */
    must(what == READ || what == REMOVE || strcmp(whole, pieces) == 0);
    free(whole);
    free(pieces);
    return 0;
}
