/* The graph: cycles named whole, batches dropped whole, paths, ancestors; and random graphs against
 * the slow way of finding the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/random.h"
#include "core/run/dag.h"

static void chain(struct tt_dag *dag, uint32_t first, uint32_t count)
{
    tt_dag_begin(dag);
    for (uint32_t i = 0; i < count; i++) {
        tt_dag_node(dag, 1);
        if (first + i)
            tt_dag_edge(dag, first + i - 1, TT_NEEDS);
    }
    assert_true(tt_dag_commit(dag, NULL));
}

static void expect_cycle(struct tt_dag *dag, const uint32_t *nodes, uint32_t count)
{
    struct tt_cycle cycle = {0};
    assert_false(tt_dag_commit(dag, &cycle));
    assert_int_equal(cycle.count, count);
    assert_memory_equal(cycle.nodes, nodes, count * sizeof *nodes);
    free(cycle.nodes);
}

static void names_the_whole_cycle(void **state)
{
    (void)state;
    struct tt_dag *dag = tt_dag_new();
    chain(dag, 0, 2);
    tt_dag_begin(dag);
    tt_dag_node(dag, 1); /* 2 needs 0 and 3; 3 after 4; 4 needs 1 and 3: the way round is 3, 4 */
    tt_dag_edge(dag, 0, TT_NEEDS);
    tt_dag_edge(dag, 3, TT_NEEDS);
    tt_dag_node(dag, 1);
    tt_dag_edge(dag, 4, TT_AFTER);
    tt_dag_node(dag, 1);
    tt_dag_edge(dag, 1, TT_NEEDS);
    tt_dag_edge(dag, 3, TT_NEEDS);
    expect_cycle(dag, (uint32_t[]){3, 4}, 2);

    tt_dag_begin(dag);
    tt_dag_node(dag, 1);
    tt_dag_edge(dag, 2, TT_AFTER);
    expect_cycle(dag, (uint32_t[]){2}, 1); /* itself */

    tt_dag_begin(dag);
    for (uint32_t i = 0; i < 3; i++) {
        tt_dag_node(dag, 1);
        tt_dag_edge(dag, 2 + (i + 1) % 3, TT_NEEDS);
    }
    expect_cycle(dag, (uint32_t[]){2, 3, 4}, 3);
    tt_dag_free(dag);
}

static void a_wrong_batch_leaves_nothing(void **state)
{
    (void)state;
    struct tt_dag *dag = tt_dag_new();
    struct tt_cycle cycle = {0};
    chain(dag, 0, 3);
    tt_dag_begin(dag);
    tt_dag_node(dag, 9);
    tt_dag_edge(dag, 2, TT_NEEDS);
    tt_dag_node(dag, 9);
    tt_dag_edge(dag, 4, TT_NEEDS);
    assert_int_equal(tt_dag_count(dag), 5);
    assert_false(tt_dag_commit(dag, &cycle));
    free(cycle.nodes);
    assert_int_equal(tt_dag_count(dag), 3);
    assert_int_equal(tt_dag_edge_count(dag), 2);
    assert_int_equal(tt_dag_path(dag, 0), 3);
    struct tt_after after = tt_dag_after(dag, 2);
    assert_false(tt_dag_next(dag, &after));

    chain(dag, 3, 1); /* and can go on */
    assert_int_equal(tt_dag_path(dag, 0), 4);
    tt_dag_begin(dag);
    tt_dag_node(dag, 1);
    tt_dag_drop(dag);
    assert_int_equal(tt_dag_count(dag), 4);
    tt_dag_free(dag);
}

static void a_predecessor_counts_once(void **state)
{
    (void)state;
    struct tt_dag *dag = tt_dag_new();
    enum tt_edge kind;
    tt_dag_begin(dag);
    tt_dag_node(dag, 1);
    tt_dag_node(dag, 1);
    tt_dag_node(dag, 1);
    tt_dag_edge(dag, 1, TT_AFTER);
    tt_dag_edge(dag, 0, TT_AFTER);
    tt_dag_edge(dag, 1, TT_NEEDS); /* the stronger one counts */
    tt_dag_edge(dag, 0, TT_AFTER);
    tt_dag_edge(dag, 1, TT_AFTER);
    tt_dag_node(dag, 1);
    tt_dag_edge(dag, 0, TT_NEEDS);
    assert_true(tt_dag_commit(dag, NULL));
    assert_int_equal(tt_dag_before_count(dag, 2), 2);
    assert_int_equal(tt_dag_before(dag, 2, 0, &kind), 1);
    assert_int_equal(kind, TT_NEEDS);
    assert_int_equal(tt_dag_before(dag, 2, 1, &kind), 0);
    assert_int_equal(kind, TT_AFTER);
    assert_int_equal(tt_dag_before_count(dag, 3), 1);

    struct tt_after after = tt_dag_after(dag, 0);
    assert_true(tt_dag_next(dag, &after));
    assert_int_equal(after.node, 2);
    assert_int_equal(after.kind, TT_AFTER);
    assert_true(tt_dag_next(dag, &after));
    assert_int_equal(after.node, 3);
    assert_int_equal(after.kind, TT_NEEDS);
    assert_false(tt_dag_next(dag, &after));
    tt_dag_free(dag);
}

