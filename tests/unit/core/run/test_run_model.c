/* Ten thousand random runs, each followed step by step by the model of tests/unit/core/run/model.h:
 * graphs with groups, failures, retries, conditions, deadlines, pools, added tasks, cancellations,
 * every mode. Then the same events are told to a new run, which has to do the same.
 *
 * TUTTI_MODEL_SEED=N plays one graph, TUTTI_MODEL_GRAPHS=N that many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/run/slots.h"
#include "tests/unit/core/run/model.h"

#define LINKS      16
#define MAX_EVENTS 8000

static struct tt_random dice;
static uint64_t seed;
static unsigned step;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s (line %d, step %u, TUTTI_MODEL_SEED=%llu)", #condition, __LINE__, step,   \
                     (unsigned long long)seed);                                                    \
    } while (0)

static uint32_t roll(uint32_t sides)
{
    return (uint32_t)(tt_random_next(&dice) % sides);
}

static bool chance(uint32_t percent)
{
    return roll(100) < percent;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

struct tale { /* one graph, and what happened */
    struct tt_run_options options;
    const char *only[2];
    /* specs and what they point to, the added ones behind the first ones */
    struct tt_task_spec specs[4 * MODEL_TASKS];
    char names[4 * MODEL_TASKS][8];
    const char *needs[4 * MODEL_TASKS][LINKS], *after[4 * MODEL_TASKS][LINKS];
    struct tt_pool_need pools[4 * MODEL_TASKS][2];
    uint32_t spec_count, first_count;
    uint32_t failure_rate, cancel_rate, add_rate;
    uint32_t jobs;
    struct tt_input inputs[MAX_EVENTS];
    uint32_t input_count;
};

static void link_to(struct tt_task_spec *spec, const char *name, bool need)
{
    size_t *count = need ? &spec->need_count : &spec->after_count;
    const char **names = (const char **)(need ? spec->needs : spec->after);
    if (*count < LINKS)
        names[(*count)++] = name;
}

static struct tt_task_spec *random_task(struct tale *tale, char letter)
{
    static const char *const keys[] = {"h1", "h2", "h3"};
    uint32_t i = tale->spec_count++;
    struct tt_task_spec *spec = &tale->specs[i];
    snprintf(tale->names[i], sizeof tale->names[i], "%c%u", letter, i % 10000);
    *spec = (struct tt_task_spec){
        .name = tale->names[i],
        .needs = tale->needs[i],
        .after = tale->after[i],
        .pools = tale->pools[i],
        .has_when = chance(15),
        .has_input = chance(20),
        .has_run = chance(85),
        .has_health = chance(20),
        .has_output = chance(20),
        .has_rollback = chance(50),
        .timeout = chance(25) ? 1 + roll(40) : 0,
        .deadline = chance(25) ? 1 + roll(80) : 0,
        .rollback_timeout = chance(20) ? 1 + roll(20) : 0,
        .health = {.retries = roll(3), .interval = roll(10), .timeout = roll(10)},
        .weight = chance(20) ? roll(5) : 1,
    };
    if (chance(40))
        spec->retry = (struct tt_retry){.retries = roll(4),
                                        .idempotent = chance(50),
                                        .first = roll(20),
                                        .factor = chance(50) ? 2 : 0,
                                        .max = chance(50) ? 25 : 0,
                                        .jitter = chance(50) ? 0.5 : 0};
    if (chance(30)) {
        uint32_t k = roll(3);
        for (spec->pool_count = 0; spec->pool_count < 1 + roll(2);
             spec->pool_count++, k = (k + 1) % 3)
            tale->pools[i][spec->pool_count] =
                (struct tt_pool_need){keys[k], 1, (uint32_t)(keys[k][1] - '0')};
    }
    return spec;
}

