/* libcurl, loaded on first use: linking it would cost every start of tutti 5 ms and 44 shared
 * objects. One instance for the process, never unloaded. */
#ifndef TX_CURL_LIB_H
#define TX_CURL_LIB_H

#include "core/base/error.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#define TX_CURL_FUNCTIONS(X)                                                                       \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_strerror)                                                                               \
    X(easy_pause)                                                                                  \
    X(easy_send)                                                                                   \
    X(easy_recv)                                                                                   \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(share_init)                                                                                  \
    X(share_setopt)                                                                                \
    X(share_cleanup)                                                                               \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_socket_action)                                                                         \
    X(multi_assign)                                                                                \
    X(multi_info_read)                                                                             \
    X(multi_strerror)

struct tx_curl {
#define X(name) __typeof__(curl_##name) *name;
    TX_CURL_FUNCTIONS(X)
#undef X
    /* of the TLS library below it; NULL when that is not OpenSSL */
    int (*ssl_shutdown)(void *ssl);
    unsigned char *(*sha1)(const unsigned char *bytes, size_t length, unsigned char *digest);
};

/* The library; `unsupported` when it is not installed. Loop thread only. */
int tx_curl_load(const struct tx_curl **curl, struct tt_error **err);

#endif
