/* A command's whole life, the same in every environment: started, its streams moved, its deadline
 * kept, its end observed or declared lost.
 *
 * - Timeout and cancel: TERM to the group, KILL after `grace`. An end that is not observed within
 *   grace + 10 s is `lost`, and the message says that it may still be running.
 * - Drain: once the command ended, its streams are read until they end, or until 200 ms of silence,
 *   but for 2 s at most. A grandchild that holds them open does not hang us, and is left alone.
 * - Exit codes become kinds: 0 ok, 126 `permission`, 127 `not_found`, 129–159 `signal`, others
 * `exit`.
 *
 * A struct tt_proc lives in the scope that it was started in. Cancelling that scope, or its
 * deadline, terminates the command. The scope is not idle before the command has ended or is given
 * up as `lost`. Loop thread. */
#ifndef TT_PROC_H
#define TT_PROC_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tt_proc;

enum { tt_default_grace_ms = 2000, tt_confirm_ms = 10000 };
enum { tt_default_max_output = 16 << 20 };

/* How a command ended, in the contract's words. Reference-counted. */
struct tt_result {
    enum tt_kind kind;      /* TT_OK, or what went wrong */
    int code;               /* -1: none was observed */
    int signal;             /* 0: none; also set for codes 129–159 */
    struct tt_buf out, err; /* what was captured */
    bool truncated;         /* of out or err only the end was kept */
    double duration;        /* seconds */
    char *env;              /* the text form of where it ran */
    struct tt_usage usage;
    char *message; /* one line for people; NULL when ok */
};

struct tt_result *tt_result_new(void);
struct tt_result *tt_result_retain(struct tt_result *result);
void tt_result_release(struct tt_result *result);
/* "KILL" for 9 …; the number as text for one without a name. */
const char *tt_signal_name(int signal);
int tt_signal_number(const char *name); /* "KILL", "SIGKILL" or "9"; 0: unknown */
/* The error that `run` raises for a result that is not ok. */
struct tt_error *tt_result_error(const struct tt_result *result);

struct tt_proc_options {
    int64_t timeout; /* ms from the start; TT_NEVER: none */
    int64_t grace;   /* ms between TERM and KILL */
    bool limited;    /* wait first for one of the places that the environment's `limit` allows, and
                        hold it until the end; timeout counts from then on */
};

/* Starts a command in a scope of its own below `scope`. Finishes when the command runs, with
 * tt_proc_of, or with an error of tt_env_class.start. */
struct tt_op *tt_proc_start(struct tt_env *env, struct tt_scope *scope,
                            const struct tt_command *command,
                            const struct tt_proc_options *options);
struct tt_proc *tt_proc_of(struct tt_op *op); /* takes a reference; NULL on error */
void tt_proc_retain(struct tt_proc *proc);
/* When the last reference goes, a command that still runs is terminated; its scope waits for that.
 */
void tt_proc_release(struct tt_proc *proc);

/* As in struct tt_process_class. Once the drain is over, reads finish with the stream's end. */
struct tt_op *tt_proc_read(struct tt_proc *proc, struct tt_scope *scope, enum tt_stream stream,
                           size_t max);
struct tt_op *tt_proc_write(struct tt_proc *proc, struct tt_scope *scope, const void *data,
                            size_t length);
struct tt_op *tt_proc_close_stdin(struct tt_proc *proc, struct tt_scope *scope);
/* A signal to the command's process group. Kind `not_found` once the command has ended. */
struct tt_op *tt_proc_signal(struct tt_proc *proc, struct tt_scope *scope, int signal);
/* Begins TERM, grace, KILL, and returns at once. `why` is copied; its kind becomes the result's. */
void tt_proc_terminate(struct tt_proc *proc, const struct tt_error *why);
/* Finishes when the command has ended and every read that ran at that time has reached the end of
 * its stream or of the drain; tt_proc_result is final then. A stream that nobody reads is not
 * waited for, but it blocks the command once its pipe is full. */
struct tt_op *tt_proc_wait(struct tt_proc *proc, struct tt_scope *scope);
struct tt_result *tt_proc_result(struct tt_proc *proc); /* borrowed; out and err are empty */
const char *tt_proc_ref(const struct tt_proc *proc);

/* --- a command from start to end, its output captured: `run` and `try` --- */

/* Sees every chunk of output before it is kept. Runs on the loop thread inside a job. */
typedef void tt_output_fn(void *arg, enum tt_stream stream, const char *bytes, size_t length);

struct tt_capture_options {
    struct tt_proc_options proc;
    const void *input; /* for stdin, copied; NULL: EOF at once, unless command->stdin_open */
    size_t input_length;
    int64_t max_output; /* bytes per stream; more terminates the command: `output_limit`, the head
                           is kept */
    int64_t keep_tail;  /* > 0: no limit, only the last so many bytes of each stream are kept */
    tt_output_fn *on_output; /* or NULL */
    void *arg;
};

void tt_capture_defaults(struct tt_capture_options *options);
/* Finishes with a result, tt_result_of, however the command ended. Only `cancelled`, `invalid` and
 * `unsupported` are errors of the operation; a cancelled one finishes after its command has ended.
 */
struct tt_op *tt_capture(struct tt_env *env, struct tt_scope *scope,
                         const struct tt_command *command,
                         const struct tt_capture_options *options);
struct tt_result *
tt_result_of(struct tt_op *op); /* borrowed; NULL: none. A cancelled one has it too */

#endif
