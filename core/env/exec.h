/* What an environment is to the engine: the one interface behind which local, ssh, docker and k8s
 * live. Only executors/ implements it; users of it are core/env/proc.h (a command's whole life) and
 * core/files/files.h (files), which add what must be the same everywhere: deadlines,
 * TERM-grace-KILL, drain, limits, the mapping of codes to kinds. An executor only starts, moves
 * bytes, signals and observes, and never reports what it did not observe. */
#ifndef TT_EXEC_H
#define TT_EXEC_H

#include "core/async/op.h"

#include <stdint.h>

struct tt_env;
struct tt_process;
struct tt_file_class;

/* An environment variable for the command. value holds no NUL. */
struct tt_var {
    char *name;
    char *value;
};

/* A command, as asked for. Plain data; the owner frees it with tt_command_clear. An executor copies
 * what it needs beyond the call that it got it in. */
struct tt_command {
    char *shell;    /* a line for the environment's `/bin/sh -c`, or NULL and: */
    char **argv;    /* NULL-terminated, at least one word, byte-exact */
    char *cwd;      /* NULL: the environment's own (here: the current directory) */
    char *user;     /* NULL: whoever the environment runs as */
    char *password; /* for becoming `user` where that needs one; a secret; NULL: none */
    struct tt_var *vars;
    size_t var_count;
    bool stdin_open; /* false: the command reads EOF at once */
    bool pty;        /* both streams arrive as stdout */
};

void tt_command_copy(struct tt_command *to, const struct tt_command *from); /* deep */
void tt_command_clear(struct tt_command *command);
/* Adds or replaces a variable (both copied). */
void tt_command_set_var(struct tt_command *command, const char *name, const char *value);
/* What every environment would refuse: no command or both forms, a bad variable name (must match
 * [A-Za-z_][A-Za-z0-9_]*), a bad user name, an empty cwd: kind `invalid`, before anything ran.
 * tt_proc_start checks every command that comes from outside, and executors rely on it: none checks
 * again. Who wants to refuse a command while it is only declared asks, too. */
int tt_command_check(const struct tt_command *command, struct tt_error **err);

/* What the command used, as far as it can be observed; negative: not observable. */
struct tt_usage {
    double cpu_user_s, cpu_system_s;
    int64_t max_rss_bytes;
    int64_t io_read_bytes, io_write_bytes; /* block I/O */
};

/* How a command ended, as observed. */
struct tt_exit {
    enum tt_kind kind; /* TT_OK: the end was observed, code and signal say how; else why there is
                          no end: lost, not_found, permission, cwd, io … */
    int code;          /* 0-255, or -1 */
    int signal;        /* signal number on Linux, or 0 */
    struct tt_usage usage; /* filled with -1 where unknown */
    char *message;         /* for kind other than TT_OK; owned */
};

enum tt_stream { TT_STDOUT, TT_STDERR };

/* A started command. The executor embeds it first. Every function below returns an operation of the
 * given scope; at most one read per stream, one write or close_stdin, and one wait run at once.
 * Cancelling any of them leaves the process alone (a cancelled read loses no byte). */
struct tt_process_class {
    /* Finishes with 1..max bytes, or none at the stream's end: tt_bytes_of(op). A stream that broke
     * before its end is an error (lost, io), never an end. What is there is given at once. */
    struct tt_op *(*read)(struct tt_process *p, struct tt_scope *scope, enum tt_stream stream,
                          size_t max);
    /* Writes all of it (copied or kept by the executor: `data` need not outlive the call). When the
     * command closed its stdin, finishes with kind `io` and errnum EPIPE. */
    struct tt_op *(*write)(struct tt_process *p, struct tt_scope *scope, const void *data,
                           size_t length);
    struct tt_op *(*close_stdin)(struct tt_process *p, struct tt_scope *scope);
    /* Finishes once the command itself ended or its end can no longer be observed; streams may
     * still be open then (a grandchild holds them). p->exit is filled. Never an error but a
     * cancelled one. */
    struct tt_op *(*wait)(struct tt_process *p, struct tt_scope *scope);
    /* Sends a signal to the command's process group; after the command ended, to what is left of
     * it. not_found when nothing is. */
    struct tt_op *(*signal)(struct tt_process *p, struct tt_scope *scope, int signal);
    /* Asked only of a command that is being terminated, after wait finished: finishes once no
     * living process of its group is left. Where that cannot be observed, use
     * tt_process_gone_unseen: what may be left is then killed after the grace. */
    struct tt_op *(*gone)(struct tt_process *p, struct tt_scope *scope);
    /* Lets go of streams, handles and this object. The command has ended, or is given up. */
    void (*free)(struct tt_process *p);
};

