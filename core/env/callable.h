/* User code, as the engine knows it: a number that its host can call. What the code is written in
 * stays with the host; run, when, rollback, health, resolver and trigger are all this.
 *
 * Loop thread. */
#ifndef TT_CALLABLE_H
#define TT_CALLABLE_H

#include "core/async/op.h"

#include <jansson.h>
#include <stdint.h>

struct tt_script_host;

struct tt_script_host_class {
    /* Begins a call: an operation that finishes with a value (tt_value_of) or an error: what the
     * code raised (a raised error keeps its kind, others are `script`), or `script` for a value
     * that is not plain data. `args` is what the role of this code documents (for a task:
     * core/engine/engine.h); it lives until the operation is freed. */
    struct tt_op *(*call)(struct tt_script_host *host, uint32_t id, void *args,
                          struct tt_scope *scope);
    /* What people see: "function build", "function deploy.lua:12". Allocated. */
    char *(*describe)(struct tt_script_host *host, uint32_t id);
    /* The name by which a later process that loaded the same code finds it again; the host's. No
     * two functions ever share one. */
    const char *(*name)(struct tt_script_host *host, uint32_t id);
    /* The number of the function of that name, without a reference of its own; -TT_NOT_FOUND when
     * the code that was loaded has none. */
    int (*find)(struct tt_script_host *host, const char *name, uint32_t *id, struct tt_error **err);
    void (*retain)(struct tt_script_host *host, uint32_t id);
    void (*release)(struct tt_script_host *host, uint32_t id);
};

/* The host embeds it first. */
struct tt_script_host {
    const struct tt_script_host_class *class_;
};

struct tt_result;

struct tt_value_op {
    struct tt_op op;
    json_t *value;            /* owned; NULL: nothing was returned */
    struct tt_result *result; /* held: of the command whose error was raised; else NULL */
    char *trace;              /* owned: where in the code it was raised, in lines; or NULL */
};
json_t *tt_value_of(struct tt_op *op); /* borrowed */
void tt_value_op_free(struct tt_op *op);

#endif