/* A batch without cycles: the places in a random order say who may come after whom. */
static void random_graph(struct tale *tale)
{
    uint32_t n = 1 + roll(chance(80) ? 8 : 20), place[MODEL_TASKS] = {0}, density = 5 + roll(40);
    tale->first_count = n;
    for (uint32_t i = 0; i < n; i++) {
        random_task(tale, 't');
        uint32_t at = roll(i + 1);
        place[i] = place[at];
        place[at] = i;
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            if (place[j] < place[i] && chance(density))
                for (int twice = chance(10); twice >= 0; twice--)
                    link_to(&tale->specs[i], tale->specs[j].name, chance(75));
    if (n >= 3 && chance(25)) { /* a group, and one that needs all of it */
        uint32_t first = roll(n - 1), count = 1 + roll(n - 1 - first), highest = 0;
        for (uint32_t i = first; i < first + count; i++) {
            tale->specs[i].group = "group";
            highest = place[i] > highest ? place[i] : highest;
        }
        for (uint32_t i = 0; i < n; i++)
            if (place[i] > highest) {
                link_to(&tale->specs[i], "group", chance(75));
                break;
            }
    }
}

static void random_tale(struct tale *tale)
{
    memset(tale, 0, sizeof *tale);
    tale->options = (struct tt_run_options){
        .on_failure = (enum tt_on_failure)roll(3),
        .rollback = chance(70) ? TT_ROLLBACK_ALL : (enum tt_rollback_mode)roll(3),
        .seed = seed,
    };
    tale->jobs = roll(5);
    tale->failure_rate = chance(20) ? 0 : roll(50);
    tale->cancel_rate = chance(50) ? 0 : roll(10);
    tale->add_rate = chance(50) ? 0 : roll(40);
    random_graph(tale);
    if (chance(15)) {
        tale->add_rate = 0;
        tale->options.only = tale->only;
        tale->options.only_count = 1 + roll(2);
        for (size_t i = 0; i < tale->options.only_count; i++)
            tale->only[i] = tale->specs[roll(tale->first_count)].name;
    }
}

/* A few tasks for a running one to add; some batches are wrong. */
static void random_batch(struct tale *tale, const struct model *model, struct tt_input *end)
{
    uint32_t count = 1 + roll(3), first = tale->spec_count;
    if (model->count + count > MODEL_TASKS || first + count > 4 * MODEL_TASKS)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct tt_task_spec *spec = random_task(tale, 'd');
        for (int links = (int)roll(3); links > 0; links--)
            link_to(spec, model->tasks[roll(model->count)].name, chance(75));
        if (i && chance(50))
            link_to(spec, tale->specs[first + roll(i)].name, chance(75));
    }
    struct tt_task_spec *one = &tale->specs[first + roll(count)];
    switch (roll(20)) {
    case 0:
        link_to(one, "nobody", chance(50));
        break;
    case 1:
        link_to(one, one->name, chance(50));
        break;
    case 2:
        one->name = model->tasks[roll(model->count)].name;
        break;
    default:
        break;
    }
    end->added = &tale->specs[first];
    end->added_count = count;
}

/* ---- following the effects ------------------------------------------------------------------- */

struct seen {       /* what the effects told, of each task */
    uint64_t op;    /* running; 0: none */
    uint64_t asked; /* by which it holds its slots or stands in line for them */
    enum tt_phase phase;
    bool told, started, ended, rolled_back;
    uint32_t run_attempt, when_count;
    enum tt_task_status status;
};

struct watch {
    struct seen tasks[MODEL_TASKS];
    uint64_t spent_op; /* one that has ended */
    uint32_t rollbacks;
    bool run_ended;
    uint64_t digest;
};

static void digest(uint64_t *hash, const struct tt_effect *fx)
{
    uint64_t words[] = {fx->type,
                        fx->phase,
                        fx->status,
                        fx->run_status,
                        fx->task,
                        fx->attempt,
                        fx->check,
                        fx->first,
                        fx->count,
                        fx->op,
                        (uint64_t)fx->deadline,
                        (uint64_t)fx->at,
                        (uint64_t)fx->now,
                        fx->outcome.kind,
                        fx->outcome.value,
                        fx->message != NULL};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        *hash = (*hash ^ words[i]) * 1099511628211u;
}

