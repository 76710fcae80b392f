/* The state of the running Lua code. Only files of this folder include it. */
#ifndef LT_STATE_H
#define LT_STATE_H

#include "core/async/op.h"
#include "lua/vm/vm.h"

#include <signal.h>

struct lt_fiber;

/* A list of the coroutines that are running now, innermost first. A level lies on the C stack of
 * whoever resumed its coroutine. A signal handler may walk the list at any moment, so a level is
 * filled before it is linked. */
struct lt_level {
    lua_State *L;
    struct lt_level *outer;
};

struct lt_vm {
    lua_State *L;
    struct tt_loop *loop;
    struct tt_scope *base, *program;
    struct lt_fiber *current;          /* whose code is running; NULL between resumes */
    struct lt_level *volatile levels;  /* its coroutines; NULL between resumes */
    volatile sig_atomic_t interrupted; /* a signal came while Lua ran */
    volatile sig_atomic_t overdue;     /* the running fiber has passed its deadline (overrun.c) */
    bool forcing;                      /* a hook is raising an error */
    bool awaiting;                     /* the last yield was lt_await's and not the user's */
    int blocked;                       /* how many running resumes an await cannot yield across */
    bool gc_stress;                    /* collect everything at each resume */
    bool operations_started;
    bool exiting;
    int exit_code;
    const char *forbidden;
    char *script_dir;
    struct tt_env *here;         /* made on first use */
    lua_CFunction pcall, xpcall; /* the global ones, to recognise their frames */
};

struct lt_fiber {
    struct tt_op op;
    struct lt_vm *vm;
    struct lt_fiber *parent;  /* the fiber that spawned it and waits for it; NULL: nobody */
    struct tt_scope *scope;   /* what its operations run in */
    struct tt_scope *cleanup; /* what operations of cleanup code run in; made on first use */
    lua_State *L;             /* its coroutine, which thread_ref keeps alive */
    int thread_ref, defers_ref;
    char *name, *traceback;
    struct tt_op *awaited;     /* owned */
    struct tt_job start;       /* the first resume */
    struct tt_op *idle;        /* finishes when the last child ended; borrowed; or NULL */
    struct lt_fiber *unjoined; /* children that failed and that nobody joined (held) … */
    struct lt_fiber *next_unjoined;
    struct lt_join *joins;  /* who waits for the end */
    struct tt_error *error; /* why the body failed */
    size_t children;        /* spawned and still running */
    int values;             /* results on L's stack once ended */
    int cleaning;           /* > 0 while deferred functions run */
    int refusals;           /* awaits that were refused since it was cancelled */
    int64_t cleaned_at;     /* monotonic ms: when cleanup is stopped by force; 0: not cancelled */
    bool failed, joined, dropped;
};

static inline struct lt_fiber *lt_fiber_of_op(struct tt_op *op)
{
    return (struct lt_fiber *)(void *)op;
}

/* A thread's extra space holds the vm; its low bits say what kind of thread it is. */
enum {
    lt_guarded = 1, /* made by coroutine.create */
    lt_in_await = 2,
    lt_failed = 4 /* its body ended with the error that is left on its stack */
};
bool lt_thread_flag(lua_State *L, int flag);
void lt_thread_set_flag(lua_State *L, int flag, bool on);

/* The C functions at the bottom of a fiber's and a coroutine's stack, to recognise their frames. */
int lt_fiber_body(lua_State *L);
int lt_coro_body(lua_State *L);
/* "running", "normal", "suspended" or "dead", as L sees it. */
const char *lt_coro_state(lua_State *L, lua_State *co);
int lt_coro_close(lua_State *L); /* coroutine.close */

/* Replaces `xpcall`. */
int lt_xpcall(lua_State *L);
/* True while a `__close` metamethod or a deferred function is running in the current fiber. */
bool lt_in_cleanup(struct lt_vm *vm);
/* From now on the current fiber's cancellation is raised at every instruction outside of cleanup,
 * so that code which catches it over and over ends too. */
void lt_stop_current(struct lt_vm *vm);
/* A coroutine is about to be resumed: it inherits a pending interruption. */
void lt_enter_level(struct lt_vm *vm, struct lt_level *level, lua_State *L);

/* Sets an alarm for a fiber that is about to run: it is stopped should it keep the processor beyond
 * its deadline or, once cancelled, beyond the time for cleaning up. lt_overrun_end takes the alarm
 * away. */
void lt_overrun_watch(struct lt_fiber *fiber);
void lt_overrun_end(void);

/* Suspends the running coroutine until op finished; takes op. */
int lt_suspend(lua_State *L, struct tt_op *op, lua_KFunction then, lua_KContext context);
void lt_drop_awaited(struct lt_fiber *fiber);

enum { lt_cleanup_ms = 10000 }; /* how long cleanup may take once its fiber was cancelled */

/* The scope for operations of the current fiber: its own, or that of cleanup. Raises the reason
 * when the fiber was cancelled. */
struct tt_scope *lt_fiber_scope(lua_State *L);

int luaopen_tutti_coroutine(lua_State *L); /* replaces the functions of `coroutine` */

#endif
