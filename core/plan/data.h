/* A plan as data, and back: what a journal keeps of tasks that a function added, and of the
 * workflow itself; what two versions of a script are compared by.
 *
 * An object: {"name", "file", "line", "tasks": [ … ]}, each task with the members of the Lua table
 * that it was declared by, those that it has; durations in ms. Functions are named by their script
 * host, environments by text and identity. A text that is no UTF-8 is {"base64": …}. Secrets are
 * not stored: a text in which the masker finds one, and every password, is {"secret": true}. */
#ifndef TT_PLAN_DATA_H
#define TT_PLAN_DATA_H

#include "core/base/mask.h"
#include "core/plan/plan.h"

/* `masker` may be NULL: there are no secrets. The caller's reference. */
json_t *tt_plan_to_data(const struct tt_plan *plan, const struct tt_masker *masker);

/* The plan that the data describe: its functions found in `host`, its environments in `known` by
 * their identity (NULL: none are known), else made from their text. -TT_INVALID, and no plan: data
 * that are none of tt_plan_to_data; a secret that was not stored; a function that the loaded code
 * no longer has; an environment that its text alone does not make again. */
int tt_plan_from_data(struct tt_plan **plan, struct tt_loop *loop, struct tt_script_host *host,
                      const struct tt_plan *known, const json_t *data, struct tt_error **err);

#endif
