#include "executors/ssh/config/settings.h"

#include "core/base/alloc.h"

#include <stdlib.h>
#include <string.h>

void tx_texts_add(struct tx_texts *texts, const char *text)
{
    texts->items = tt_reallocarray(texts->items, texts->count + 1, sizeof *texts->items);
    texts->items[texts->count++] = tt_strdup(text);
}

void tx_texts_clear(struct tx_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
    *texts = (struct tx_texts){0};
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void tx_ssh_settings_clear(struct tx_ssh_settings *s)
{
    free(s->host);
    free(s->user);
    tx_texts_clear(&s->keys);
    tx_texts_clear(&s->certificates);
    free(s->agent);
    wipe(s->passphrase);
    wipe(s->password);
    free(s->key_alias);
    tx_texts_clear(&s->known_hosts);
    free(s->jump);
    free(s->proxy_command);
    *s = (struct tx_ssh_settings){0};
}
