/* The one heap of the tree. Its items are ids (small numbers, of timers, tasks, waiters) with a
 * key; the least key is items[0]. Ids and not pointers: comparing two items reads nothing else.
 *
 * An array of the caller's, `places`, tells where each id stands, so that taking out any id costs
 * O(log n). Several heaps may share the array as long as an id is in one of them at a time. */
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

/* `places[id]` is 1 + the index of the id's item, or 0 when it is in no heap. The caller makes the
 * array, all zeros, with room for every id; the heap keeps it. */
void tt_heap_push(struct tt_heap *heap, uint32_t *places, struct tt_heap_item item);
/* Takes out an id, which must be in this heap. */
void tt_heap_remove(struct tt_heap *heap, uint32_t *places, uint32_t id);
void tt_heap_free(struct tt_heap *heap);

#endif
