#include "executors/ssh/command/guard.h"

#include "core/base/alloc.h"
#include "executors/ssh/command/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines: `+ 0 GROUP`, `- 0 GROUP`; `k SIGNAL GROUP`, answered with the kill's code; `l 0 GROUP`,
 * answered with 0 when a living process of the group is left (a zombie is none). Forms of kill that
 * dash, bash and busybox share. */
static const char script[] =
    "g=;trap '' HUP INT QUIT TERM PIPE;"
    "while read -r o s i;do case $o in "
    "+)g=\"$g $i\";;"
    "-)n=;for j in $g;do [ \"$j\" = \"$i\" ]||n=\"$n $j\";done;g=$n;;"
    "k)kill -\"$s\" -\"$i\" 2>/dev/null;echo $?;;"
    "l)r=1;if kill -0 -\"$i\" 2>/dev/null;then [ -r /proc/$$/stat ]||r=0;"
    "for f in /proc/[0-9]*/stat;do read -r l 2>/dev/null <$f||continue;set -- ${l##*) };"
    "case $1$3 in [!ZX]$i)r=0;;esac;done;fi;echo $r;;"
    "esac;done;"
    "for i in $g;do kill -9 -\"$i\" 2>/dev/null;done";

struct order {
    struct tt_op op;
    struct order *next;
};

struct tx_guard {
    struct tx_attached attached;
    struct tx_link *link;
    struct tt_scope *scope;
    struct tt_op *opening;
    struct tx_launch *launch;
    char *user, *password;
    struct tt_buf lines; /* to be written */
    struct tt_buf answers;
    struct order *orders; /* oldest first; an answered one that was cancelled keeps its place */
    bool failed;
};

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The oldest order has its answer. */
static void answer(struct tx_guard *guard, struct tt_error *err)
{
    struct order *order = guard->orders;
    guard->orders = order->next;
    if (tt_op_finished(&order->op))
        tt_error_free(err);
    else
        tt_op_finish(&order->op, err);
    tt_op_release(&order->op); /* the queue's */
}

static void fail(struct tx_guard *guard)
{
    guard->failed = true;
    while (guard->orders)
        answer(guard, tt_error_new(TT_UNSUPPORTED, "the host's guardian does not run"));
}

static void read_answers(struct tx_guard *guard)
{
    struct tt_bytes bytes;
    while (tx_launch_read(guard->launch, TT_STDOUT, 4096, &bytes) > 0) {
        tt_buf_add(&guard->answers, bytes.data, bytes.length);
        free(bytes.data);
    }
    while (tx_launch_read(guard->launch, TT_STDERR, 4096, &bytes) > 0)
        free(bytes.data);
    for (char *line; guard->answers.length && guard->orders &&
                     (line = memchr(guard->answers.data, '\n', guard->answers.length));) {
        bool delivered = guard->answers.data[0] == '0';
        tt_buf_drop(&guard->answers, (size_t)(line - guard->answers.data) + 1);
        answer(guard,
               delivered ? NULL : tt_error_new(TT_NOT_FOUND, "no process of the group is left"));
    }
}

static void write_lines(struct tx_guard *guard)
{
    while (guard->lines.length) {
        ssize_t n = tx_launch_write(guard->launch, guard->lines.data, guard->lines.length);
        if (n <= 0)
            return;
        tt_buf_drop(&guard->lines, (size_t)n);
    }
}

static void on_changed(void *arg)
{
    struct tx_guard *guard = arg;
    read_answers(guard);
    write_lines(guard);
    if (tx_launch_exit(guard->launch) && !guard->failed)
        fail(guard);
}

static void on_opened(struct tt_op *op, void *arg)
{
    struct tx_guard *guard = arg;
    struct tx_lease *lease = tx_lease_of(op);
    guard->opening = NULL;
    if (lease) {
        struct tt_command command = {.shell = (char *)script,
                                     .user = guard->user,
                                     .password = guard->password,
                                     .stdin_open = true};
        guard->launch =
            tx_launch_new(tx_link_host(guard->link), lease, &command, on_changed, guard, NULL);
    }
    tt_op_release(op);
    if (!guard->launch)
        fail(guard);
}

static void drop(struct tx_attached *attached)
{
    struct tx_guard *guard = (struct tx_guard *)(void *)attached;
    tt_op_drop_because(&guard->opening, "the connection is not used any more");
    while (guard->orders)
        answer(guard, tt_error_new(TT_LOST, "the connection ended before the signal was sent"));
    tx_launch_free(guard->launch);
    tt_scope_release(guard->scope);
    if (guard->password)
        explicit_bzero(guard->password, strlen(guard->password));
    free(guard->password);
    free(guard->user);
    tt_buf_free(&guard->lines);
    tt_buf_free(&guard->answers);
    free(guard);
}

struct tx_guard *tx_guard_find(struct tx_link *link, const char *user)
{
    for (struct tx_attached *at = tx_link_attached(link); at; at = at->next) {
        struct tx_guard *guard = (struct tx_guard *)(void *)at;
        if (at->drop == drop && same(guard->user, user))
            return guard;
    }
    return NULL;
}

struct tx_guard *tx_guard_of(struct tx_link *link, const char *user, const char *password)
{
    struct tx_guard *guard = tx_guard_find(link, user);
    if (guard)
        return guard;
    guard = tt_zalloc(sizeof *guard);
    guard->attached.drop = drop;
    guard->link = link;
    guard->user = user ? tt_strdup(user) : NULL;
    guard->password = password ? tt_strdup(password) : NULL;
    guard->scope = tt_scope_new(tx_link_loop(link), tx_host_life(tx_link_host(link)));
    tx_link_attach(link, &guard->attached);
    guard->opening = tx_link_channel(link, guard->scope);
    tt_op_await(guard->opening, on_opened, guard);
    return guard;
}

bool tx_guard_works(const struct tx_guard *guard)
{
    return !guard->failed;
}

static void say(struct tx_guard *guard, char what, int signal, int64_t group)
{
    if (guard->failed)
        return;
    tt_buf_format(&guard->lines, "%c %d %lld\n", what, signal, (long long)group);
    if (guard->launch)
        write_lines(guard);
}

void tx_guard_add(struct tx_guard *guard, int64_t group)
{
    say(guard, '+', 0, group);
}

void tx_guard_remove(struct tx_guard *guard, int64_t group)
{
    say(guard, '-', 0, group);
}

struct tt_op *tx_guard_signal(struct tx_guard *guard, struct tt_scope *scope, int64_t group,
                              int signal)
{
    static const struct tt_op_class class_ = {"signalling a remote group", tt_op_cancel_now,
                                              tt_op_free};
    if (guard->failed)
        return tt_op_finished_new(scope,
                                  tt_error_new(TT_UNSUPPORTED, "the host's guardian does not run"));
    struct order *order = tt_zalloc(sizeof *order);
    tt_op_init(&order->op, &class_, scope);
    if (tt_op_finished(&order->op))
        return &order->op;
    tt_op_retain(&order->op); /* the queue's */
    struct order **at = &guard->orders;
    while (*at)
        at = &(*at)->next;
    *at = order;
    say(guard, signal ? 'k' : 'l', signal, group);
    return &order->op;
}
