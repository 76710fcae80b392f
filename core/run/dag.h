/* The graph of a run: nodes 0 … n-1 and, of each, the nodes that come before it. Pure. Nodes have
 * no names here: a node is an index, and the owner of the graph knows the names.
 *
 * The graph only grows, in batches. A node gets all its predecessors in the batch that adds it, so
 * an old node never gains any, and a cycle can only lie inside one batch: only the batch is
 * checked. A batch that fails its check is dropped whole and leaves the graph as it was.
 *
 *     tt_dag_begin(dag);
 *     tt_dag_node(dag, 1);                       a: node 0
 *     tt_dag_node(dag, 1);                       b: node 1
 *     tt_dag_edge(dag, 0, TT_NEEDS);                b needs a
 *     tt_dag_commit(dag, &cycle)
 *
 * One thread. Memory: about 60 bytes a node with two predecessors. */
#ifndef TT_DAG_H
#define TT_DAG_H

#include <stdbool.h>
#include <stdint.h>

#define TT_NO_TASK UINT32_MAX /* no node, no task */

enum tt_edge {
    TT_NEEDS, /* comes before, and must have succeeded */
    TT_AFTER  /* comes before, whatever became of it */
};

struct tt_dag;

struct tt_dag *tt_dag_new(void);
void tt_dag_free(struct tt_dag *dag);

/* A batch: begin, nodes each followed by its edges, then commit or drop. */
void tt_dag_begin(struct tt_dag *dag);
/* Adds a node and returns its index: the number of nodes so far. `weight` is its part of a path's
 * length; 0 counts as 1. */
uint32_t tt_dag_node(struct tt_dag *dag, uint32_t weight);
/* The node added last comes after `from`: an old node, or any node of this batch, also one that is
 * still to be added. A predecessor named
 * twice counts once, as TT_NEEDS if either is. */
void tt_dag_edge(struct tt_dag *dag, uint32_t from, enum tt_edge kind);
/* A cycle: nodes[0] comes after nodes[1], nodes[1] after nodes[2], …, the last after nodes[0]. */
struct tt_cycle {
    uint32_t *nodes; /* owned by the caller: free() */
    uint32_t count;
};
/* Checks the batch and adds it to the graph: true. When the batch has a cycle: false, *cycle is
 * filled, and the batch is dropped. Every `from` of tt_dag_edge must exist by now. */
bool tt_dag_commit(struct tt_dag *dag, struct tt_cycle *cycle);
/* Forgets the batch. */
void tt_dag_drop(struct tt_dag *dag);

uint32_t tt_dag_count(const struct tt_dag *dag); /* nodes; during a batch with the batch's */
uint64_t tt_dag_edge_count(const struct tt_dag *dag);

/* The predecessors of a node, in the order given, each once. `i` runs from 0 to the count. */
uint32_t tt_dag_before_count(const struct tt_dag *dag, uint32_t node);
uint32_t tt_dag_before(const struct tt_dag *dag, uint32_t node, uint32_t i, enum tt_edge *kind);

/* The nodes that come right after one, in the order of their joining:
 *     for (struct tt_after s = tt_dag_after(dag, node); tt_dag_next(dag, &s);) … s.node, s.kind */
struct tt_after {
    uint32_t node;
    enum tt_edge kind;
    uint32_t link; /* private */
};
struct tt_after tt_dag_after(const struct tt_dag *dag, uint32_t node);
bool tt_dag_next(const struct tt_dag *dag, struct tt_after *walk);

/* The longest path from this node to an end, the node included, by weight. A later batch lengthens
 * the paths of old nodes too, but not of closed ones (tt_dag_close) nor of more than a few hundred,
 * so that the cost of a batch does not grow with the graph. The number guides the order of
 * starting; it is not exact. */
uint64_t tt_dag_path(const struct tt_dag *dag, uint32_t node);
/* Nobody will ask for this node's path: it need not be kept up to date. All nodes before it must be
 * closed already. */
void tt_dag_close(struct tt_dag *dag, uint32_t node);

/* All nodes that come before a node, however far, through needs and after alike: those whose
 * results and artifacts its task may see. Allocated (free()), ascending, without the node itself;
 * NULL when there are none. Costs as much as there are ancestors and their edges. */
uint32_t *tt_dag_ancestors(struct tt_dag *dag, uint32_t node, uint32_t *count);
/* Whether `old` comes before `node`. */
bool tt_dag_is_ancestor(struct tt_dag *dag, uint32_t old, uint32_t node);

#endif
