/* What is ready. Watches a graph's nodes end, and tells which nodes have nothing before them any
 * more. A task's way through here, as the run drives it: join → ready → … → end. Who of the ready
 * ones goes first is the path's length (tt_dag_path), and decided where slots are granted. Pure;
 * one thread. Borrows the graph. */
#ifndef TT_SCHED_H
#define TT_SCHED_H

#include "core/run/dag.h"

struct tt_sched;

struct tt_sched *tt_sched_new(struct tt_dag *dag);
void tt_sched_free(struct tt_sched *sched);

/* The graph grew: takes in the nodes that it does not know yet. */
void tt_sched_join(struct tt_sched *sched);
/* A node whose predecessors have all ended, each node once, in the order of becoming so. */
bool tt_sched_ready(struct tt_sched *sched, uint32_t *node);
/* It has ended for good: those behind it may become ready. Once for each node. */
void tt_sched_end(struct tt_sched *sched, uint32_t node);

#endif
