/* What is ready: it is told which nodes of a graph have ended, and tells which nodes have nothing
 * left to wait for. The run drives each node through join → ready → end. Which of the ready nodes
 * goes first is not decided here but where slots are granted, by the path's length (tt_dag_path).
 * Pure; one thread. Borrows the graph. */
#ifndef TT_SCHED_H
#define TT_SCHED_H

#include "core/run/dag.h"

struct tt_sched;

struct tt_sched *tt_sched_new(struct tt_dag *dag);
void tt_sched_free(struct tt_sched *sched);

/* The graph grew: takes in the nodes that it does not know yet. */
void tt_sched_join(struct tt_sched *sched);
/* *node: the next node whose predecessors have all ended, each node once, in the order of becoming
 * ready. False when there is none now. */
bool tt_sched_ready(struct tt_sched *sched, uint32_t *node);
/* The node has ended for good: those after it may become ready. Once for each node. */
void tt_sched_end(struct tt_sched *sched, uint32_t node);

#endif
