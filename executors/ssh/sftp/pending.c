#include "executors/ssh/sftp/pending.h"

#include "core/base/alloc.h"

#include <stdlib.h>

static void grow(struct tx_pending *p)
{
    size_t size = p->size ? p->size * 2 : 64;
    struct tx_awaited *table = tt_zalloc(size * sizeof *table);
    for (size_t i = 0; i < p->size; i++)
        if (p->table[i].used)
            table[p->table[i].id & (size - 1)] = p->table[i];
    free(p->table);
    p->table = table;
    p->size = size;
}

uint32_t tx_pending_add(struct tx_pending *p, tx_sftp_done *done, void *arg)
{
    uint32_t id = p->next_id++;
    while (p->count * 2 >= p->size || p->table[id & (p->size - 1)].used)
        grow(p);
    p->table[id & (p->size - 1)] = (struct tx_awaited){id, done, arg, true};
    p->count++;
    return id;
}

bool tx_pending_take(struct tx_pending *p, uint32_t id, struct tx_awaited *awaited)
{
    struct tx_awaited *at = p->size ? &p->table[id & (p->size - 1)] : NULL;
    if (!at || !at->used || at->id != id)
        return false;
    *awaited = *at;
    at->used = false;
    p->count--;
    return true;
}

void tx_pending_forget(struct tx_pending *p, const void *arg)
{
    for (size_t i = 0; i < p->size; i++)
        if (p->table[i].used && p->table[i].arg == arg)
            p->table[i].done = NULL;
}

void tx_pending_lose(struct tx_pending *p)
{
    struct tx_sftp_reply lost = {.type = TX_SFTP_STATUS, .status = TX_SFTP_LOST};
    /* who is told may ask anew, and the table grow */
    for (size_t i = 0; i < p->size; i++) {
        struct tx_awaited awaited = p->table[i];
        if (!awaited.used)
            continue;
        p->table[i].used = false;
        p->count--;
        lost.id = awaited.id;
        if (awaited.done)
            awaited.done(awaited.arg, &lost);
    }
}

void tx_pending_clear(struct tx_pending *p)
{
    free(p->table);
    *p = (struct tx_pending){0};
}
