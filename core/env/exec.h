/* What an environment is to the engine: the one interface that local, ssh, docker and k8s
 * implement, all of them in executors/. An executor only starts commands, moves bytes, signals and
 * observes, and never reports what it did not observe.
 *
 * Two headers use it for everybody else: core/env/proc.h (a command's whole life) and
 * core/files/files.h. They add what must be the same everywhere: deadlines, TERM-grace-KILL, drain,
 * limits, the mapping of exit codes to kinds. Loop thread. */
#ifndef TT_EXEC_H
#define TT_EXEC_H

#include "core/async/op.h"

#include <stdint.h>

struct tt_env;
struct tt_process;
struct tt_file_class;

/* An environment variable of a command. */
struct tt_var {
    char *name;
    char *value;
};

/* A command, as asked for. Plain data; the owner frees it with tt_command_clear. An executor that
 * is given one copies what it needs after the call. */
struct tt_command {
    char *shell;    /* a line for the environment's `/bin/sh -c`; or NULL, and argv is set */
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
/* Refuses, as `invalid`, what every environment would: no command or both forms, a variable whose
 * name does not match [A-Za-z_][A-Za-z0-9_]*, a bad user name, an empty cwd. tt_proc_start checks
 * every command so, and executors do not check again. A plan's reader checks too, to refuse a
 * command where it is declared. */
int tt_command_check(const struct tt_command *command, struct tt_error **err);

/* What the command used, as far as it can be observed; negative: not observable. */
struct tt_usage {
    double cpu_user_s, cpu_system_s;
    int64_t max_rss_bytes;
    int64_t io_read_bytes, io_write_bytes; /* of block devices */
};

/* How a command ended, as observed. */
struct tt_exit {
    enum tt_kind kind; /* TT_OK: the end was observed, code and signal say how; else why there is
                          no end: lost, not_found, permission, cwd, io … */
    int code;          /* 0-255, or -1 */
    int signal;        /* signal number on Linux, or 0 */
    struct tt_usage usage; /* -1 where not observable */
    char *message;         /* for kind other than TT_OK; owned */
};

enum tt_stream { TT_STDOUT, TT_STDERR };

/* What an executor does with a started command. All but `free` return an operation in the given
 * scope. At a time there is at most one read of each stream, one write or close_stdin, and one
 * wait. Cancelling an operation leaves the command alone; a cancelled read loses no byte. */
struct tt_process_class {
    /* Finishes with 1..max bytes as soon as there are any, or with none at the stream's end:
     * tt_bytes_of. A stream that broke before its end is an error (lost, io), never an end. */
    struct tt_op *(*read)(struct tt_process *p, struct tt_scope *scope, enum tt_stream stream,
                          size_t max);
    /* Finishes when all of `data` was written; `data` need not outlive the call. Kind `io` with
     * errno EPIPE when the command closed its stdin. */
    struct tt_op *(*write)(struct tt_process *p, struct tt_scope *scope, const void *data,
                           size_t length);
    struct tt_op *(*close_stdin)(struct tt_process *p, struct tt_scope *scope);
    /* Finishes once the command itself has ended, or its end can no longer be observed; p->exit
     * says which. A grandchild may still hold the streams open. The only error is `cancelled`. */
    struct tt_op *(*wait)(struct tt_process *p, struct tt_scope *scope);
    /* Sends a signal to the command's process group, or to what is left of the group after the
     * command ended; `not_found` when nothing is left. */
    struct tt_op *(*signal)(struct tt_process *p, struct tt_scope *scope, int signal);
    /* Finishes once no living process of the command's group is left. Asked only of a command that
     * is being terminated, after `wait` finished. Where the group cannot be observed, use
     * tt_process_gone_unseen: what may be left is then killed after the grace. */
    struct tt_op *(*gone)(struct tt_process *p, struct tt_scope *scope);
    /* Frees `p` with its streams and handles. The command has ended, or is given up. */
    void (*free)(struct tt_process *p);
};

/* A started command. The executor's own struct has it as its first member. */
struct tt_process {
    const struct tt_process_class *class_;
    struct tt_env *env; /* held */
    char *ref;          /* text that attach accepts later; owned */
    char *where; /* text of the environment for results, a selector resolved to a pod; owned */
    struct tt_exit exit;
};

/* For executors: fills `p` (env is retained, ref and where are copied); clear undoes that. */
void tt_process_init(struct tt_process *p, const struct tt_process_class *class_,
                     struct tt_env *env, const char *ref, const char *where);
void tt_process_clear(struct tt_process *p);
/* The default for `gone`: an operation that runs until it is cancelled. */
struct tt_op *tt_process_gone_unseen(struct tt_process *p, struct tt_scope *scope);

enum { tt_env_part_count = 3 };

/* A kind of environment. What differs between kinds is a trait here. `kind` is for people: nobody
 * compares it. */
struct tt_env_class {
    const char *kind; /* "local", "ssh", "docker", "docker-image", "k8s", "k8s-job" */
    /* True for this machine: its paths are this process's own. Files need not be carried here, and
     * are hashed as they are read; a relative path starts at the script's folder. */
    bool paths_are_here;
    /* The names by which this kind's API knows the environment: Docker's container; Kubernetes'
     * namespace, pod and container. Fills `parts` with borrowed texts (NULL: not known) and returns
     * how many. The default has none. */
    size_t (*parts)(const struct tt_env *env, const char *parts[tt_env_part_count]);
    /* Starts a command. Finishes once the command runs, with its process (tt_process_of), or with
     * an error: not_found, permission, cwd, connect, auth, host_key, unsupported, invalid. An
     * executor that learns only later of a bad command or cwd says so in exit.kind. When cancelled
     * while starting, nothing is left running, or the error is `lost`. */
    struct tt_op *(*start)(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command);
    /* Finds a command again by tt_process.ref, also one that another process started: finishes with
     * tt_process_of, or `not_found`. */
    struct tt_op *(*attach)(struct tt_env *env, struct tt_scope *scope, const char *ref);
    const struct tt_file_class *files;
    /* Chooses the one concrete environment that a task keeps (a pod of a deployment): finishes with
     * it, tt_env_of. The default gives env itself. */
    struct tt_op *(*resolve)(struct tt_env *env, struct tt_scope *scope);
    /* Ends the environment's idle connections and removes what it created for its own use (a
     * container). */
    struct tt_op *(*close)(struct tt_env *env, struct tt_scope *scope);
    void (*free)(struct tt_env *env);
};

/* An environment: immutable, shared, reference-counted. The executor's own struct has it as its
 * first member. */
struct tt_env {
    const struct tt_env_class *class_;
    char *text;     /* "local:", "ssh://deploy@web-1:22" … */
    char *identity; /* key of its pool: equal for environments that share limits and connections.
                       The same in every process; holds no secret */
    int limit;      /* commands at once; 0: no bound */
    unsigned refs;
};

void tt_env_init(struct tt_env *env, const struct tt_env_class *class_, const char *text,
                 const char *identity);
void tt_env_retain(struct tt_env *env);
void tt_env_release(struct tt_env *env);
/* The defaults for functions of tt_env_class: parts, attach (`unsupported`), resolve, close. */
size_t tt_env_no_parts(const struct tt_env *env, const char *parts[tt_env_part_count]);
struct tt_op *tt_env_no_attach(struct tt_env *env, struct tt_scope *scope, const char *ref);
struct tt_op *tt_env_resolve_self(struct tt_env *env, struct tt_scope *scope);
struct tt_op *tt_env_close_nothing(struct tt_env *env, struct tt_scope *scope);

/* Operations with a typed result. An executor's operation has one of these as its first member; it
 * sets the value, then calls tt_op_finish. */
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
    struct tt_process *process; /* freed with the operation, unless tt_process_of took it */
};
struct tt_process *
tt_process_of(struct tt_op *op); /* the caller's now; NULL on error or when taken before */

struct tt_env_op {
    struct tt_op op;
    struct tt_env *env; /* held */
};
struct tt_env *tt_env_of(struct tt_op *op); /* borrowed */

/* The class's `free` for operations with those first members. */
void tt_bytes_op_free(struct tt_op *op);
void tt_process_op_free(struct tt_op *op);
void tt_env_op_free(struct tt_op *op);

#endif
