/* The one heap of the tree: of small numbers by key, least first. What it sorts (timers, tasks,
 * waiters) has numbers; pointers in items would cost each comparison a look at what they point to.
 * Where each number stands is kept in an array
 * that several heaps may share, as long as a number is in one of them at a time; so taking any one
 * out costs O(log n) too. */
#ifndef TT_HEAP_H
#define TT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

struct tt_heap_item {
    uint64_t key;
    uint32_t order; /* decides between equal keys */
    uint32_t id;
};

struct tt_heap { /* all zero is empty */
    struct tt_heap_item *items;
    uint32_t count, capacity;
};

static inline bool tt_heap_before(const struct tt_heap_item *a, const struct tt_heap_item *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* `places[id]` is 1 + where the id stands in its heap, or 0: an array of zeros to begin with. */
void tt_heap_push(struct tt_heap *heap, uint32_t *places, struct tt_heap_item item);
/* Takes out an id that stands in this heap. */
void tt_heap_remove(struct tt_heap *heap, uint32_t *places, uint32_t id);
void tt_heap_free(struct tt_heap *heap);

#endif
