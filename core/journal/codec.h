/* Inputs of a run as bytes, and back: what a journal's records hold. Pure.
 *
 * An input is written whole: its outcome, and what the operation yielded (the environment's text,
 * the command's result with its tails, the value, the error and its causes, the artifacts, the
 * tasks added as data). Told to a run again, in order, the inputs lead to the same effects. */
#ifndef TT_CODEC_H
#define TT_CODEC_H

#include "core/base/mask.h"
#include "core/journal/yield.h"

/* Appends the input. `masker` (NULL: there are no secrets) keeps secrets out of tasks as data; all
 * other texts were masked before they got here. */
void tt_input_put(struct tt_buf *out, const struct tt_input *input, const struct tt_masker *masker);

/* What is needed to make things again that a text names. */
struct tt_revival {
    struct tt_loop *loop;        /* with its schemes */
    struct tt_script_host *host; /* with the workflow's code loaded */
    const struct tt_plan *plan;  /* the workflow's: its environments are used by their identity */
};

/* Reads one input, all of the bytes. -TT_INVALID for bytes that are none; *yield is empty then,
 * else the caller's to clear, and what input->yield points to. input->added is left to the caller:
 * it is tt_plan_specs(yield->added) of an operation that succeeded. */
int tt_input_get(const void *bytes, size_t length, const struct tt_revival *revival,
                 struct tt_input *input, struct tt_yield *yield, struct tt_error **err);

#endif