static int64_t in(int64_t now, int64_t length)
{
    return length ? now + length : TT_NEVER;
}

static void see_begin(struct watch *watch, const struct model *model, const struct tt_effect *fx)
{
    struct seen *seen = &watch->tasks[fx->task];
    const struct model_task *task = &model->tasks[fx->task];
    CHECK(!seen->op);
    int64_t deadline = task->attempt_last_moment;
    if (fx->phase == TT_PHASE_ROLLBACK) {
        CHECK(watch->rollbacks++ < model->rollback_count);
        CHECK(model->rollbacks[watch->rollbacks - 1] == fx->task);
        for (uint32_t t = 0; t < model->count; t++)
            CHECK(!watch->tasks[t].op); /* one at a time, and nothing beside */
        deadline = in(fx->now, task->spec.rollback_timeout);
    } else {
        for (uint32_t b = 0; b < model->count; b++) {
            if (task->needs[b])
                CHECK(watch->tasks[b].status == TT_TASK_COMPLETED);
            if (task->after[b])
                CHECK(watch->tasks[b].ended || !model->tasks[b].selected);
        }
        CHECK(!seen->ended);
    }
    if (fx->phase == TT_PHASE_WHEN) {
        CHECK(seen->when_count++ == 0 && !seen->started);
        deadline = in(fx->now, task->spec.timeout);
    } else {
        CHECK(seen->started);
    }
    if (fx->phase == TT_PHASE_RUN) {
        CHECK(fx->attempt > seen->run_attempt && fx->attempt <= 1 + task->spec.retry.retries);
        seen->run_attempt = fx->attempt;
    }
    if (fx->phase == TT_PHASE_HEALTH) {
        int64_t own = in(fx->now, task->spec.health.timeout);
        deadline = own < deadline ? own : deadline;
    }
    CHECK(fx->deadline == deadline);
    seen->op = fx->op;
    seen->phase = fx->phase;
    seen->told = false;
}

static void see(struct watch *watch, const struct model *model, const struct tt_effect *fx)
{
    struct seen *seen = &watch->tasks[fx->task < MODEL_TASKS ? fx->task : 0];
    CHECK(!watch->run_ended);
    switch (fx->type) {
    case TT_FX_BEGIN:
        see_begin(watch, model, fx);
        break;
    case TT_FX_CANCEL:
        CHECK(seen->op == fx->op && !seen->told);
        seen->told = true;
        break;
    case TT_FX_TASK_STARTED:
        CHECK(!seen->started && !seen->ended);
        seen->started = true;
        seen->status = TT_TASK_RUNNING;
        break;
    case TT_FX_TASK_RETRYING:
    case TT_FX_HEALTH_WAITING:
        CHECK(!seen->op && fx->at >= fx->now);
        break;
    case TT_FX_TASK_ENDED:
        CHECK(!seen->ended && !seen->op);
        seen->ended = true;
        seen->status = fx->status;
        break;
    case TT_FX_ROLLBACK_STARTED:
        CHECK(seen->ended && !seen->rolled_back);
        break;
    case TT_FX_ROLLBACK_ENDED:
        CHECK(!seen->rolled_back);
        seen->rolled_back = true;
        seen->status = fx->status;
        break;
    case TT_FX_RUN_ENDED:
        watch->run_ended = true;
        CHECK(fx->run_status == model->status);
        break;
    case TT_FX_TASKS_ADDED:
        CHECK(fx->first + fx->count <= model->count);
        break;
    case TT_FX_ACQUIRE:
        CHECK(!seen->op && !seen->asked);
        CHECK(fx->priority == model->tasks[fx->task].rank);
        seen->asked = fx->op;
        break;
    case TT_FX_RELEASE:
        CHECK(seen->asked == fx->op && fx->op);
        if (fx->set == TT_NO_SET)
            seen->asked = 0;
        break;
    }
}

