/* Calls of an HTTP API that speaks JSON: Docker's and Kubernetes'.
 *
 * Statuses become the contract's kinds: 401 auth, 403 permission, 404 not_found, 400 and 422
 * invalid, 429 and 503 connect, everything else from 300 on io. The error's message is the
 * API's own. tx_api_status tells the exact status, also of a call that failed. Loop thread. */
#ifndef TX_API_H
#define TX_API_H

#include "executors/http/http.h"

#include <jansson.h>

/* What a call needs beyond its path; all zero is fine. */
struct tx_api_options {
    const char *content_type;   /* of the body; NULL: application/json */
    const char *const *headers; /* more of them, NULL-terminated; borrowed */
    int64_t patience;           /* as in tx_http_request */
    size_t max;                 /* of the reply; 0: 32 MiB */
    bool raw;                   /* the reply is not JSON: see tx_api_body */
};

/* Makes a call. `body` is taken; NULL: none. */
struct tt_op *tx_api_call(struct tx_http *http, struct tt_scope *scope, const char *method,
                          const char *path, json_t *body, const struct tx_api_options *options);
/* The same with bytes (copied) for a body. */
struct tt_op *tx_api_send(struct tx_http *http, struct tt_scope *scope, const char *method,
                          const char *path, const void *body, size_t length,
                          const struct tx_api_options *options);
const json_t *tx_api_json(struct tt_op *op);        /* borrowed; NULL when the reply was empty */
const struct tt_buf *tx_api_body(struct tt_op *op); /* borrowed; of a raw call */
int tx_api_status(struct tt_op *op);                /* 0: there was no reply */
const char *tx_api_date(struct tt_op *op);          /* the Date header, borrowed, or NULL */

/* Begins an exchange whose reply the caller reads as a stream. Finishes once the reply's status is
 * known, with tx_api_exchange_of, or with the error that the status stands for. */
struct tt_op *tx_api_open(struct tx_http *http, struct tt_scope *scope,
                          const struct tx_http_request *request);
struct tx_exchange *tx_api_exchange_of(struct tt_op *op); /* the caller's now; NULL on error */

/* The error that a reply of that status stands for; NULL below 300. */
struct tt_error *tx_api_refusal(int status, const char *body, size_t length);

/* A member's text, borrowed; "" when it is missing or no string. */
const char *tx_json_text(const json_t *object, const char *key);
/* A member below nested objects: "State.Health.Status"; NULL when it is not there. */
const json_t *tx_json_at(const json_t *value, const char *path);

#endif