static void a_batch_lengthens_old_paths(void **state)
{
    (void)state;
    struct tt_dag *dag = tt_dag_new();
    chain(dag, 0, 4);
    assert_int_equal(tt_dag_path(dag, 0), 4);
    tt_dag_begin(dag);
    tt_dag_node(dag, 10);
    tt_dag_edge(dag, 2, TT_AFTER);
    assert_true(tt_dag_commit(dag, NULL));
    assert_int_equal(tt_dag_path(dag, 4), 10);
    assert_int_equal(tt_dag_path(dag, 3), 1);
    assert_int_equal(tt_dag_path(dag, 2), 11);
    assert_int_equal(tt_dag_path(dag, 0), 13);

    tt_dag_close(dag, 0);
    tt_dag_close(dag, 1);
    tt_dag_begin(dag);
    tt_dag_node(dag, 100);
    tt_dag_edge(dag, 2, TT_NEEDS);
    assert_true(tt_dag_commit(dag, NULL));
    assert_int_equal(tt_dag_path(dag, 2), 101);
    assert_int_equal(tt_dag_path(dag, 1), 12); /* closed: as it was */
    tt_dag_free(dag);
}

static void a_long_chain_needs_no_stack(void **state)
{
    (void)state;
    struct tt_dag *dag = tt_dag_new();
    const uint32_t n = 300000;
    tt_dag_begin(dag);
    for (uint32_t i = 0; i < n; i++) { /* backwards: each needs the next */
        tt_dag_node(dag, 0);
        if (i + 1 < n)
            tt_dag_edge(dag, i + 1, TT_NEEDS);
    }
    assert_true(tt_dag_commit(dag, NULL));
    assert_int_equal(tt_dag_path(dag, n - 1), n);
    uint32_t count;
    uint32_t *all = tt_dag_ancestors(dag, 0, &count);
    assert_int_equal(count, n - 1);
    free(all);
    tt_dag_free(dag);
}

/* ---- random ---------------------------------------------------------------------------------- */

#define N 16

struct slow {
    bool edge[N][N]; /* [node][before] */
    uint64_t weight[N];
    uint32_t count;
};

static bool reaches(const struct slow *slow, uint32_t node, uint32_t old)
{
    bool seen[N] = {false};
    seen[node] = true;
    for (uint32_t round = 0; round < slow->count; round++)
        for (uint32_t a = 0; a < slow->count; a++)
            for (uint32_t b = 0; b < slow->count; b++)
                if (seen[a] && slow->edge[a][b]) {
                    if (b == old)
                        return true;
                    seen[b] = true;
                }
    return false;
}

static uint64_t path_of(const struct slow *slow, uint32_t node)
{
    uint64_t path[N] = {0};
    for (uint32_t round = 0; round < slow->count; round++)
        for (uint32_t a = 0; a < slow->count; a++) {
            path[a] = slow->weight[a];
            for (uint32_t b = 0; b < slow->count; b++)
                if (slow->edge[b][a] && path[b] + slow->weight[a] > path[a])
                    path[a] = path[b] + slow->weight[a];
        }
    return path[node];
}

static void check_all(struct tt_dag *dag, const struct slow *slow)
{
    for (uint32_t a = 0; a < slow->count; a++) {
        uint32_t count, at = 0, *ancestors = tt_dag_ancestors(dag, a, &count);
        assert_int_equal(tt_dag_path(dag, a), path_of(slow, a));
        for (uint32_t b = 0; b < slow->count; b++) {
            bool is = reaches(slow, a, b);
            assert_int_equal(tt_dag_is_ancestor(dag, b, a), is);
            if (is)
                assert_int_equal(ancestors[at++], b);
        }
        assert_int_equal(at, count);
        free(ancestors);
    }
}

static void check_cycle(const struct slow *slow, const struct tt_cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->count; i++)
        assert_true(slow->edge[cycle->nodes[i]][cycle->nodes[(i + 1) % cycle->count]]);
}

static void random_graphs(void **state)
{
    (void)state;
    struct tt_random dice = {7};
    for (int graph = 0; graph < 500; graph++) {
        struct tt_dag *dag = tt_dag_new();
        struct slow slow = {0};
        uint32_t sparse = 2 + (uint32_t)(tt_random_next(&dice) % 20);
        while (slow.count < N) {
            struct slow before = slow;
            uint32_t size = 1 + (uint32_t)(tt_random_next(&dice) % 8);
            uint32_t end = slow.count + size < N ? slow.count + size : N;
            tt_dag_begin(dag);
            for (uint32_t a = slow.count; a < end; a++) {
                slow.weight[a] = 1 + tt_random_next(&dice) % 4;
                tt_dag_node(dag, (uint32_t)slow.weight[a]);
                for (uint32_t b = 0; b < end; b++)
                    if (tt_random_next(&dice) % sparse == 0) {
                        if (b >= a && tt_random_next(&dice) % 8)
                            continue; /* else nearly every batch would have a cycle */
                        slow.edge[a][b] = true;
                        tt_dag_edge(dag, b, tt_random_next(&dice) % 2 ? TT_NEEDS : TT_AFTER);
                    }
            }
            slow.count = end;
            bool cyclic = false;
            for (uint32_t a = 0; a < end; a++)
                cyclic = cyclic || reaches(&slow, a, a);
            struct tt_cycle cycle = {0};
            assert_int_equal(tt_dag_commit(dag, &cycle), !cyclic);
            if (cyclic) {
                check_cycle(&slow, &cycle);
                free(cycle.nodes);
                slow = before;
            }
        }
        check_all(dag, &slow);
        tt_dag_free(dag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_whole_cycle),
        cmocka_unit_test(a_wrong_batch_leaves_nothing),
        cmocka_unit_test(a_predecessor_counts_once),
        cmocka_unit_test(a_batch_lengthens_old_paths),
        cmocka_unit_test(a_long_chain_needs_no_stack),
        cmocka_unit_test(random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
