/* A graph of a million tasks and two million edges: built, checked, and scheduled to its end
 * through one pool of eight. Prints seconds and bytes a task; exit 1 when something did not run. */
#include "core/run/sched.h"

#include "core/pool/grants.h"
#include "core/run/retry.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

/* Everybody holds one of eight slots; the one that has run longest ends first. */
static uint32_t run(struct tt_dag *dag, struct tt_sched *sched, struct tt_grants *grants,
                    uint32_t set)
{
    uint32_t running[8], first = 0, count = 0, ended = 0, node;
    for (;;) {
        while (tt_sched_ready(sched, &node))
            tt_grants_wait(grants, node, set, tt_dag_path(dag, node), node);
        while (tt_grants_next(grants, &node))
            running[(first + count++) % 8] = node;
        if (!count)
            return ended;
        node = running[first];
        first = (first + 1) % 8;
        count--;
        ended++;
        tt_grants_release(grants, node);
        tt_sched_end(sched, node);
    }
}

int main(int argc, char **argv)
{
    uint32_t tasks = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    struct tt_random random = {42};
    double base = peak_bytes(), start = seconds();

    struct tt_dag *dag = tt_dag_new();
    tt_dag_begin(dag);
    for (uint32_t i = 0; i < tasks; i++) {
        tt_dag_node(dag, 1);
        for (int n = 0; n < 2 && i; n++) /* one near, one anywhere before */
            tt_dag_edge(dag,
                        n ? (uint32_t)(tt_random_next(&random) % i) : i - 1 - i % 100 * (i > 99),
                        TT_NEEDS);
    }
    struct tt_cycle cycle = {0};
    if (!tt_dag_commit(dag, &cycle))
        return 1;
    double checked = seconds();

    struct tt_grants *grants = tt_grants_new();
    uint32_t set;
    if (tt_grants_set(grants, &(struct tt_pool_need){"jobs", 1, 8}, 1, &set, NULL) < 0)
        return 1;
    struct tt_sched *sched = tt_sched_new(dag);
    tt_sched_join(sched);
    uint32_t ended = run(dag, sched, grants, set);
    double end = seconds();

    printf("%u tasks, %llu edges: built and checked %.3f s, scheduled %.3f s, together %.3f s; "
           "%.0f bytes a task at the peak\n",
           tasks, (unsigned long long)tt_dag_edge_count(dag), checked - start, end - checked,
           end - start, (peak_bytes() - base) / tasks);
    tt_sched_free(sched);
    tt_grants_free(grants);
    tt_dag_free(dag);
    return ended == tasks ? 0 : 1;
}
