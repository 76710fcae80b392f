/* What an operation of a task yielded: all that the engine keeps of its end, as data that can be
 * written down. Reports, `ctx.results`, artifacts and rollbacks see nothing else of what ran
 * before. Loop thread. */
#ifndef TT_YIELD_H
#define TT_YIELD_H

#include "core/env/proc.h"
#include "core/plan/plan.h"
#include "core/store/store.h"

#include <jansson.h>

/* All of it is owned (held) by the yield; all zero is nothing. */
struct tt_yield {
    bool called;              /* code ran, no command */
    char *environment;        /* the text of where it ran, resolved; NULL: nowhere yet */
    struct tt_result *result; /* of its command, or of the one by which its code failed */
    json_t *value;            /* of its code; NULL: it returned nothing, or failed */
    struct tt_error *error;   /* by which it failed */
    char *trace;              /* where in its code that was raised, in lines; NULL: not known */
    struct tt_artifacts *artifacts; /* that it collected; NULL: it collected none */
    struct tt_plan *added;          /* tasks that its code added; NULL: none */
};
void tt_yield_clear(struct tt_yield *yield);

#endif
