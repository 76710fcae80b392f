#include "core/base/heap.h"

#include "core/base/alloc.h"

#include <stdlib.h>

static void put(struct tt_heap *heap, uint32_t *places, uint32_t at, struct tt_heap_item item)
{
    heap->items[at] = item;
    places[item.id] = at + 1;
}

static void up(struct tt_heap *heap, uint32_t *places, uint32_t at, struct tt_heap_item item)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!tt_heap_before(&item, &heap->items[parent]))
            break;
        put(heap, places, at, heap->items[parent]);
        at = parent;
    }
    put(heap, places, at, item);
}

static void down(struct tt_heap *heap, uint32_t *places, uint32_t at, struct tt_heap_item item)
{
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && tt_heap_before(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!tt_heap_before(&heap->items[child], &item))
            break;
        put(heap, places, at, heap->items[child]);
        at = (uint32_t)child;
    }
    put(heap, places, at, item);
}

void tt_heap_push(struct tt_heap *heap, uint32_t *places, struct tt_heap_item item)
{
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 8;
        heap->items = tt_reallocarray(heap->items, heap->capacity, sizeof *heap->items);
    }
    up(heap, places, heap->count++, item);
}

void tt_heap_remove(struct tt_heap *heap, uint32_t *places, uint32_t id)
{
    uint32_t at = places[id] - 1;
    places[id] = 0;
    struct tt_heap_item last = heap->items[--heap->count];
    if (at == heap->count)
        return;
    if (at > 0 && tt_heap_before(&last, &heap->items[(at - 1) / 2]))
        up(heap, places, at, last);
    else
        down(heap, places, at, last);
}

void tt_heap_free(struct tt_heap *heap)
{
    free(heap->items);
    *heap = (struct tt_heap){0};
}
