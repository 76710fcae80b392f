/* Members are found in /proc and watched by pidfd; when those seen have ended, it looks again,
 * because they may have had children meanwhile. */
#include "executors/local/group.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/local/guardian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct gone_op {
    struct tt_op op;
    pid_t group;
    struct tx_watcher *watcher;
    struct member *members;
    size_t living;
    struct tt_job again;
};

struct member {
    struct tx_watch watch;
    struct gone_op *op;
    struct member *next;
};

static void drop_members(struct gone_op *op)
{
    while (op->members) {
        struct member *member = op->members;
        op->members = member->next;
        if (member->watch.fd >= 0)
            tx_watcher_unhold(op->watcher);
        tx_watch_close(op->watcher, &member->watch);
        free(member);
    }
    op->living = 0;
}

static void gone_cancel(struct tt_op *base, const struct tt_error *why)
{
    struct gone_op *op = (struct gone_op *)(void *)base;
    tt_loop_unpost(base->loop, &op->again);
    drop_members(op);
    tt_op_finish(base, tt_error_copy(why));
}

static void on_member_end(struct tx_watch *watch, uint32_t events)
{
    struct member *member = (struct member *)(void *)watch;
    struct gone_op *op = member->op;
    (void)events;
    tx_watch_close(op->watcher, watch);
    tx_watcher_unhold(op->watcher);
    if (--op->living == 0)
        tt_loop_post(op->op.loop, &op->again);
}

static void watch_member(struct gone_op *op, pid_t pid)
{
    int fd = TT_FAULT("local_group.pidfd") ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno == ESRCH)
        return;
    struct member *member = tt_zalloc(sizeof *member);
    tx_watch_init(&member->watch, on_member_end);
    member->op = op;
    member->next = op->members;
    op->members = member;
    /* One that cannot be watched keeps the operation running: the group is killed in time. */
    op->living++;
    if (fd >= 0 && tx_watch_add(op->watcher, &member->watch, fd, EPOLLIN, NULL) == 0)
        tx_watcher_hold(op->watcher);
}

/* Is /proc/<name> a living process of the group? */
static bool is_member(int proc, const char *name, pid_t group)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "%s/stat", name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return false;
    text[length] = 0;
    /* After the name, which may hold anything: state, parent, group. */
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ' || !at[2] || at[3] != ' ')
        return false;
    char state = at[2], *end;
    strtol(at + 4, &end, 10);
    return strtol(end, NULL, 10) == group && state != 'Z' && state != 'X';
}

static void look(struct tt_job *job)
{
    struct gone_op *op = tt_owner(job, struct gone_op, again);
    drop_members(op);
    if (tx_signal_orphaned_group(op->group, 0) < 0) {
        tt_op_finish(&op->op, NULL);
        return;
    }
    DIR *proc = TT_FAULT("local_group.proc") ? NULL : opendir("/proc");
    if (!proc)
        return; /* nothing is known: it stays until it is cancelled */
    for (struct dirent *entry; (entry = readdir(proc));)
        if (*entry->d_name >= '1' && *entry->d_name <= '9' &&
            is_member(dirfd(proc), entry->d_name, op->group))
            watch_member(op, (pid_t)strtol(entry->d_name, NULL, 10));
    closedir(proc);
    if (op->living)
        return;
    /* Only dead ones were seen; a child born while looking may have been missed. */
    tx_signal_orphaned_group(op->group, SIGKILL);
    tt_op_finish(&op->op, NULL);
}

struct tt_op *tx_group_gone(pid_t group, struct tx_watcher *watcher, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"the end of a process group", gone_cancel,
                                              tt_op_free};
    struct gone_op *op = tt_zalloc(sizeof *op);
    op->group = group;
    op->watcher = watcher;
    op->again.run = look;
    tt_op_init(&op->op, &class_, scope);
    if (!tt_op_finished(&op->op))
        look(&op->again);
    return &op->op;
}
