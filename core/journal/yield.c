#include "core/journal/yield.h"

#include <stdlib.h>

void tt_yield_clear(struct tt_yield *yield)
{
    free(yield->environment);
    tt_result_release(yield->result);
    json_decref(yield->value);
    tt_error_free(yield->error);
    free(yield->trace);
    if (yield->artifacts)
        tt_artifacts_clear(yield->artifacts);
    free(yield->artifacts);
    tt_plan_release(yield->added);
    *yield = (struct tt_yield){0};
}
