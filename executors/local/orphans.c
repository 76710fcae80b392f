#include "executors/local/orphans.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "executors/local/guardian.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct tx_orphans {
    struct tt_loop *loop;
    uv_signal_t signal;
    struct tt_timer look;
};

/* A command of ours that has ended hides what ended after it until its own event was handled, which
 * is at hand: then it looks again. */
static void reap(struct tt_timer *timer)
{
    struct tx_orphans *orphans = tt_owner(timer, struct tx_orphans, look);
    for (;;) {
        siginfo_t ended = {0};
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || !ended.si_pid)
            return;
        if (tx_guardian_knows(ended.si_pid))
            break;
        waitpid(ended.si_pid, NULL, WNOHANG);
        tx_guardian_reaped(ended.si_pid);
    }
    tt_timer_start(orphans->loop, timer, tt_loop_now(orphans->loop) + 1, reap);
}

static void on_child(uv_signal_t *signal, int number)
{
    struct tx_orphans *orphans = signal->data;
    (void)number;
    tt_timer_start(orphans->loop, &orphans->look, tt_loop_now(orphans->loop), reap);
}

struct tx_orphans *tx_orphans_watch(struct tt_loop *loop)
{
    if (getpid() != 1)
        return NULL;
    struct tx_orphans *orphans = tt_zalloc(sizeof *orphans);
    orphans->loop = loop;
    orphans->signal.data = orphans;
    uv_signal_init(tt_loop_uv(loop), &orphans->signal);
    uv_signal_start(&orphans->signal, on_child, SIGCHLD);
    uv_unref((uv_handle_t *)&orphans->signal);
    return orphans;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void tx_orphans_free(struct tx_orphans *orphans)
{
    if (!orphans)
        return;
    tt_timer_stop(orphans->loop, &orphans->look);
    uv_close((uv_handle_t *)&orphans->signal, on_closed);
}
