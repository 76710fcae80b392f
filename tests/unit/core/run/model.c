#include "tests/unit/core/run/model.h"

#include <stdio.h>
#include <string.h>

/* ---- batches --------------------------------------------------------------------------------- */

void model_init(struct model *m, const struct tt_run_options *options, uint32_t jobs)
{
    memset(m, 0, sizeof *m);
    m->options = *options;
    m->jobs = jobs;
    m->random.state = options->seed;
    m->status = TT_RUN_PENDING;
}

/* Marks in `set` the tasks that a name stands for; false when there are none. */
static bool look_up(const struct model *m, const char *name, bool *set)
{
    bool any = false;
    for (uint32_t t = 0; t < m->count; t++)
        if (!strcmp(m->tasks[t].name, name) || !strcmp(m->tasks[t].group, name))
            any = set[t] = true;
    return any;
}

static bool comes_after(const struct model *m, uint32_t t, uint32_t before)
{
    return m->tasks[t].needs[before] || m->tasks[t].after[before];
}

/* Takes away, again and again, all that come after nothing that is left. */
static bool has_cycle(const struct model *m)
{
    bool gone[MODEL_TASKS] = {false};
    for (uint32_t round = 0; round < m->count; round++)
        for (uint32_t t = 0; t < m->count; t++) {
            bool free = true;
            for (uint32_t b = 0; b < m->count; b++)
                free = free && (gone[b] || !comes_after(m, t, b));
            gone[t] = gone[t] || free;
        }
    for (uint32_t t = 0; t < m->count; t++)
        if (!gone[t])
            return true;
    return false;
}

bool model_add(struct model *m, const struct tt_task_spec *specs, size_t count)
{
    static struct model saved;
    saved = *m;
    for (size_t i = 0; i < count; i++) {
        struct model_task *task = &m->tasks[m->count];
        bool ignored[MODEL_TASKS];
        if (look_up(m, specs[i].name, ignored))
            goto wrong;
        memset(task, 0, sizeof *task);
        task->spec = specs[i];
        snprintf(task->name, sizeof task->name, "%s", specs[i].name);
        snprintf(task->group, sizeof task->group, "%s", specs[i].group ? specs[i].group : "");
        for (size_t p = 0; p < specs[i].pool_count; p++)
            snprintf(task->pools[p], sizeof task->pools[p], "%s", specs[i].pools[p].key);
        task->selected = true;
        task->alarm = task->last_moment = task->attempt_last_moment = TT_NEVER;
        m->count++;
    }
    for (size_t i = 0; i < count; i++) {
        struct model_task *task = &m->tasks[saved.count + i];
        for (size_t n = 0; n < specs[i].need_count; n++)
            if (!look_up(m, specs[i].needs[n], task->needs))
                goto wrong;
        for (size_t n = 0; n < specs[i].after_count; n++)
            if (!look_up(m, specs[i].after[n], task->after))
                goto wrong;
    }
    if (!has_cycle(m))
        return true;
wrong:
    *m = saved;
    return false;
}

/* ---- questions ------------------------------------------------------------------------------- */

bool model_operates(const struct model *m, uint32_t t)
{
    return m->tasks[t].place == PLACE_OP || m->tasks[t].rollback == TT_ROLLBACK_RUNNING;
}

bool model_holds(const struct model *m, uint32_t t)
{
    const struct model_task *task = &m->tasks[t];
    return task->place == PLACE_REST || (task->place == PLACE_OP && task->phase != TT_PHASE_WHEN);
}

static bool wants_pool(const struct model_task *task, const char *key)
{
    for (int p = 0; p < MODEL_POOLS; p++)
        if (*key && !strcmp(task->pools[p], key))
            return true;
    return false;
}

static bool has_room(const struct model *m, uint32_t t)
{
    uint32_t all = 0;
    for (uint32_t o = 0; o < m->count; o++)
        all += model_holds(m, o);
    if (m->jobs && all >= m->jobs)
        return false;
    for (size_t p = 0; p < m->tasks[t].spec.pool_count; p++) {
        uint32_t used = 0;
        for (uint32_t o = 0; o < m->count; o++)
            used += model_holds(m, o) && wants_pool(&m->tasks[o], m->tasks[t].pools[p]);
        /* the tests give a pool "hN" the limit N */
        if (used >= (uint32_t)(m->tasks[t].pools[p][1] - '0'))
            return false;
    }
    return true;
}

