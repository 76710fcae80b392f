/* Ending Lua code that stays on the processor beyond its deadline.
 *
 * The loop's timers cannot fire while Lua runs, so an alarm signal stands in for them. It costs
 * next to nothing: it is only set when it would ring too late for what is about to run, rings early
 * for most, and is then set again; a hook goes in when something is overdue, not before. */
#include "lua/vm/state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { least_ms = 100 /* what a cancelled fiber gets at each resume, however late it is */ };

/* Shared with the signal's handler. */
static struct lt_vm *volatile watched;
static _Atomic int64_t due = TT_NEVER;   /* when what runs must have ended */
static _Atomic int64_t rings = TT_NEVER; /* when the alarm is set for */

/* The system's clock, not the loop's: a signal's handler reads it while Lua keeps the loop busy. */
static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

static void set_alarm(int64_t at)
{
    int64_t wait = at - now_ms();
    struct itimerval alarm = {.it_value = {.tv_usec = 1}};
    if (wait > 0)
        alarm.it_value = (struct timeval){.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
    atomic_store(&rings, at);
    setitimer(ITIMER_REAL, &alarm, NULL);
}

static void on_alarm(int signal)
{
    (void)signal;
    int saved = errno;
    struct lt_vm *vm = watched;
    int64_t at = atomic_load(&due);
    atomic_store(&rings, TT_NEVER);
    if (vm && vm->levels && at <= now_ms()) {
        vm->overdue = 1;
        lt_stop_current(vm);
    } else if (vm && vm->levels && at != TT_NEVER) {
        set_alarm(at);
    }
    errno = saved;
}

static void begin(struct lt_vm *vm)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigset_t ours;
    sigemptyset(&action.sa_mask);
    sigemptyset(&ours);
    sigaddset(&ours, SIGALRM);
    watched = vm;
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

void lt_overrun_watch(struct lt_fiber *fiber)
{
    int64_t at = tt_scope_ends_at(fiber->scope);
    if (tt_scope_why(fiber->scope)) {
        int64_t now = now_ms();
        if (!fiber->cleaned_at)
            fiber->cleaned_at = now + lt_cleanup_ms;
        at = fiber->cleaned_at > now + least_ms ? fiber->cleaned_at : now + least_ms;
    }
    atomic_store(&due, at);
    if (at >= atomic_load(&rings))
        return;
    if (!watched)
        begin(fiber->vm);
    set_alarm(at);
}

void lt_overrun_end(void)
{
    static const struct itimerval never;
    if (!watched)
        return;
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN);
    watched = NULL;
    atomic_store(&rings, TT_NEVER);
}
