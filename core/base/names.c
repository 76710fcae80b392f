/* Open addressing with linear probing, at most half full. Slots are filled in the order of the
 * numbers, also when the table grows; so the highest number's slot can always be emptied again
 * without anybody's probing having gone past it. */
#include "core/base/names.h"

#include "core/base/alloc.h"
#include "core/base/hash.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536u

struct block {
    struct block *older;
    size_t used, size;
    char text[];
};

struct tt_names {
    struct block *block; /* the newest; texts are packed into blocks, which never move */
    const char **texts;
    uint32_t *slots; /* number + 1; 0: empty */
    uint32_t count, capacity;
    uint32_t mask; /* slots - 1, slots being a power of two */
};

struct tt_names *tt_names_new(void)
{
    struct tt_names *names = tt_zalloc(sizeof *names);
    names->mask = 15;
    names->slots = tt_zalloc(16 * sizeof *names->slots);
    return names;
}

void tt_names_free(struct tt_names *names)
{
    if (!names)
        return;
    while (names->block) {
        struct block *older = names->block->older;
        free(names->block);
        names->block = older;
    }
    free(names->texts);
    free(names->slots);
    free(names);
}

/* The slot where the text is, or the empty one where it would go. */
static uint32_t slot_of(const struct tt_names *names, const char *text)
{
    uint64_t hash = tt_hash(text);
    uint32_t slot = (uint32_t)(hash ^ hash >> 32) & names->mask;
    while (names->slots[slot] && strcmp(names->texts[names->slots[slot] - 1], text) != 0)
        slot = (slot + 1) & names->mask;
    return slot;
}

static const char *keep(struct tt_names *names, const char *text)
{
    size_t size = strlen(text) + 1;
    if (!names->block || names->block->size - names->block->used < size) {
        /* small tables stay small: the first block is as large as what it holds, up to a bound */
        size_t room = names->block ? names->block->size * 2 : 256;
        if (room > BLOCK_SIZE)
            room = BLOCK_SIZE;
        if (room < size)
            room = size;
        struct block *block = tt_alloc(sizeof *block + room);
        *block = (struct block){.older = names->block, .size = room};
        names->block = block;
    }
    char *copy = names->block->text + names->block->used;
    memcpy(copy, text, size);
    names->block->used += size;
    return copy;
}

static void grow(struct tt_names *names)
{
    names->capacity = names->capacity ? names->capacity * 2 : 8;
    names->texts = tt_reallocarray(names->texts, names->capacity, sizeof *names->texts);
    if (names->capacity <= names->mask / 2)
        return;
    names->mask = names->mask * 2 + 1;
    free(names->slots);
    names->slots = tt_zalloc(((size_t)names->mask + 1) * sizeof *names->slots);
    for (uint32_t i = 0; i < names->count; i++)
        names->slots[slot_of(names, names->texts[i])] = i + 1;
}

uint32_t tt_names_add(struct tt_names *names, const char *text)
{
    uint32_t slot = slot_of(names, text);
    if (names->slots[slot])
        return names->slots[slot] - 1;
    if (names->count == names->capacity) {
        grow(names);
        slot = slot_of(names, text);
    }
    names->texts[names->count] = keep(names, text);
    names->slots[slot] = ++names->count;
    return names->count - 1;
}

uint32_t tt_names_find(const struct tt_names *names, const char *text)
{
    uint32_t number = names->slots[slot_of(names, text)];
    return number ? number - 1 : TT_NO_NAME;
}

const char *tt_names_text(const struct tt_names *names, uint32_t number)
{
    return names->texts[number];
}

uint32_t tt_names_count(const struct tt_names *names)
{
    return names->count;
}

void tt_names_truncate(struct tt_names *names, uint32_t count)
{
    while (names->count > count) {
        const char *text = names->texts[names->count - 1];
        names->slots[slot_of(names, text)] = 0;
        names->count--;
        struct block *block = names->block;
        if (text >= block->text && text < block->text + block->used) {
            block->used = (size_t)(text - block->text);
        }
        if (block->used == 0) {
            names->block = block->older;
            free(block);
        }
    }
}