struct tt_process {
    const struct tt_process_class *class_;
    struct tt_env *env; /* held */
    char *ref;          /* text that attach accepts later; owned */
    char *where; /* what the result names: the environment's text, a selector resolved; owned */
    struct tt_exit exit;
};

/* For executors: fills the base (holds env, copies ref and where), and lets go of it. */
void tt_process_init(struct tt_process *p, const struct tt_process_class *class_,
                     struct tt_env *env, const char *ref, const char *where);
void tt_process_clear(struct tt_process *p);
/* The default for `gone`: runs until it is cancelled. */
struct tt_op *tt_process_gone_unseen(struct tt_process *p, struct tt_scope *scope);

enum { tt_env_part_count = 3 };

/* A kind of environment. What differs between kinds is a trait here: nobody compares `kind`, which
 * is for people. */
struct tt_env_class {
    const char *kind; /* "local", "ssh", "docker", "docker-image", "k8s", "k8s-job" */
    /* Its paths are this process's own: files need not be carried here, and are hashed as they are
     * read; a relative path starts at the script's folder. */
    bool paths_are_here;
    /* What the API of this kind calls the environment: a container; a namespace, a pod and its
     * container. Fills borrowed texts (NULL: not known) and returns how many. The default is none.
     */
    size_t (*parts)(const struct tt_env *env, const char *parts[tt_env_part_count]);
    /* Starts a command. Finishes with a process (tt_process_of, taken by the caller) once it runs,
     * or with an error: not_found, permission, cwd, connect, auth, host_key, unsupported, invalid.
     * An executor that learns of a bad command or cwd only later says so in exit.kind. Cancelled
     * while starting: nothing is left running, or the error is `lost`. */
    struct tt_op *(*start)(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command);
    /* Finds a started command again by its reference; not_found when there is none. */
    struct tt_op *(*attach)(struct tt_env *env, struct tt_scope *scope, const char *ref);
    const struct tt_file_class *files;
    /* Resolves what a task must resolve once (a deployment to one pod): finishes with the concrete
     * environment, tt_env_of. The default returns env itself. */
    struct tt_op *(*resolve)(struct tt_env *env, struct tt_scope *scope);
    /* Ends idle connections and removes what it created for its own use (a container). */
    struct tt_op *(*close)(struct tt_env *env, struct tt_scope *scope);
    void (*free)(struct tt_env *env);
};

/* An environment: immutable, shared, reference-counted. The executor embeds it first. */
struct tt_env {
    const struct tt_env_class *class_;
    char *text;     /* "local:", "ssh://deploy@web-1:22" … */
    char *identity; /* equal for all that share limits and connections: the pools' key. The same in
                       every process; holds no secret */
    int limit;      /* commands at once; 0: no bound */
    unsigned refs;
};

void tt_env_init(struct tt_env *env, const struct tt_env_class *class_, const char *text,
                 const char *identity);
void tt_env_retain(struct tt_env *env);
void tt_env_release(struct tt_env *env);
/* The defaults for slots of tt_env_class. */
size_t tt_env_no_parts(const struct tt_env *env, const char *parts[tt_env_part_count]);
struct tt_op *tt_env_no_attach(struct tt_env *env, struct tt_scope *scope, const char *ref);
struct tt_op *tt_env_resolve_self(struct tt_env *env, struct tt_scope *scope);
struct tt_op *tt_env_close_nothing(struct tt_env *env, struct tt_scope *scope);

/* Operations with a typed result. Executors make them with the _new functions and finish them with
 * tt_op_finish after setting the value; an own class may embed struct tt_bytes_op the same way. */
struct tt_bytes {
    char *data; /* owned by the operation; NULL when length is 0 */
    size_t length;
};
struct tt_bytes_op {
    struct tt_op op;
    struct tt_bytes bytes;
};
const struct tt_bytes *tt_bytes_of(struct tt_op *op);

struct tt_process_op {
    struct tt_op op;
    struct tt_process *process; /* freed with the operation when nobody took it */
};
struct tt_process *tt_process_of(struct tt_op *op); /* takes it; NULL on error or when taken */

struct tt_env_op {
    struct tt_op op;
    struct tt_env *env; /* held */
};
struct tt_env *tt_env_of(struct tt_op *op); /* borrowed */

/* The usual free functions for classes that embed those. */
void tt_bytes_op_free(struct tt_op *op);
void tt_process_op_free(struct tt_op *op);
void tt_env_op_free(struct tt_op *op);

#endif
