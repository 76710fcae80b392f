/* Predecessors lie in one array, each node's side by side, in the order of the nodes: batches only
 * append. Successors, which old nodes do gain, are linked lists through the same edges. Until its
 * batch is committed a node has its raw edges (repetitions included) and no links. */
#include "core/run/dag.h"

#include "core/base/alloc.h"
#include "core/base/heap.h"

#include <stdlib.h>
#include <string.h>

#define NO_EDGE UINT32_MAX

struct edge {
    uint32_t from; /* the predecessor; the top bit says that it is TT_AFTER */
    uint32_t to;   /* the node itself */
    uint32_t next; /* the next edge out of `from` */
};
#define AFTER_BIT     0x80000000u
#define from_of(edge) ((edge)->from & ~AFTER_BIT)

struct node {
    uint64_t path;        /* longest path to an end, itself included */
    uint32_t edges;       /* its first edge; they end where the next node's begin */
    uint32_t rank;        /* every node has a higher one than its predecessors */
    uint32_t weight;      /* 0: closed */
    uint32_t first, last; /* of the edges out of it */
};

struct tt_dag {
    struct node *nodes;
    struct edge *edges;
    uint32_t *scratch; /* one word a node, all zero between uses */
    uint32_t count, capacity;
    uint32_t edge_count, edge_capacity;
    uint32_t batch, batch_edges; /* where the open batch begins */
    uint32_t scratch_count;
};

struct tt_dag *tt_dag_new(void)
{
    return tt_zalloc(sizeof(struct tt_dag));
}

void tt_dag_free(struct tt_dag *dag)
{
    if (!dag)
        return;
    free(dag->nodes);
    free(dag->edges);
    free(dag->scratch);
    free(dag);
}

static uint32_t edges_end(const struct tt_dag *dag, uint32_t node)
{
    return node + 1 < dag->count ? dag->nodes[node + 1].edges : dag->edge_count;
}

/* ---- building -------------------------------------------------------------------------------- */

void tt_dag_begin(struct tt_dag *dag)
{
    dag->batch = dag->count;
    dag->batch_edges = dag->edge_count;
}

void tt_dag_drop(struct tt_dag *dag)
{
    dag->count = dag->batch;
    dag->edge_count = dag->batch_edges;
}

/* Large arrays grow by half: doubling would waste up to as much as they hold. */
static uint32_t larger(uint32_t capacity)
{
    return capacity < 16 ? 16 : capacity + capacity / 2;
}

uint32_t tt_dag_node(struct tt_dag *dag, uint32_t weight)
{
    if (dag->count == dag->capacity) {
        dag->capacity = larger(dag->capacity);
        dag->nodes = tt_reallocarray(dag->nodes, dag->capacity, sizeof *dag->nodes);
    }
    dag->nodes[dag->count] = (struct node){
        .edges = dag->edge_count, .weight = weight ? weight : 1, .first = NO_EDGE, .last = NO_EDGE};
    return dag->count++;
}

void tt_dag_edge(struct tt_dag *dag, uint32_t from, enum tt_edge kind)
{
    if (dag->edge_count == dag->edge_capacity) {
        dag->edge_capacity = larger(dag->edge_capacity);
        dag->edges = tt_reallocarray(dag->edges, dag->edge_capacity, sizeof *dag->edges);
    }
    dag->edges[dag->edge_count++] = (struct edge){
        .from = from | (kind == TT_AFTER ? AFTER_BIT : 0), .to = dag->count - 1, .next = NO_EDGE};
}

static uint32_t *scratch(struct tt_dag *dag)
{
    if (dag->scratch_count < dag->count) {
        dag->scratch = tt_reallocarray(dag->scratch, dag->capacity, sizeof *dag->scratch);
        memset(dag->scratch + dag->scratch_count, 0,
               (dag->capacity - dag->scratch_count) * sizeof *dag->scratch);
        dag->scratch_count = dag->capacity;
    }
    return dag->scratch;
}

