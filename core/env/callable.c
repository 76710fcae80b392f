#include "core/env/callable.h"

#include "core/env/proc.h"

#include <stdlib.h>

json_t *tt_value_of(struct tt_op *op)
{
    return ((struct tt_value_op *)(void *)op)->value;
}

void tt_value_op_free(struct tt_op *op)
{
    struct tt_value_op *value = (struct tt_value_op *)(void *)op;
    json_decref(value->value);
    tt_result_release(value->result);
    free(value->trace);
    free(value);
}
