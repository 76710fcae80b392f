/* known_hosts files: whatever stands in them, reading ends, and what is found is whole. */
#include "executors/ssh/login/known_hosts.h"
#include "executors/ssh/wire/pack.h"

#include <stdlib.h>
#include <string.h>

/* Stands in for HMAC-SHA1: the first byte decides whether a line matches. */
static bool no_hmac(const unsigned char *salt, size_t salt_length, const char *name,
                    unsigned char digest[20])
{
    (void)name;
    memcpy(digest, salt, salt_length < 20 ? salt_length : 20);
    return salt_length == 20 && salt[0] % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"[127.0.0.1]:22", "host.example.com"};
    struct tx_known_keys keys = {0};
    tx_known_read(&keys, (const char *)data, size, "fuzz", names, 2, no_hmac);
    for (size_t i = 0; i < keys.count; i++) {
        const struct tx_known_key *key = &keys.items[i], *which;
        struct tx_cursor cursor = tx_cursor(key->key.data, key->key.length);
        struct tx_span type = tx_get_string(&cursor);
        if (cursor.bad || !tx_span_is(type, key->type) || key->line < 1)
            abort();
        if (tx_known_check(&keys, key->type, key->key.data, key->key.length, &which) ==
                TX_KNOWN_NONE &&
            key->marker == TX_KNOWN_HOST)
            abort();
        char *line = tx_known_line(names[0], key->type, key->key.data, key->key.length, NULL, NULL);
        struct tx_known_keys again = {0};
        tx_known_read(&again, line, strlen(line), "again", names, 1, NULL);
        if (again.count != 1 || again.items[0].key.length != key->key.length ||
            memcmp(again.items[0].key.data, key->key.data, key->key.length) != 0)
            abort();
        tx_known_clear(&again);
        free(line);
    }
    tx_known_clear(&keys);
    return 0;
}