/* Leaves each node of the batch one edge from each of its predecessors. */
static void drop_repetitions(struct tt_dag *dag)
{
    /* mark[p]: 1 + the place of the edge from p, if that is at or past the current node's first */
    uint32_t *mark = scratch(dag), out = dag->batch_edges;
    for (uint32_t n = dag->batch; n < dag->count; n++) {
        uint32_t end = edges_end(dag, n), begin = dag->nodes[n].edges;
        dag->nodes[n].edges = out;
        for (uint32_t e = begin; e < end; e++) {
            struct edge edge = dag->edges[e];
            uint32_t from = from_of(&edge);
            if (mark[from] > dag->nodes[n].edges) {
                if (!(edge.from & AFTER_BIT))
                    dag->edges[mark[from] - 1].from = from;
                continue;
            }
            dag->edges[out++] = edge;
            mark[from] = out;
        }
    }
    dag->edge_count = out;
    for (uint32_t e = dag->batch_edges; e < out; e++)
        mark[from_of(&dag->edges[e])] = 0;
}

/* Of a node's cursor in the walk below; any other value: the node is on the path. */
#define DONE UINT32_MAX
#define NEW  (UINT32_MAX - 1)

/* A depth-first walk over the batch, against the edges. Fills `order` with the batch's nodes, each
 * behind all its predecessors, and returns true; or finds a cycle. */
static bool sort(const struct tt_dag *dag, uint32_t *order, struct tt_cycle *cycle)
{
    uint32_t n = dag->count - dag->batch, sorted = 0, depth = 0;
    uint32_t *stack = tt_reallocarray(NULL, n, sizeof *stack);   /* the path being walked */
    uint32_t *cursor = tt_reallocarray(NULL, n, sizeof *cursor); /* the next edge of each node */
    bool acyclic = true;
    for (uint32_t i = 0; i < n; i++)
        cursor[i] = NEW;
    for (uint32_t root = 0; root < n && acyclic; root++) {
        if (cursor[root] != NEW)
            continue;
        stack[depth++] = root;
        cursor[root] = dag->nodes[dag->batch + root].edges;
        while (depth) {
            uint32_t top = stack[depth - 1];
            uint32_t end = edges_end(dag, dag->batch + top), next = DONE;
            while (cursor[top] < end && next == DONE) {
                uint32_t from = from_of(&dag->edges[cursor[top]++]);
                if (from >= dag->batch && cursor[from - dag->batch] != DONE)
                    next = from - dag->batch;
            }
            if (next == DONE) {
                cursor[top] = DONE;
                order[sorted++] = dag->batch + top;
                depth--;
            } else if (cursor[next] == NEW) {
                cursor[next] = dag->nodes[dag->batch + next].edges;
                stack[depth++] = next;
            } else {
                uint32_t start = depth - 1;
                while (stack[start] != next)
                    start--;
                cycle->count = depth - start;
                cycle->nodes = tt_reallocarray(NULL, cycle->count, sizeof *cycle->nodes);
                for (uint32_t i = 0; i < cycle->count; i++)
                    cycle->nodes[i] = dag->batch + stack[start + i];
                acyclic = false;
                break;
            }
        }
    }
    free(stack);
    free(cursor);
    return acyclic;
}

static void link_edges(struct tt_dag *dag)
{
    for (uint32_t e = dag->batch_edges; e < dag->edge_count; e++) {
        struct node *from = &dag->nodes[from_of(&dag->edges[e])];
        if (from->last == NO_EDGE)
            from->first = e;
        else
            dag->edges[from->last].next = e;
        from->last = e;
    }
}

/* Raises the paths of the node's predecessors to reach over it. Old ones that rose go to *raised,
 * the last in order first, so that each is looked at once. */
static void raise_before(struct tt_dag *dag, uint32_t node, struct tt_heap *raised)
{
    uint64_t path = dag->nodes[node].path;
    for (uint32_t e = dag->nodes[node].edges, end = edges_end(dag, node); e < end; e++) {
        uint32_t at = from_of(&dag->edges[e]);
        struct node *from = &dag->nodes[at];
        if (!from->weight || from->path >= path + from->weight)
            continue;
        from->path = path + from->weight;
        if (at < dag->batch && !dag->scratch[at])
            tt_heap_push(raised, dag->scratch,
                         (struct tt_heap_item){.key = UINT32_MAX - from->rank, .id = at});
    }
}

/* A long line of waiting nodes that grows by one each time must not cost its length each time. */
#define RAISED_MOST 256