static void compare(const struct tt_run *run, const struct model *model, const struct watch *watch)
{
    uint32_t counts[TT_TASK_STATUS_COUNT] = {0}, failures, holders = 0;
    CHECK(tt_run_count(run) == model->count);
    CHECK(tt_run_status(run) == model->status);
    CHECK(tt_run_interrupted(run) == model->interrupted);
    CHECK(tt_run_wake_at(run) == model_wake_at(model));
    CHECK(watch->run_ended == (model->status != TT_RUN_RUNNING));
    for (uint32_t t = 0; t < model->count; t++) {
        const struct model_task *task = &model->tasks[t];
        const struct seen *seen = &watch->tasks[t];
        struct tt_task_view view;
        tt_run_task(run, t, &view);
        CHECK(view.selected == task->selected);
        CHECK(view.status == task->status);
        CHECK(view.attempts == task->attempt);
        CHECK(view.began == task->began);
        CHECK(view.error.kind == task->error);
        CHECK(view.rollback == task->rollback);
        CHECK((view.started >= 0) == (task->attempt > 0));
        CHECK((view.ended >= 0) == (task->end_rank > 0));
        CHECK((seen->op != 0) == model_operates(model, t));
        CHECK((seen->asked != 0) == (model_holds(model, t) || task->place == PLACE_LINE));
        if (task->place == PLACE_OP)
            CHECK(seen->phase == task->phase && seen->told == task->told);
        if (!task->selected)
            continue;
        CHECK(seen->status == task->status);
        counts[task->status]++;
        holders += model_holds(model, t);
    }
    CHECK(!model->jobs || holders <= model->jobs);
    for (int s = 0; s < TT_TASK_STATUS_COUNT; s++)
        CHECK(tt_run_count_of(run, (enum tt_task_status)s) == counts[s]);
    const uint32_t *failed = tt_run_failures(run, &failures);
    CHECK(failures == model->failure_count);
    for (uint32_t i = 0; i < failures; i++)
        CHECK(failed[i] == model->failures[i]);
    CHECK(watch->rollbacks == model->rollback_count);
}

static void tell(struct tale *tale, struct tt_run *run, const struct tt_input *input)
{
    CHECK(tale->input_count < MAX_EVENTS);
    tale->inputs[tale->input_count++] = *input;
    CHECK(tt_run_tell(run, input, NULL) == 0);
}

static bool take(struct tt_run *run, struct watch *watch, const struct model *model,
                 struct tt_slots *slots)
{
    const struct tt_effect *fx;
    bool any = false;
    for (size_t count; (count = tt_run_take(run, &fx)) > 0; any = true)
        for (size_t i = 0; i < count; i++) {
            digest(&watch->digest, &fx[i]);
            if (model)
                see(watch, model, &fx[i]);
            if (slots)
                tt_slots_effect(slots, &fx[i]);
        }
    return any;
}

/* All that follows at once, grants included. */
static void drain(struct tale *tale, struct tt_run *run, const struct model *model,
                  struct watch *watch, struct tt_slots *slots)
{
    struct tt_input grant;
    take(run, watch, model, slots);
    while (tt_slots_next(slots, &grant)) {
        grant.now = model->now;
        tell(tale, run, &grant);
        take(run, watch, model, slots);
    }
}

/* ---- what happens ---------------------------------------------------------------------------- */

static struct tt_outcome random_outcome(const struct tale *tale, const struct seen *seen)
{
    struct tt_outcome outcome = {.code = -1, .value = tt_random_next(&dice)};
    if (seen->told ? chance(80) : chance(tale->failure_rate))
        outcome.kind =
            seen->told && chance(80) ? TT_CANCELLED : (enum tt_kind)(1 + roll(TT_KIND_COUNT - 1));
    else if (seen->phase == TT_PHASE_WHEN)
        outcome.refused = chance(25);
    return outcome;
}

