/* Runs as stories: a driver that writes down what the run orders and tells as words. "b:run" begins
 * b's run operation, "b!run" cancels it, "b=failed" is b's end, "b~40" another attempt at 40,
 * "b?40" another check, "b>rolled_back" the end of its rollback, "+c" an added task, "END failed"
 * the run's end. Starts of tasks are not told. For inclusion by one test program. */
#ifndef TT_TEST_STORY_H
#define TT_TEST_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/run/slots.h"

/* Those of the run, and how many jobs the driver grants at once (0: no limit). */
struct story_options {
    enum tt_on_failure on_failure;
    enum tt_rollback_mode rollback;
    uint64_t seed;
    const char *const *only;
    size_t only_count;
    uint32_t jobs;
};

struct story {
    struct tt_run *run;
    struct tt_slots slots;
    int64_t now;
    uint64_t ops[40];      /* of each task: running, 0: none */
    int64_t deadlines[40]; /* of the last operation begun */
    struct tt_buf told;
};

static inline void follow(struct story *story, const struct tt_effect *effects, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        struct tt_effect fx = effects[e];
        const char *name = fx.task == TT_NO_TASK ? "" : tt_run_name(story->run, fx.task);
        tt_slots_effect(&story->slots, &fx);
        switch (fx.type) {
        case TT_FX_BEGIN:
            assert_int_equal(story->ops[fx.task], 0);
            story->ops[fx.task] = fx.op;
            story->deadlines[fx.task] = fx.deadline;
            tt_buf_format(&story->told, "%s:%s ", name, tt_phase_name(fx.phase));
            break;
        case TT_FX_CANCEL:
            assert_int_equal(story->ops[fx.task], fx.op);
            tt_buf_format(&story->told, "%s!%s ", name, tt_phase_name(fx.phase));
            break;
        case TT_FX_TASK_ENDED:
            tt_buf_format(&story->told, "%s=%s ", name, tt_task_status_name(fx.status));
            break;
        case TT_FX_TASK_RETRYING:
            tt_buf_format(&story->told, "%s~%lld ", name, (long long)fx.at);
            break;
        case TT_FX_HEALTH_WAITING:
            tt_buf_format(&story->told, "%s?%lld ", name, (long long)fx.at);
            break;
        case TT_FX_ROLLBACK_ENDED:
            tt_buf_format(&story->told, "%s>%s ", name, tt_task_status_name(fx.status));
            break;
        case TT_FX_TASKS_ADDED:
            for (uint32_t i = 0; i < fx.count; i++)
                tt_buf_format(&story->told, "+%s ", tt_run_name(story->run, fx.first + i));
            break;
        case TT_FX_RUN_ENDED:
            tt_buf_format(&story->told, "END %s ", tt_run_status_name(fx.run_status));
            break;
        case TT_FX_ACQUIRE:
        case TT_FX_RELEASE:
        case TT_FX_TASK_STARTED:
        case TT_FX_ROLLBACK_STARTED:
            break;
        }
    }
}

/* All that follows from the last input, with the grants that follow from that. */
static inline void drain(struct story *story)
{
    const struct tt_effect *effects;
    struct tt_input grant;
    do {
        for (size_t count; (count = tt_run_take(story->run, &effects)) > 0;)
            follow(story, effects, count);
        if (!tt_slots_next(&story->slots, &grant))
            return;
        grant.now = story->now;
    } while (tt_run_tell(story->run, &grant, NULL) == 0);
    fail_msg("a grant was refused");
}

static inline int tell(struct story *story, int64_t now, struct tt_input input)
{
    if (now > story->now)
        story->now = now;
    input.now = now;
    int rc = tt_run_tell(story->run, &input, NULL);
    drain(story);
    return rc;
}

static inline void tick(struct story *story, int64_t now)
{
    assert_int_equal(tell(story, now, (struct tt_input){.type = TT_IN_TICK}), 0);
}

static inline void cancel(struct story *story, int64_t now)
{
    assert_int_equal(tell(story, now, (struct tt_input){.type = TT_IN_CANCELLED}), 0);
}

/* What was told since the last time. */
static inline void expect(struct story *story, const char *told)
{
    char *text = tt_buf_take(&story->told);
    if (*text)
        text[strlen(text) - 1] = 0;
    assert_string_equal(text, told);
    free(text);
}

static inline struct story story_of(const struct story_options *options,
                                    const struct tt_task_spec *specs, size_t count)
{
    static const struct story_options plain = {.jobs = 0};
    if (!options)
        options = &plain;
    struct tt_run_options run = {options->on_failure, options->rollback, options->seed,
                                 options->only, options->only_count};
    struct story story = {.run = tt_run_new(&run)};
    struct tt_error *err = NULL;
    if (tt_run_add(story.run, specs, count, NULL, &err) < 0)
        fail_msg("%s", err->message);
    tt_slots_init(&story.slots, story.run, options->jobs);
    assert_int_equal(tell(&story, 0, (struct tt_input){.type = TT_IN_STARTED}), 0);
    return story;
}
static inline void story_free(struct story *story)
{
    tt_slots_clear(&story->slots);
    tt_run_free(story->run);
    tt_buf_free(&story->told);
}
#define STORY(options, ...)                                                                        \
    story_of(options, (struct tt_task_spec[]){__VA_ARGS__},                                        \
             sizeof((struct tt_task_spec[]){__VA_ARGS__}) / sizeof(struct tt_task_spec))
#define NEEDS(...)                                                                                 \
    .needs = (const char *[]){__VA_ARGS__},                                                        \
    .need_count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)
#define AFTER(...)                                                                                 \
    .after = (const char *[]){__VA_ARGS__},                                                        \
    .after_count = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)

static inline void finish(struct story *story, int64_t now, const char *name, struct tt_input end)
{
    uint32_t task = tt_run_find(story->run, name);
    assert_true(task != TT_NO_TASK);
    end.type = TT_IN_ENDED;
    end.op = story->ops[task];
    assert_true(end.op != 0);
    story->ops[task] = 0;
    assert_int_equal(tell(story, now, end), 0);
}

static inline void ok(struct story *story, int64_t now, const char *name)
{
    finish(story, now, name, (struct tt_input){.outcome = {.code = 0, .value = 7}});
}

static inline void bad(struct story *story, int64_t now, const char *name, enum tt_kind kind)
{
    finish(story, now, name, (struct tt_input){.outcome = {.kind = kind, .code = 3, .value = 8}});
}

static inline struct tt_task_view view_of(const struct story *story, const char *name)
{
    struct tt_task_view view;
    tt_run_task(story->run, tt_run_find(story->run, name), &view);
    return view;
}

#endif