static void measure(struct tt_dag *dag, const uint32_t *order)
{
    struct tt_heap raised = {0};
    for (uint32_t i = dag->count - dag->batch; i-- > 0;) {
        struct node *node = &dag->nodes[order[i]];
        node->rank = dag->batch + i;
        if (node->path < node->weight)
            node->path = node->weight;
        raise_before(dag, order[i], &raised);
    }
    for (uint32_t i = 0; raised.count; i++) {
        uint32_t node = raised.items[0].id;
        tt_heap_remove(&raised, dag->scratch, node);
        if (i < RAISED_MOST)
            raise_before(dag, node, &raised);
    }
    tt_heap_free(&raised);
}

bool tt_dag_commit(struct tt_dag *dag, struct tt_cycle *cycle)
{
    if (dag->count == dag->batch)
        return true;
    drop_repetitions(dag);
    uint32_t *order = tt_reallocarray(NULL, dag->count - dag->batch, sizeof *order);
    bool acyclic = sort(dag, order, cycle);
    if (acyclic) {
        link_edges(dag);
        measure(dag, order);
    } else {
        tt_dag_drop(dag);
    }
    free(order);
    return acyclic;
}

/* ---- reading --------------------------------------------------------------------------------- */

uint32_t tt_dag_count(const struct tt_dag *dag)
{
    return dag->count;
}

uint64_t tt_dag_edge_count(const struct tt_dag *dag)
{
    return dag->edge_count;
}

uint32_t tt_dag_before_count(const struct tt_dag *dag, uint32_t node)
{
    return edges_end(dag, node) - dag->nodes[node].edges;
}

uint32_t tt_dag_before(const struct tt_dag *dag, uint32_t node, uint32_t i, enum tt_edge *kind)
{
    const struct edge *edge = &dag->edges[dag->nodes[node].edges + i];
    if (kind)
        *kind = edge->from & AFTER_BIT ? TT_AFTER : TT_NEEDS;
    return from_of(edge);
}

struct tt_after tt_dag_after(const struct tt_dag *dag, uint32_t node)
{
    return (struct tt_after){.link = dag->nodes[node].first};
}

bool tt_dag_next(const struct tt_dag *dag, struct tt_after *walk)
{
    if (walk->link == NO_EDGE)
        return false;
    const struct edge *edge = &dag->edges[walk->link];
    walk->node = edge->to;
    walk->kind = edge->from & AFTER_BIT ? TT_AFTER : TT_NEEDS;
    walk->link = edge->next;
    return true;
}

uint64_t tt_dag_path(const struct tt_dag *dag, uint32_t node)
{
    return dag->nodes[node].path;
}

void tt_dag_close(struct tt_dag *dag, uint32_t node)
{
    dag->nodes[node].weight = 0;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Collects the ancestors of a node; if `stop` is met among them it comes last. */
static uint32_t *collect(struct tt_dag *dag, uint32_t node, uint32_t stop, uint32_t *count)
{
    uint32_t *found = NULL, *seen = scratch(dag), n = 0, capacity = 0, walked = 0;
    for (bool met = false; !met;) {
        for (uint32_t e = dag->nodes[node].edges, end = edges_end(dag, node); e < end; e++) {
            uint32_t from = from_of(&dag->edges[e]);
            if (seen[from])
                continue;
            if (n == capacity) {
                capacity = larger(capacity);
                found = tt_reallocarray(found, capacity, sizeof *found);
            }
            found[n++] = from;
            seen[from] = 1;
            if ((met = from == stop))
                break;
        }
        if (walked == n)
            break;
        node = found[walked++];
    }
    for (uint32_t i = 0; i < n; i++)
        seen[found[i]] = 0;
    *count = n;
    return found;
}

uint32_t *tt_dag_ancestors(struct tt_dag *dag, uint32_t node, uint32_t *count)
{
    uint32_t *found = collect(dag, node, TT_NO_TASK, count);
    if (found)
        qsort(found, *count, sizeof *found, by_index);
    return found;
}

bool tt_dag_is_ancestor(struct tt_dag *dag, uint32_t old, uint32_t node)
{
    uint32_t count;
    uint32_t *found = collect(dag, node, old, &count);
    bool met = count && found[count - 1] == old;
    free(found);
    return met;
}