static uint64_t longest_path(const struct model *m, uint32_t from)
{
    uint64_t path[MODEL_TASKS] = {0};
    for (uint32_t round = 0; round < m->count; round++)
        for (uint32_t t = 0; t < m->count; t++) {
            uint64_t rest = 0;
            for (uint32_t o = 0; o < m->count; o++)
                if (comes_after(m, o, t) && path[o] > rest)
                    rest = path[o];
            path[t] = rest + (m->tasks[t].spec.weight ? m->tasks[t].spec.weight : 1);
        }
    return path[from];
}

int64_t model_wake_at(const struct model *m)
{
    int64_t at = TT_NEVER;
    for (uint32_t t = 0; t < m->count; t++)
        if (m->tasks[t].alarm < at)
            at = m->tasks[t].alarm;
    return at;
}

static int64_t in(const struct model *m, int64_t length)
{
    return length ? m->now + length : TT_NEVER;
}

/* ---- what happens to one task ---------------------------------------------------------------- */

static void end(struct model *m, uint32_t t, enum tt_task_status status, enum tt_kind error)
{
    m->tasks[t].place = PLACE_END;
    m->tasks[t].status = status;
    m->tasks[t].alarm = TT_NEVER;
    m->tasks[t].error = error;
    m->tasks[t].end_rank = ++m->ends;
    if (status == TT_TASK_FAILED) {
        m->failures[m->failure_count++] = t;
        m->failed = true;
        m->wait = m->wait || m->options.on_failure != TT_ON_FAILURE_CONTINUE;
        m->cancel = m->cancel || m->options.on_failure == TT_ON_FAILURE_CANCEL;
    }
}

/* What being stopped does to all that has begun, or was about to. */
static void enforce_stop(struct model *m)
{
    for (uint32_t t = 0; t < m->count; t++) {
        struct model_task *task = &m->tasks[t];
        if (task->place == PLACE_BEFORE || task->place == PLACE_END)
            continue;
        if (task->place == PLACE_OP)
            task->told = task->told || m->cancel;
        else if (m->cancel || (m->wait && task->attempt == 0))
            end(m, t, TT_TASK_CANCELLED, TT_CANCELLED);
    }
}

static void fail(struct model *m, uint32_t t, enum tt_kind kind)
{
    bool obeyed = kind == TT_CANCELLED && m->tasks[t].told;
    end(m, t, obeyed ? TT_TASK_CANCELLED : TT_TASK_FAILED, kind);
    enforce_stop(m);
}

static void get_in_line(struct model *m, uint32_t t)
{
    m->tasks[t].place = PLACE_LINE;
    m->tasks[t].rank = longest_path(m, t);
}

static void begin_op(struct model_task *task, enum tt_phase phase)
{
    task->place = PLACE_OP;
    task->phase = phase;
    task->check += phase == TT_PHASE_HEALTH;
    task->began = task->began || phase >= TT_PHASE_RUN;
}

/* It has done what comes before `phase`. */
static void move_on(struct model *m, uint32_t t, enum tt_phase phase)
{
    struct model_task *task = &m->tasks[t];
    enum tt_phase next = TT_PHASE_NONE;
    if (task->spec.has_output && phase <= TT_PHASE_OUTPUT)
        next = TT_PHASE_OUTPUT;
    if (task->spec.has_health && phase <= TT_PHASE_HEALTH)
        next = TT_PHASE_HEALTH;
    if (task->spec.has_run && phase <= TT_PHASE_RUN)
        next = TT_PHASE_RUN;
    if (task->spec.has_input && phase <= TT_PHASE_INPUT)
        next = TT_PHASE_INPUT;
    if (next != TT_PHASE_NONE && task->told) {
        end(m, t, TT_TASK_CANCELLED, TT_CANCELLED);
    } else if (next != TT_PHASE_NONE) {
        begin_op(task, next);
    } else {
        task->began = true;
        end(m, t, TT_TASK_COMPLETED, TT_OK);
    }
}

