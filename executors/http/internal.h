/* What executors/http/http.c shares with exchange.c and stream.c: the endpoint's inside.
 */
#ifndef TX_HTTP_INTERNAL_H
#define TX_HTTP_INTERNAL_H

#include "executors/http/curl.h"
#include "executors/http/http.h"

/* A transfer that libcurl carries out; embedded in exchanges and streams. */
struct tx_transfer {
    struct tx_http *http; /* held */
    CURL *easy;
    /* libcurl is through with it. Runs while libcurl is on the stack: only notes and finishes. */
    void (*done)(struct tx_transfer *transfer, CURLcode code);
    struct curl_slist *route; /* where to connect when the URL names somebody else */
    bool added;
    struct tx_transfer *next, *previous; /* among the endpoint's, while added */
    char curl_text[CURL_ERROR_SIZE];
};

const struct tx_curl *tx_http_curl(const struct tx_http *http);
const char *tx_http_authorization(const struct tx_http *http); /* or NULL */
const char *tx_http_host(const struct tx_http *http);          /* for a Host header */
const char *tx_http_prefix(const struct tx_http *http);        /* the base's own path, may be "" */

/* Makes the easy handle: URL, socket, TLS. `path` is appended to the base. */
int tx_transfer_init(struct tx_transfer *transfer, struct tx_http *http, const char *path,
                     struct tt_error **err);
int tx_transfer_begin(struct tx_transfer *transfer, struct tt_error **err);
void tx_transfer_clear(struct tx_transfer *transfer);
/* What went wrong, in the contract's kinds. */
struct tt_error *tx_transfer_error(const struct tx_transfer *transfer, CURLcode code);
/* The far side said nothing for so long. */
struct tt_error *tx_transfer_silence(const struct tx_transfer *transfer, int64_t ms);

#endif
