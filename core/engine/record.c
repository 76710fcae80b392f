/* What is known of a task, beside what the run itself knows: a fold over what its operations
 * yielded. Nothing gets into a record in another way but where the task is about to run, so the
 * records of a later process are the same. */
#include "core/base/alloc.h"
#include "core/engine/parts.h"

#include <stdlib.h>
#include <string.h>

void tt_record_clear(struct tt_record *record)
{
    tt_env_release(record->env);
    free(record->where);
    tt_result_release(record->result);
    tt_result_release(record->rollback_result);
    json_decref(record->value);
    tt_error_free(record->error);
    free(record->trace);
    tt_error_free(record->rollback_error);
    tt_artifacts_clear(&record->artifacts);
}

static void keep_result(struct tt_result **slot, struct tt_result *result)
{
    struct tt_result *old = *slot;
    *slot = result ? tt_result_retain(result) : NULL;
    tt_result_release(old);
}

static void keep_text(char **slot, const char *text)
{
    char *old = *slot;
    *slot = text ? tt_strdup(text) : NULL;
    free(old);
}

static void count_usage(struct tt_record *record, const struct tt_usage *usage)
{
    if (usage->max_rss_bytes > record->peak_memory)
        record->peak_memory = usage->max_rss_bytes;
    if (usage->cpu_user_s < 0)
        return;
    record->cpu = (record->cpu < 0 ? 0 : record->cpu) + usage->cpu_user_s + usage->cpu_system_s;
}

static void keep_error(struct tt_record *record, enum tt_phase phase,
                       const struct tt_outcome *outcome, const struct tt_error *error)
{
    struct tt_error **slot = phase == TT_PHASE_ROLLBACK ? &record->rollback_error : &record->error;
    tt_error_free(*slot);
    *slot = tt_error_copy(error);
    if (slot == &record->error)
        record->error_name = outcome->value;
}

void tt_record_fold(struct tt_record *record, enum tt_phase phase, const struct tt_outcome *outcome,
                    const struct tt_yield *yield)
{
    if (yield->environment)
        keep_text(&record->where, yield->environment);
    if (phase == TT_PHASE_RUN) {
        keep_result(&record->result, yield->result);
        json_decref(record->value);
        record->value = yield->value ? json_incref(yield->value) : NULL;
    }
    if (phase == TT_PHASE_ROLLBACK)
        keep_result(&record->rollback_result, yield->result);
    else if (yield->called)
        keep_text(&record->trace, yield->trace);
    if (yield->result && !yield->called)
        count_usage(record, &yield->result->usage);
    if (yield->artifacts) {
        tt_artifacts_clear(&record->artifacts);
        tt_artifacts_copy(&record->artifacts, yield->artifacts);
    }
    if (yield->error)
        keep_error(record, phase, outcome, yield->error);
}
