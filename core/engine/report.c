#include "core/engine/report.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Whether the details or the bare document are being made decides what becomes of nothing. */
struct report {
    const struct tt_engine *engine;
    bool details;
};

static void put(const struct report *report, json_t *object, const char *name, json_t *value)
{
    if (!value && !report->details)
        value = json_null();
    if (value)
        json_object_set_new(object, name, value);
}

static json_t *bytes(const char *data, size_t length)
{
    return json_stringn_nocheck(data ? data : "", length);
}

static json_t *text(const char *string)
{
    return string ? bytes(string, strlen(string)) : NULL;
}

char *tt_time_text(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char day[32];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    return tt_format("%s.%03dZ", day, (int)(ms % 1000));
}

static json_t *moment(const struct report *report, int64_t monotonic)
{
    if (monotonic < 0)
        return NULL;
    char *string = tt_time_text(tt_engine_wall(report->engine, monotonic));
    json_t *value = json_string(string);
    free(string);
    return value;
}

static json_t *seconds(int64_t from, int64_t to)
{
    return from < 0 || to < 0 ? NULL : json_real((double)(to - from) / 1000);
}

static json_t *error_value(const struct tt_error *error)
{
    if (!error)
        return NULL;
    json_t *object = json_object();
    char *message = tt_error_text(error);
    json_object_set_new(object, "kind", json_string(tt_kind_name(error->kind)));
    json_object_set_new(object, "message", text(message));
    free(message);
    return object;
}

static json_t *rollback_value(const struct report *report, const struct tt_task_view *view,
                              const struct tt_record *record)
{
    static const char *const words[] = {[TT_ROLLBACK_RUNNING] = "running",
                                        [TT_ROLLBACK_COMPLETED] = "rolled_back",
                                        [TT_ROLLBACK_BROKEN] = "rollback_failed"};
    if (view->rollback == TT_ROLLBACK_NOT)
        return NULL;
    json_t *object = json_object();
    int code = view->rollback_ended < 0 ? -1 : view->rollback_outcome.code;
    bool broken = view->rollback == TT_ROLLBACK_BROKEN && record;
    put(report, object, "status", json_string(words[view->rollback]));
    put(report, object, "exit_code", code < 0 ? NULL : json_integer(code));
    put(report, object, "error", broken ? error_value(record->rollback_error) : NULL);
    if (report->details)
        put(report, object, "duration_s", seconds(view->rollback_started, view->rollback_ended));
    return object;
}