/* Lets something happen: to the run, and to the model. */
static void happen(struct tale *tale, struct tt_run *run, struct model *model, struct watch *watch)
{
    uint32_t running[MODEL_TASKS], count = 0;
    for (uint32_t t = 0; t < model->count; t++)
        if (watch->tasks[t].op)
            running[count++] = t;
    struct tt_input input = {.type = TT_IN_TICK, .now = model->now + roll(6)};
    if (chance(tale->cancel_rate)) {
        input.type = TT_IN_CANCELLED;
        tell(tale, run, &input);
        model_cancel(model, input.now);
    } else if (!count || chance(20)) {
        CHECK(count || tt_run_wake_at(run) != TT_NEVER); /* it would stand still for ever */
        if (!count || (chance(70) && tt_run_wake_at(run) != TT_NEVER))
            input.now = tt_run_wake_at(run);
        tell(tale, run, &input);
        model_tick(model, input.now);
    } else {
        uint32_t t = running[roll(count)];
        struct seen *seen = &watch->tasks[t];
        input.type = TT_IN_ENDED;
        input.op = seen->op;
        input.outcome = random_outcome(tale, seen);
        if (seen->phase == TT_PHASE_RUN && chance(tale->add_rate))
            random_batch(tale, model, &input);
        watch->spent_op = seen->op;
        seen->op = 0;
        tell(tale, run, &input);
        model_ended(model, input.now, t, &input);
    }
}

/* An operation that has ended cannot end again. */
static void repeat(struct tt_run *run, const struct model *model, const struct watch *watch)
{
    struct tt_input again = {.type = TT_IN_ENDED, .op = watch->spent_op, .now = model->now + 1000};
    if (watch->spent_op && chance(5))
        CHECK(tt_run_tell(run, &again, NULL) == -TT_INVALID);
}

static struct tt_run *begin(const struct tale *tale)
{
    struct tt_error *err = NULL;
    struct tt_run *run = tt_run_new(&tale->options);
    if (tt_run_add(run, tale->specs, tale->first_count, NULL, &err) < 0)
        fail_msg("%s", err->message);
    return run;
}

static void play(struct tale *tale)
{
    static struct model model;
    struct watch watch = {0}, again = {0};
    struct tt_slots slots;
    random_tale(tale);
    struct tt_run *run = begin(tale);
    model_init(&model, &tale->options, tale->jobs);
    CHECK(model_add(&model, tale->specs, tale->first_count));
    tt_slots_init(&slots, run, tale->jobs);
    tell(tale, run, &(struct tt_input){.type = TT_IN_STARTED, .now = 100});
    model_start(&model, 100);
    for (step = 0;; step++) {
        drain(tale, run, &model, &watch, &slots);
        compare(run, &model, &watch);
        if (watch.run_ended)
            break;
        repeat(run, &model, &watch);
        happen(tale, run, &model, &watch);
    }
    CHECK(tt_slots_used(&slots, "") == 0);
    tt_slots_clear(&slots);
    tt_run_free(run);

    run = begin(tale);
    for (uint32_t i = 0; i < tale->input_count; i++) {
        CHECK(tt_run_tell(run, &tale->inputs[i], NULL) == 0);
        take(run, &again, NULL, NULL);
    }
    CHECK(again.digest == watch.digest);
    tt_run_free(run);
}

static void agrees_with_the_model(void **state)
{
    (void)state;
    struct tale *tale = malloc(sizeof *tale);
    const char *one = getenv("TUTTI_MODEL_SEED"), *many = getenv("TUTTI_MODEL_GRAPHS");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one ? 1 : many ? strtoull(many, NULL, 10) : 10000;
    for (seed = first; seed < first + count; seed++) {
        dice.state = seed * 0x9e3779b97f4a7c15u;
        play(tale);
    }
    free(tale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
