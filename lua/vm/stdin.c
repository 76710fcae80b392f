/* A worker thread waits for descriptor 0 and for being cancelled. Not O_NONBLOCK and a poll handle
 * on the loop: the mode belongs to the terminal that other processes share, and files cannot be
 * polled. */
#include "lua/vm/stdin.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "lua/value/error.h"
#include "lua/vm/fiber.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct reading {
    int stop; /* an eventfd that cancelling makes readable */
    ssize_t length;
    char bytes[16 << 10];
};

static const struct reading *current; /* whose turn it is */

static int read_on_thread(void *arg, struct tt_error **err)
{
    struct reading *r = arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = r->stop, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return tt_fail_errno(err, errno, "waiting for standard input");
        if (fds[1].revents)
            return tt_fail(err, TT_CANCELLED, "reading standard input was cancelled");
        if (!fds[0].revents)
            continue;
        r->length = TT_FAULT("lstdin.read") ? -1 : read(STDIN_FILENO, r->bytes, sizeof r->bytes);
        if (r->length >= 0)
            return 0;
        if (errno != EINTR && errno != EAGAIN)
            return tt_fail_errno(err, errno, "reading standard input");
    }
}

static void stop_reading(void *arg)
{
    eventfd_write(((struct reading *)arg)->stop, 1);
}

static void drop(void *arg)
{
    struct reading *r = arg;
    if (current == r)
        current = NULL;
    close(r->stop);
    free(r);
}

static int push_bytes(lua_State *L, struct tt_op *op)
{
    const struct reading *r = tt_work_arg(op);
    current = NULL;
    if (r->length == 0)
        return 0;
    lua_pushlstring(L, r->bytes, (size_t)r->length);
    return 1;
}

int lt_read_stdin(lua_State *L)
{
    if (current)
        lt_invalid(L, "another task is reading standard input");
    struct tt_scope *scope = lt_begin(L);
    int stop = TT_FAULT("lstdin.eventfd") ? -1 : eventfd(0, EFD_CLOEXEC);
    if (stop < 0)
        lt_raisef(L, TT_IO, "reading standard input: no eventfd");
    struct reading *r = tt_zalloc(sizeof *r);
    r->stop = stop;
    current = r;
    struct tt_op *op = tt_work(scope, "reading standard input", read_on_thread, r, drop);
    tt_work_on_cancel(op, stop_reading);
    return lt_await(L, op, push_bytes);
}
