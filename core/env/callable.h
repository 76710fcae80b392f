/* User code, as the engine knows it: a function's number, which its script host can call. Only the
 * script host knows the language. A task's when, run, health and rollback can be such
 * functions.
 *
 * A number is valid while somebody holds a reference to it (retain, release). Loop thread. */
#ifndef TT_CALLABLE_H
#define TT_CALLABLE_H

#include "core/async/op.h"

#include <jansson.h>
#include <stdint.h>

struct tt_script_host;

struct tt_script_host_class {
    /* Begins a call of the function `id`: an operation that finishes with a value (tt_value_of) or
     * an error. An error that the code raised keeps its kind; whatever else it raised is `script`,
     * and so is a value that is not plain data. What `args` points to depends on the function's
     * role (for a task's: struct tt_task_call of core/engine/engine.h); the caller keeps it until
     * the operation is freed. */
    struct tt_op *(*call)(struct tt_script_host *host, uint32_t id, void *args,
                          struct tt_scope *scope);
    /* The function for people: "function build", "function deploy.lua:12". Allocated. */
    char *(*describe)(struct tt_script_host *host, uint32_t id);
    /* The function's stable name, by which a later process that loaded the same code finds it. No
     * two functions ever share one. Borrowed from the script host. */
    const char *(*name)(struct tt_script_host *host, uint32_t id);
    /* *id: the number of the function of that name; gives no reference. -TT_NOT_FOUND when the
     * loaded code has none. */
    int (*find)(struct tt_script_host *host, const char *name, uint32_t *id, struct tt_error **err);
    void (*retain)(struct tt_script_host *host, uint32_t id);
    void (*release)(struct tt_script_host *host, uint32_t id);
};

/* A script host. The language's own struct has it as its first member. */
struct tt_script_host {
    const struct tt_script_host_class *class_;
};

struct tt_result;

/* The operation of a call: what the code returned, or details of its failure. */
struct tt_value_op {
    struct tt_op op;
    json_t *value;            /* owned; NULL: nothing was returned */
    struct tt_result *result; /* held: of the command that failed it, or NULL */
    char *trace;              /* owned: traceback of the raised error; NULL: not known */
};
json_t *tt_value_of(struct tt_op *op); /* borrowed */
void tt_value_op_free(struct tt_op *op);

#endif
