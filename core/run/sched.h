/* What is ready, and who is next. Watches a graph's nodes end, tells which nodes have nothing
 * before them any more, and lets the queued ones go as the pools allow: longest remaining path
 * first, ties by index. A path that a later batch lengthens counts from the next time its node is
 * queued.
 *
 * A task's way through here, as the run drives it: join → ready → queue → next (holds its pools) →
 * release → … → end. Pure; one thread. Borrows the graph and the pools. */
#ifndef TT_SCHED_H
#define TT_SCHED_H

#include "core/pool/grants.h"
#include "core/run/dag.h"

struct tt_sched;

struct tt_sched *tt_sched_new(struct tt_dag *dag, struct tt_pools *pools);
void tt_sched_free(struct tt_sched *sched);

/* The graph grew: takes in the nodes that it does not know yet. */
void tt_sched_join(struct tt_sched *sched);
/* A node whose predecessors have all ended, each node once, in the order of becoming so. */
bool tt_sched_ready(struct tt_sched *sched, uint32_t *node);
/* The node wants that set of pools. */
void tt_sched_queue(struct tt_sched *sched, uint32_t node, uint32_t set);
/* The best queued node that can have its pools; it holds them now. */
bool tt_sched_next(struct tt_sched *sched, uint32_t *node);
/* Gives back the node's pools. */
void tt_sched_release(struct tt_sched *sched, uint32_t node);
/* Takes it out of the queue, if it is there. */
void tt_sched_leave(struct tt_sched *sched, uint32_t node);
/* It has ended for good: those behind it may become ready. Once for each node. */
void tt_sched_end(struct tt_sched *sched, uint32_t node);

#endif
