/* known_hosts files: which keys a host may show. Pure: text in, matching lines out.
 *
 * Read are plain and hashed names, `*` and `?`, negation with `!`, [host]:port, @revoked and
 * @cert-authority. A line that cannot be read counts for nothing, as with ssh. */
#ifndef TX_KNOWN_HOSTS_H
#define TX_KNOWN_HOSTS_H

#include "core/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum tx_known_marker { TX_KNOWN_HOST, TX_KNOWN_REVOKED, TX_KNOWN_AUTHORITY };

/* A line whose names match. */
struct tx_known_key {
    enum tx_known_marker marker;
    char *type;        /* "ssh-ed25519" … */
    struct tt_buf key; /* the blob, base64 decoded */
    char *file;
    int line;
};

struct tx_known_keys {
    struct tx_known_key *items;
    size_t count;
};

/* HMAC-SHA1 of `name` under the salt; 20 bytes; false when it cannot be computed. */
typedef bool tx_hmac_sha1(const unsigned char *salt, size_t salt_length, const char *name,
                          unsigned char digest[20]);

/* Adds the keys that the text has for one of the names (each as from tx_known_name). `file` is for
 * messages. Without hmac hashed lines do not match. */
void tx_known_read(struct tx_known_keys *keys, const char *text, size_t length, const char *file,
                   const char *const *names, size_t name_count, tx_hmac_sha1 *hmac);
void tx_known_clear(struct tx_known_keys *keys);

/* The name that a host has in these files: "host", or "[host]:port" for a port other than 22, in
 * lower case. Allocated. */
char *tx_known_name(const char *host, int port);

enum tx_known_verdict {
    TX_KNOWN_MATCH,   /* this very key is there */
    TX_KNOWN_NONE,    /* no key of this host is there */
    TX_KNOWN_CHANGED, /* other keys are there; *which is one of them, of the same type if any */
    TX_KNOWN_IS_REVOKED,
};
enum tx_known_verdict tx_known_check(const struct tx_known_keys *keys, const char *type,
                                     const void *key, size_t length,
                                     const struct tx_known_key **which);

/* The line to add for a key: plain, or with a hashed name (the salt is 20 random bytes). Ends with
 * a newline; allocated; NULL when hashing failed. */
char *tx_known_line(const char *name, const char *type, const void *key, size_t length,
                    const unsigned char *salt, tx_hmac_sha1 *hmac);

#endif
