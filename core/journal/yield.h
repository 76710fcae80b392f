/* What an operation of a task yielded: all that the engine keeps of it, as data that can be written
 * down. Reports, `ctx.results`, artifacts and rollbacks know a task's past from this alone, so that
 * a later process that reads it back knows as much. Loop thread. */
#ifndef TT_YIELD_H
#define TT_YIELD_H

#include "core/env/proc.h"
#include "core/plan/plan.h"
#include "core/store/store.h"

#include <jansson.h>

/* Owns, or holds a reference to, all that it points to. All zero is empty. */
struct tt_yield {
    bool called;              /* user code was called, no command run by the engine */
    char *environment;        /* the text of where it ran, resolved; NULL: nowhere yet */
    struct tt_result *result; /* of its command, or of the command that failed its code */
    json_t *value;            /* of its code; NULL: it returned nothing, or failed */
    struct tt_error *error;   /* by which the operation failed; NULL: it succeeded */
    char *trace;              /* traceback of `error`, if its code raised it; NULL: not known */
    struct tt_artifacts *artifacts; /* that it collected; NULL: it collected none */
    struct tt_plan *added;          /* tasks that its code added; NULL: none */
};
void tt_yield_clear(struct tt_yield *yield);

#endif