static void start_attempt(struct model *m, uint32_t t)
{
    struct model_task *task = &m->tasks[t];
    if (task->attempt == 0)
        task->last_moment = in(m, task->spec.deadline);
    task->attempt++;
    task->status = TT_TASK_RUNNING;
    task->check = 0;
    task->alarm = TT_NEVER;
    task->attempt_last_moment = in(m, task->spec.timeout);
    if (task->last_moment < task->attempt_last_moment)
        task->attempt_last_moment = task->last_moment;
    move_on(m, t, TT_PHASE_INPUT);
}

static bool hopeless(enum tt_kind kind)
{
    return kind == TT_INVALID || kind == TT_UNSUPPORTED || kind == TT_AUTH || kind == TT_HOST_KEY ||
           kind == TT_CANCELLED;
}

static void attempt_failed(struct model *m, uint32_t t, enum tt_kind kind)
{
    struct model_task *task = &m->tasks[t];
    bool again = task->attempt <= task->spec.retry.retries && !hopeless(kind) && !task->told &&
                 (kind != TT_LOST || task->spec.retry.idempotent);
    int64_t at = again ? m->now + tt_retry_delay(&task->spec.retry, task->attempt, &m->random) : 0;
    if (!again || at >= task->last_moment) {
        fail(m, t, kind);
    } else {
        task->place = PLACE_SLEEP;
        task->alarm = at;
    }
}

static void check_failed(struct model *m, uint32_t t, enum tt_kind kind)
{
    struct model_task *task = &m->tasks[t];
    int64_t at = m->now + task->spec.health.interval;
    bool again = task->check <= task->spec.health.retries && !hopeless(kind) &&
                 at < task->attempt_last_moment;
    if (task->told && (again || kind == TT_CANCELLED)) {
        end(m, t, TT_TASK_CANCELLED, kind);
    } else if (again) {
        task->place = PLACE_REST;
        task->alarm = at;
    } else {
        fail(m, t, TT_HEALTH);
    }
}

/* ---- what must happen ------------------------------------------------------------------------ */

static bool an_alarm_goes(struct model *m)
{
    for (uint32_t t = 0; t < m->count; t++) {
        struct model_task *task = &m->tasks[t];
        if (task->alarm > m->now || task->alarm != model_wake_at(m))
            continue;
        task->alarm = TT_NEVER;
        if (task->place == PLACE_SLEEP) {
            get_in_line(m, t);
            task->alarm = task->last_moment;
        } else if (task->place == PLACE_REST) {
            begin_op(task, TT_PHASE_HEALTH);
        } else {
            fail(m, t, TT_TIMEOUT);
        }
        return true;
    }
    return false;
}

static bool one_gets_ready(struct model *m)
{
    for (uint32_t t = 0; t < m->count; t++) {
        struct model_task *task = &m->tasks[t];
        bool all_ended = task->place == PLACE_BEFORE, skip = false, cancelled = m->wait;
        for (uint32_t b = 0; b < m->count; b++) {
            if (comes_after(m, t, b) && m->tasks[b].place != PLACE_END)
                all_ended = false;
            if (!task->needs[b])
                continue;
            if (m->tasks[b].status == TT_TASK_FAILED || m->tasks[b].status == TT_TASK_SKIPPED)
                skip = true;
            if (m->tasks[b].status == TT_TASK_CANCELLED)
                cancelled = true;
        }
        if (!all_ended)
            continue;
        if (skip)
            end(m, t, TT_TASK_SKIPPED, TT_OK);
        else if (cancelled)
            end(m, t, TT_TASK_CANCELLED, TT_CANCELLED);
        else if (task->spec.has_when)
            begin_op(task, TT_PHASE_WHEN);
        else
            get_in_line(m, t);
        return true;
    }
    return false;
}

static bool one_starts(struct model *m)
{
    uint32_t best = TT_NO_TASK;
    for (uint32_t t = 0; t < m->count; t++)
        if (m->tasks[t].place == PLACE_LINE && has_room(m, t) &&
            (best == TT_NO_TASK || m->tasks[t].rank > m->tasks[best].rank))
            best = t;
    if (best == TT_NO_TASK)
        return false;
    start_attempt(m, best);
    return true;
}

