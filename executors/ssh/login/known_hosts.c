#include "executors/ssh/login/known_hosts.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "executors/ssh/wire/pack.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

char *tx_known_name(const char *host, int port)
{
    char *name = port == 22 ? tt_strdup(host) : tt_format("[%s]:%d", host, port);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

/* `*` and `?`; the pattern ends at its length. Names are short, and the search never goes back
 * further than to the last star: time is bounded by the product of the lengths. */
static bool matches(const char *pattern, size_t length, const char *name)
{
    const char *end = pattern + length, *star = NULL, *from = NULL;
    while (*name) {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            from = name;
        } else if (pattern < end &&
                   (*pattern == '?' || tolower((unsigned char)*pattern) == (unsigned char)*name)) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

/* "|1|salt|hash": the name's HMAC under the salt. */
static bool hashed_matches(const char *text, size_t length, const char *const *names, size_t count,
                           tx_hmac_sha1 *hmac)
{
    struct tt_buf salt = {0}, hash = {0};
    const char *start = text + 3;
    const char *bar = length > 3 ? memchr(start, '|', length - 3) : NULL;
    bool found = false;
    if (hmac && bar && tt_base64_read(&salt, start, (size_t)(bar - start)) &&
        tt_base64_read(&hash, bar + 1, (size_t)(text + length - bar - 1)) && salt.length == 20 &&
        hash.length == 20) {
        for (size_t i = 0; i < count && !found; i++) {
            unsigned char digest[20];
            found = hmac((unsigned char *)salt.data, salt.length, names[i], digest) &&
                    memcmp(digest, hash.data, sizeof digest) == 0;
        }
    }
    tt_buf_free(&salt);
    tt_buf_free(&hash);
    return found;
}

/* A negated pattern that matches wins over all others of its line. */
static bool names_match(const char *text, size_t length, const char *const *names, size_t count,
                        tx_hmac_sha1 *hmac)
{
    if (length >= 3 && memcmp(text, "|1|", 3) == 0)
        return hashed_matches(text, length, names, count, hmac);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (const char *at = text, *end = text + length; at < end;) {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            const char *stop = comma ? comma : end;
            bool negated = *at == '!';
            const char *pattern = at + negated;
            if (matches(pattern, (size_t)(stop - pattern), names[i])) {
                if (negated) {
                    found = false;
                    break;
                }
                found = true;
            }
            at = comma ? comma + 1 : end;
        }
        if (found)
            return true;
    }
    return false;
}

/* --- lines --- */

static struct tx_span word(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    const char *start = *at;
    while (*at < end && **at != ' ' && **at != '\t')
        ++*at;
    return (struct tx_span){(const unsigned char *)start, (size_t)(*at - start)};
}

/* The blob says its own type; a line where the two differ is damaged. */
static bool key_is(const struct tt_buf *key, struct tx_span type)
{
    struct tx_cursor cursor = tx_cursor(key->data, key->length);
    struct tx_span inner = tx_get_string(&cursor);
    return !cursor.bad && inner.length == type.length &&
           memcmp(inner.bytes, type.bytes, type.length) == 0;
}

static void read_line(struct tx_known_keys *keys, const char *at, const char *end, const char *file,
                      int line, const char *const *names, size_t name_count, tx_hmac_sha1 *hmac)
{
    enum tx_known_marker marker = TX_KNOWN_HOST;
    struct tx_span hosts = word(&at, end);
    if (hosts.length == 0 || hosts.bytes[0] == '#')
        return;
    if (hosts.bytes[0] == '@') {
        if (tx_span_is(hosts, "@revoked"))
            marker = TX_KNOWN_REVOKED;
        else if (tx_span_is(hosts, "@cert-authority"))
            marker = TX_KNOWN_AUTHORITY;
        else
            return;
        hosts = word(&at, end);
    }
    struct tx_span type = word(&at, end), text = word(&at, end);
    if (!text.length ||
        !names_match((const char *)hosts.bytes, hosts.length, names, name_count, hmac))
        return;
    struct tt_buf key = {0};
    if (!tt_base64_read(&key, (const char *)text.bytes, text.length) || !key_is(&key, type)) {
        tt_buf_free(&key);
        return;
    }
    keys->items = tt_reallocarray(keys->items, keys->count + 1, sizeof *keys->items);
    keys->items[keys->count++] =
        (struct tx_known_key){.marker = marker,
                              .type = tt_strndup((const char *)type.bytes, type.length),
                              .key = key,
                              .file = tt_strdup(file),
                              .line = line};
}

void tx_known_read(struct tx_known_keys *keys, const char *text, size_t length, const char *file,
                   const char *const *names, size_t name_count, tx_hmac_sha1 *hmac)
{
    const char *at = text, *end = text + length;
    for (int line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        const char *last = stop > at && stop[-1] == '\r' ? stop - 1 : stop;
        read_line(keys, at, last, file, line, names, name_count, hmac);
        at = newline ? newline + 1 : end;
    }
}

void tx_known_clear(struct tx_known_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->items[i].type);
        tt_buf_free(&keys->items[i].key);
        free(keys->items[i].file);
    }
    free(keys->items);
    *keys = (struct tx_known_keys){0};
}

enum tx_known_verdict tx_known_check(const struct tx_known_keys *keys, const char *type,
                                     const void *key, size_t length,
                                     const struct tx_known_key **which)
{
    enum tx_known_verdict verdict = TX_KNOWN_NONE;
    *which = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const struct tx_known_key *known = &keys->items[i];
        bool same = known->key.length == length && memcmp(known->key.data, key, length) == 0;
        if (known->marker == TX_KNOWN_REVOKED && same) {
            *which = known;
            return TX_KNOWN_IS_REVOKED;
        }
        if (known->marker != TX_KNOWN_HOST || verdict == TX_KNOWN_MATCH)
            continue;
        if (same) {
            verdict = TX_KNOWN_MATCH;
            *which = known;
        } else if (!*which || strcmp(known->type, type) == 0) {
            verdict = TX_KNOWN_CHANGED;
            *which = known;
        }
    }
    return verdict;
}

char *tx_known_line(const char *name, const char *type, const void *key, size_t length,
                    const unsigned char *salt, tx_hmac_sha1 *hmac)
{
    struct tt_buf line = {0};
    if (salt) {
        unsigned char digest[20];
        if (!hmac(salt, 20, name, digest))
            return NULL;
        tt_buf_text(&line, "|1|");
        tt_base64_add(&line, salt, 20, true);
        tt_buf_text(&line, "|");
        tt_base64_add(&line, digest, sizeof digest, true);
    } else {
        tt_buf_text(&line, name);
    }
    tt_buf_format(&line, " %s ", type);
    tt_base64_add(&line, key, length, true);
    tt_buf_text(&line, "\n");
    return tt_buf_take(&line);
}
