#include "core/base/mask.h"

#include "core/base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A node stands for a beginning of one or more secrets; node 0 is the empty one. */
struct node {
    uint32_t child, sibling; /* 0: none */
    uint32_t fail;           /* the longest proper end of it that is a node */
    uint32_t depth;          /* its length */
    uint32_t match;          /* the longest secret that ends here; 0: none */
    unsigned char byte;
    bool is_secret;
};

struct tt_masker {
    struct node *nodes;
    uint32_t count, room;
    uint32_t first[256]; /* the root's children by byte */
};

static uint32_t add_node(struct tt_masker *masker, unsigned char byte, uint32_t depth)
{
    if (masker->count == masker->room) {
        masker->room = masker->room ? masker->room * 2 : 64;
        masker->nodes = tt_reallocarray(masker->nodes, masker->room, sizeof *masker->nodes);
    }
    masker->nodes[masker->count] = (struct node){.byte = byte, .depth = depth};
    return masker->count++;
}

struct tt_masker *tt_masker_new(void)
{
    struct tt_masker *masker = tt_zalloc(sizeof *masker);
    add_node(masker, 0, 0);
    return masker;
}

void tt_masker_free(struct tt_masker *masker)
{
    if (masker) {
        free(masker->nodes);
        free(masker);
    }
}

bool tt_masker_empty(const struct tt_masker *masker)
{
    return masker->count == 1;
}

static uint32_t child_of(const struct tt_masker *masker, uint32_t node, unsigned char byte)
{
    if (node == 0)
        return masker->first[byte];
    uint32_t child = masker->nodes[node].child;
    while (child && masker->nodes[child].byte != byte)
        child = masker->nodes[child].sibling;
    return child;
}

static uint32_t next_of(const struct tt_masker *masker, uint32_t node, unsigned char byte)
{
    for (;;) {
        uint32_t child = child_of(masker, node, byte);
        if (child || node == 0)
            return child;
        node = masker->nodes[node].fail;
    }
}

static void insert(struct tt_masker *masker, const char *secret, size_t length)
{
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)secret[i];
        uint32_t child = child_of(masker, node, byte);
        if (!child) {
            child = add_node(masker, byte, (uint32_t)i + 1);
            masker->nodes[child].sibling = masker->nodes[node].child;
            masker->nodes[node].child = child;
            if (node == 0)
                masker->first[byte] = child;
        }
        node = child;
    }
    masker->nodes[node].is_secret = node != 0;
}

/* Breadth first, so that a node's fail link, which is shorter, is ready before it. */
static void link_nodes(struct tt_masker *masker)
{
    struct node *nodes = masker->nodes;
    uint32_t *queue = tt_reallocarray(NULL, masker->count, sizeof *queue);
    uint32_t head = 0, tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        uint32_t at = queue[head++];
        for (uint32_t child = nodes[at].child; child; child = nodes[child].sibling) {
            uint32_t fail = at ? next_of(masker, nodes[at].fail, nodes[child].byte) : 0;
            nodes[child].fail = fail;
            nodes[child].match = nodes[child].is_secret ? nodes[child].depth : nodes[fail].match;
            queue[tail++] = child;
        }
    }
    free(queue);
}

static void insert_json(struct tt_masker *masker, const char *secret, size_t length)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    struct tt_buf form = {0};
    for (size_t i = 0; i < length; i++) {
        const char *name = secret[i] ? strchr(names, secret[i]) : NULL;
        if (name && (name - names) % 2 == 1)
            name = NULL;
        if (name)
            tt_buf_format(&form, "\\%c", name[1]);
        else if ((unsigned char)secret[i] < 32)
            tt_buf_format(&form, "\\u%04x", (unsigned)secret[i]);
        else
            tt_buf_add(&form, secret + i, 1);
    }
    if (form.length != length)
        insert(masker, form.data, form.length);
    tt_buf_free(&form);
}

void tt_masker_add(struct tt_masker *masker, const char *secret, size_t length)
{
    enum { shortest_line = 4 };
    insert(masker, secret, length);
    insert_json(masker, secret, length);
    for (size_t from = 0; from < length;) {
        const char *end = memchr(secret + from, '\n', length - from);
        size_t size = end ? (size_t)(end - secret) - from : length - from;
        if (size < length && size >= shortest_line)
            insert(masker, secret + from, size);
        from += size + 1;
    }
    link_nodes(masker);
}

/* Marks held[from, to) as masked. `to` never falls, so only the last ranges can be touched. */
static void mark(struct tt_mask *mask, size_t from, size_t to)
{
    while (mask->run_count && mask->runs[2 * mask->run_count - 1] >= from) {
        if (mask->runs[2 * mask->run_count - 2] < from)
            from = mask->runs[2 * mask->run_count - 2];
        mask->run_count--;
    }
    if (mask->run_count == mask->run_room) {
        mask->run_room = mask->run_room ? mask->run_room * 2 : 8;
        mask->runs = tt_reallocarray(mask->runs, mask->run_room, 2 * sizeof *mask->runs);
    }
    mask->runs[2 * mask->run_count] = from;
    mask->runs[2 * mask->run_count + 1] = to;
    mask->run_count++;
}

static void pass(struct tt_mask *mask, size_t from, size_t to, struct tt_buf *out)
{
    if (to > from) {
        tt_buf_add(out, mask->held.data + from, to - from);
        mask->masking = false;
    }
}

/* Passes on the first `count` held bytes, masked where marked. */
static void settle(struct tt_mask *mask, size_t count, struct tt_buf *out)
{
    size_t at = 0, left = 0;
    for (size_t i = 0; i < mask->run_count; i++) {
        size_t from = mask->runs[2 * i], to = mask->runs[2 * i + 1];
        if (from < count) {
            pass(mask, at, from, out);
            if (!mask->masking)
                tt_buf_text(out, "***");
            mask->masking = true;
            at = to < count ? to : count;
        }
        if (to > count) {
            mask->runs[2 * left] = from > count ? from - count : 0;
            mask->runs[2 * left + 1] = to - count;
            left++;
        }
    }
    mask->run_count = left;
    pass(mask, at, count, out);
    tt_buf_drop(&mask->held, count);
}

void tt_mask_feed(const struct tt_masker *masker, struct tt_mask *mask, const char *bytes,
                  size_t length, struct tt_buf *out)
{
    if (tt_masker_empty(masker) && !mask->held.length) {
        tt_buf_add(out, bytes, length);
        return;
    }
    size_t before = mask->held.length;
    tt_buf_add(&mask->held, bytes, length);
    uint32_t node = (uint32_t)mask->node;
    for (size_t i = before; i < mask->held.length; i++) {
        node = next_of(masker, node, (unsigned char)mask->held.data[i]);
        uint32_t match = masker->nodes[node].match;
        if (match)
            mark(mask, i + 1 - match, i + 1);
    }
    mask->node = node;
    settle(mask, mask->held.length - masker->nodes[node].depth, out);
}

void tt_mask_end(struct tt_mask *mask, struct tt_buf *out)
{
    settle(mask, mask->held.length, out);
    tt_buf_free(&mask->held);
    free(mask->runs);
    *mask = (struct tt_mask){0};
}

void tt_mask_text(const struct tt_masker *masker, const char *bytes, size_t length,
                  struct tt_buf *out)
{
    struct tt_mask mask = {0};
    tt_mask_feed(masker, &mask, bytes, length, out);
    tt_mask_end(&mask, out);
}