static bool one_rolls_back(struct model *m)
{
    uint32_t latest = TT_NO_TASK;
    for (uint32_t t = 0; t < m->count; t++) {
        const struct model_task *task = &m->tasks[t];
        if (task->place != PLACE_END || task->rollback == TT_ROLLBACK_RUNNING)
            return false;
        if (!task->began || !task->spec.has_rollback || task->rollback != TT_ROLLBACK_NOT ||
            m->options.rollback == TT_ROLLBACK_NONE ||
            (m->options.rollback == TT_ROLLBACK_FAILED && task->status != TT_TASK_FAILED))
            continue;
        if (latest == TT_NO_TASK || task->end_rank > m->tasks[latest].end_rank)
            latest = t;
    }
    if (latest != TT_NO_TASK && (m->failed || m->interrupted)) {
        m->tasks[latest].rollback = TT_ROLLBACK_RUNNING;
        m->rollbacks[m->rollback_count++] = latest;
        return true;
    }
    m->status = m->interrupted_first ? TT_RUN_CANCELLED
                : m->failed          ? TT_RUN_FAILED
                                     : TT_RUN_COMPLETED;
    return false;
}

static void settle(struct model *m)
{
    while (an_alarm_goes(m) || one_gets_ready(m) || one_starts(m) || one_rolls_back(m))
        continue;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void pass(struct model *m, int64_t now)
{
    m->now = now > m->now ? now : m->now;
}

void model_start(struct model *m, int64_t now)
{
    if (m->options.only_count) {
        bool chosen[MODEL_TASKS] = {false};
        for (size_t i = 0; i < m->options.only_count; i++)
            look_up(m, m->options.only[i], chosen);
        for (uint32_t round = 0; round < m->count; round++)
            for (uint32_t t = 0; t < m->count; t++)
                for (uint32_t b = 0; b < m->count; b++)
                    chosen[b] = chosen[b] || (chosen[t] && m->tasks[t].needs[b]);
        for (uint32_t t = 0; t < m->count; t++) {
            if (chosen[t])
                continue;
            m->tasks[t].selected = false;
            m->tasks[t].place = PLACE_END;
            m->tasks[t].status = TT_TASK_SKIPPED;
        }
    }
    m->now = now;
    m->status = TT_RUN_RUNNING;
    settle(m);
}

void model_ended(struct model *m, int64_t now, uint32_t t, const struct tt_input *op_end)
{
    struct model_task *task = &m->tasks[t];
    enum tt_kind kind = op_end->outcome.kind;
    pass(m, now);
    if (task->rollback == TT_ROLLBACK_RUNNING) {
        task->rollback = kind ? TT_ROLLBACK_BROKEN : TT_ROLLBACK_COMPLETED;
        if (task->status == TT_TASK_COMPLETED)
            task->status = kind ? TT_TASK_ROLLBACK_FAILED : TT_TASK_ROLLED_BACK;
    } else if (task->phase == TT_PHASE_WHEN) {
        if (kind)
            fail(m, t, kind);
        else if (op_end->outcome.refused)
            end(m, t, TT_TASK_SKIPPED, TT_OK);
        else if (m->wait)
            end(m, t, TT_TASK_CANCELLED, TT_CANCELLED);
        else
            get_in_line(m, t);
    } else if (task->phase == TT_PHASE_INPUT) {
        if (kind)
            attempt_failed(m, t, kind);
        else
            move_on(m, t, TT_PHASE_RUN);
    } else if (task->phase == TT_PHASE_RUN) {
        if (!kind && !model_add(m, op_end->added, op_end->added_count))
            kind = TT_INVALID;
        if (kind)
            attempt_failed(m, t, kind);
        else
            move_on(m, t, TT_PHASE_HEALTH);
    } else if (task->phase == TT_PHASE_HEALTH) {
        if (kind)
            check_failed(m, t, kind);
        else
            move_on(m, t, TT_PHASE_OUTPUT);
    } else if (kind) {
        fail(m, t, kind);
    } else {
        end(m, t, TT_TASK_COMPLETED, TT_OK);
    }
    settle(m);
}

void model_tick(struct model *m, int64_t now)
{
    pass(m, now);
    settle(m);
}

void model_cancel(struct model *m, int64_t now)
{
    pass(m, now);
    bool all_ended = true;
    for (uint32_t t = 0; t < m->count; t++)
        all_ended = all_ended && m->tasks[t].place == PLACE_END;
    if (!all_ended && !m->interrupted) {
        m->interrupted = m->wait = m->cancel = true;
        m->interrupted_first = !m->failed;
        enforce_stop(m);
    }
    settle(m);
}