static json_t *artifacts_value(const struct tt_record *record)
{
    json_t *list = json_array();
    for (size_t i = 0; record && i < record->artifacts.count; i++) {
        const struct tt_artifact *artifact = &record->artifacts.items[i];
        char mode[16];
        snprintf(mode, sizeof mode, "%04o", artifact->mode & 07777u);
        json_t *object = json_object();
        json_object_set_new(object, "path", text(artifact->path));
        json_object_set_new(object, "size", json_integer((json_int_t)artifact->size));
        json_object_set_new(object, "sha256", json_string(artifact->sha256));
        json_object_set_new(object, "mode", json_string(mode));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *output_value(const struct tt_task *task, const struct tt_record *record)
{
    if (!record)
        return NULL;
    if (task->run.form == TT_ACTION_CALL)
        return record->value ? json_incref(record->value) : NULL;
    return record->result ? bytes(record->result->out.data, record->result->out.length) : NULL;
}

static void put_task_details(const struct report *report, json_t *object, uint32_t index,
                             const struct tt_record *record)
{
    char *reason = tt_engine_skip_reason(report->engine, index);
    put(report, object, "index", json_integer(index + 1));
    put(report, object, "reason", text(reason));
    free(reason);
    put(report, object, "log", text(tt_engine_log(report->engine, index)));
    if (!record)
        return;
    const struct tt_result *result = record->result;
    if (record->log_broken)
        put(report, object, "log_incomplete", json_true());
    put(report, object, "peak_memory",
        record->peak_memory < 0 ? NULL : json_integer(record->peak_memory));
    put(report, object, "cpu_s", record->cpu < 0 ? NULL : json_real(record->cpu));
    put(report, object, "stdout", result ? bytes(result->out.data, result->out.length) : NULL);
    put(report, object, "stderr", result ? bytes(result->err.data, result->err.length) : NULL);
}

static json_t *task_value(const struct report *report, uint32_t index,
                          const struct tt_task_view *view)
{
    const struct tt_task *task = tt_engine_task(report->engine, index);
    const struct tt_record *record = tt_engine_record(report->engine, index);
    struct tt_error *error = tt_engine_error(report->engine, index);
    int code = view->has_result ? view->result.code : -1;
    const char *where = record && record->where ? record->where : task->env->text;
    json_t *object = json_object();
    put(report, object, "id", text(task->name));
    put(report, object, "status", json_string(tt_task_status_name(view->status)));
    put(report, object, "attempts", json_integer(view->attempts));
    put(report, object, "environment", text(where));
    put(report, object, "started_at", moment(report, view->started));
    put(report, object, "duration_s", seconds(view->started, view->ended));
    put(report, object, "exit_code", code < 0 ? NULL : json_integer(code));
    put(report, object, "error", error_value(error));
    put(report, object, "rollback", rollback_value(report, view, record));
    put(report, object, "output", output_value(task, record));
    put(report, object, "artifacts", artifacts_value(record));
    if (report->details)
        put_task_details(report, object, index, record);
    tt_error_free(error);
    return object;
}

static json_t *document(const struct report *report)
{
    const struct tt_run *run = tt_engine_run(report->engine);
    json_t *object = json_object(), *tasks = json_array();
    put(report, object, "workflow", text(tt_plan_name(tt_engine_plan(report->engine))));
    put(report, object, "run", text(tt_engine_id(report->engine)));
    put(report, object, "status", json_string(tt_run_status_name(tt_run_status(run))));
    put(report, object, "started_at", moment(report, tt_run_started_at(run)));
    put(report, object, "duration_s", seconds(tt_run_started_at(run), tt_run_ended_at(run)));
    for (uint32_t i = 0; i < tt_run_count(run); i++) {
        struct tt_task_view view;
        tt_run_task(run, i, &view);
        if (view.selected)
            json_array_append_new(tasks, task_value(report, i, &view));
    }
    put(report, object, "tasks", tasks);
    return object;
}

json_t *tt_report_document(const struct tt_engine *engine)
{
    return document(&(struct report){.engine = engine});
}

/* ---- what people want to know beside --------------------------------------------------------- */

static json_t *cause(const struct report *report, uint32_t index, const struct tt_error *error,
                     const struct tt_result *result, bool rollback)
{
    json_t *object = error_value(error);
    put(report, object, "task", text(tt_run_name(tt_engine_run(report->engine), index)));
    put(report, object, "rollback", json_boolean(rollback));
    put(report, object, "log", text(tt_engine_log(report->engine, index)));
    const struct tt_record *record = tt_engine_record(report->engine, index);
    if (record && record->log_broken)
        put(report, object, "log_incomplete", json_true());
    put(report, object, "stdout", result ? bytes(result->out.data, result->out.length) : NULL);
    put(report, object, "stderr", result ? bytes(result->err.data, result->err.length) : NULL);
    return object;
}

/* Failures in the order of failing, then the rollbacks that failed. */
static json_t *causes(const struct report *report)
{
    const struct tt_run *run = tt_engine_run(report->engine);
    json_t *list = json_array();
    uint32_t count;
    const uint32_t *failures = tt_run_failures(run, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct tt_record *record = tt_engine_record(report->engine, failures[i]);
        struct tt_error *error = tt_engine_error(report->engine, failures[i]);
        json_t *item = cause(report, failures[i], error, record ? record->result : NULL, false);
        put(report, item, "traceback", record ? text(record->trace) : NULL);
        json_array_append_new(list, item);
        tt_error_free(error);
    }
    for (uint32_t i = 0; i < tt_run_count(run); i++) {
        struct tt_task_view view;
        tt_run_task(run, i, &view);
        const struct tt_record *record = tt_engine_record(report->engine, i);
        if (record && view.rollback == TT_ROLLBACK_BROKEN)
            json_array_append_new(
                list, cause(report, i, record->rollback_error, record->rollback_result, true));
    }
    return list;
}

static void put_critical_path(const struct report *report, json_t *object)
{
    struct tt_run *run = tt_engine_run(report->engine);
    uint32_t count;
    uint32_t *path = tt_run_critical_path(run, &count);
    json_t *list = json_array();
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tt_task_view view;
        tt_run_task(run, path[i], &view);
        total += view.ended - view.started;
        json_array_append_new(list, text(view.name));
    }
    free(path);
    put(report, object, "critical_path", list);
    put(report, object, "critical_s", json_real((double)total / 1000));
}

json_t *tt_report_details(const struct tt_engine *engine)
{
    struct report report = {.engine = engine, .details = true};
    const struct tt_run *run = tt_engine_run(engine);
    json_t *object = document(&report), *counts = json_object();
    for (int i = 0; i < TT_TASK_STATUS_COUNT; i++)
        put(&report, counts, tt_task_status_name((enum tt_task_status)i),
            json_integer(tt_run_count_of(run, (enum tt_task_status)i)));
    put(&report, object, "counts", counts);
    put(&report, object, "jobs", json_integer(tt_engine_jobs(engine)));
    put(&report, object, "path", text(tt_engine_dir(engine)));
    put(&report, object, "causes", causes(&report));
    put_critical_path(&report, object);
    int64_t peak = -1;
    for (uint32_t i = 0; i < tt_run_count(run); i++) {
        const struct tt_record *record = tt_engine_record(engine, i);
        if (record && record->peak_memory > peak)
            peak = record->peak_memory;
    }
    put(&report, object, "peak_memory", peak < 0 ? NULL : json_integer(peak));
    return object;
}
