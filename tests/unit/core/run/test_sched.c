/* What becomes ready when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/run/sched.h"

struct scene {
    struct tt_dag *dag;
    struct tt_sched *sched;
};

static struct scene scene_new(void)
{
    struct scene scene = {.dag = tt_dag_new()};
    scene.sched = tt_sched_new(scene.dag);
    return scene;
}

static void scene_free(struct scene *scene)
{
    tt_sched_free(scene->sched);
    tt_dag_free(scene->dag);
}

static void expect_ready(struct scene *scene, const char *nodes)
{
    uint32_t node;
    for (; *nodes; nodes++) {
        assert_true(tt_sched_ready(scene->sched, &node));
        assert_int_equal(node, *nodes - '0');
    }
    assert_false(tt_sched_ready(scene->sched, &node));
}

static void finish(struct scene *scene, uint32_t node)
{
    tt_sched_end(scene->sched, node);
}

static void ready_when_all_before_have_ended(void **state)
{
    (void)state;
    struct scene scene = scene_new();
    tt_dag_begin(scene.dag);
    for (uint32_t i = 0; i < 6; i++) { /* 0, 1, 2 alone; 4 needs 3, 5 after 4 */
        tt_dag_node(scene.dag, 1);
        if (i > 3)
            tt_dag_edge(scene.dag, i - 1, i == 5 ? TT_AFTER : TT_NEEDS);
    }
    assert_true(tt_dag_commit(scene.dag, NULL));
    tt_sched_join(scene.sched);
    expect_ready(&scene, "0123");
    finish(&scene, 3);
    expect_ready(&scene, "4");
    finish(&scene, 0);
    expect_ready(&scene, "");
    finish(&scene, 4);
    expect_ready(&scene, "5");
    scene_free(&scene);
}

static void a_batch_joins_what_has_begun(void **state)
{
    (void)state;
    struct scene scene = scene_new();
    tt_dag_begin(scene.dag);
    tt_dag_node(scene.dag, 1);
    tt_dag_node(scene.dag, 1);
    tt_dag_commit(scene.dag, NULL);
    tt_sched_join(scene.sched);
    expect_ready(&scene, "01");
    finish(&scene, 0);

    tt_dag_begin(scene.dag);
    tt_dag_node(scene.dag, 1); /* 2 needs 0, which has ended */
    tt_dag_edge(scene.dag, 0, TT_NEEDS);
    tt_dag_node(scene.dag, 1); /* 3 needs 1, which has not, and 4 */
    tt_dag_edge(scene.dag, 1, TT_NEEDS);
    tt_dag_edge(scene.dag, 4, TT_NEEDS);
    tt_dag_node(scene.dag, 1);
    tt_dag_commit(scene.dag, NULL);
    tt_sched_join(scene.sched);
    tt_sched_join(scene.sched); /* again: nothing new */
    expect_ready(&scene, "24");
    finish(&scene, 4);
    expect_ready(&scene, "");
    finish(&scene, 1);
    expect_ready(&scene, "3");
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_when_all_before_have_ended),
        cmocka_unit_test(a_batch_joins_what_has_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
