/* An HTTP endpoint: its address and settings, and the connections to it.
 *
 * libcurl's multi interface driven by the loop: nothing blocks, idle connections are kept and used
 * again. HTTP/1.1 only. An endpoint is used for
 * exchanges (this header), and for raw streams after an upgrade (executors/http/stream.h). Loop
 * thread.
 *
 * Errors: `connect` when no connection came about, `host_key` when the far side's certificate was
 * not accepted, `lost` when the connection broke or fell silent after the request had gone out.
 * An HTTP status is not an error here. */
#ifndef TX_HTTP_H
#define TX_HTTP_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tx_http;

/* Certificates and keys are PEM, each as a file's path or as bytes; the bytes win. */
struct tx_pem {
    char *file;
    char *data;
    size_t length;
};

struct tx_http_config {
    char *base;        /* "http://docker", "https://host:6443/prefix": no slash at the end */
    char *unix_socket; /* its path, or NULL */
    struct tx_pem ca, certificate, key;
    bool insecure;     /* accept any certificate */
    char *server_name; /* the name in the certificate when it is not the host's, or NULL */
    char *proxy;       /* URL; NULL: as the environment variables say */
};

void tx_http_config_clear(struct tx_http_config *config);

/* Makes an endpoint; takes what config owns. Contacts nothing. */
int tx_http_new(struct tx_http **http, struct tt_loop *loop, struct tx_http_config *config,
                struct tt_error **err);
void tx_http_retain(struct tx_http *http);
void tx_http_release(struct tx_http *http); /* with the last reference the connections close */
struct tt_loop *tx_http_loop(const struct tx_http *http);
/* The Authorization header of requests from now on (copied; NULL: none). */
void tx_http_authorize(struct tx_http *http, const char *value);

enum { tx_http_patience_ms = 30000 };

struct tx_http_request {
    const char *method;
    const char *path;           /* with its query; starts with a slash; already encoded */
    const char *const *headers; /* "Name: value" …, NULL-terminated; or NULL */
    const void *body;           /* copied; NULL: none */
    size_t length;
    bool streamed;    /* the body comes by tx_exchange_write; `body` is not used */
    int64_t patience; /* longest silence before the reply's head, ms; 0: tx_http_patience_ms;
                         TT_NEVER: none */
};

/* --- an exchange: one request and its reply, both as streams --- */

struct tx_exchange;

/* Sends the request. *exchange is the caller's, until tx_exchange_free. */
int tx_exchange_start(struct tx_exchange **exchange, struct tx_http *http,
                      const struct tx_http_request *request, struct tt_error **err);
/* Finishes once the reply's status and headers are known. */
struct tt_op *tx_exchange_head(struct tx_exchange *x, struct tt_scope *scope);
int tx_exchange_status(const struct tx_exchange *x);                     /* 0 before the head */
char *tx_exchange_header(const struct tx_exchange *x, const char *name); /* a copy, or NULL */
/* Finishes with 1..max bytes of the reply's body, or none at its end: tt_bytes_of. While nobody
 * reads, at most a few KiB are kept and the far side waits. A cancelled read loses nothing. */
struct tt_op *tx_exchange_read(struct tx_exchange *x, struct tt_scope *scope, size_t max);
/* Sends the next bytes (copied) of a streamed request's body; finishes when more may be given.
 * Fails with errno EPIPE when the far side answered without wanting the rest. */
struct tt_op *tx_exchange_write(struct tx_exchange *x, struct tt_scope *scope, const void *data,
                                size_t length);
void tx_exchange_end(struct tx_exchange *x); /* the body is complete */
/* Frees the exchange; breaks it off when it is not over. */
void tx_exchange_free(struct tx_exchange *x);

/* --- a whole exchange with a bounded reply --- */

/* Finishes with the whole reply, or as `output_limit` when it is longer than max. */
struct tt_op *tx_http_call(struct tx_http *http, struct tt_scope *scope,
                           const struct tx_http_request *request, size_t max);
struct tx_reply {
    int status;
    struct tt_buf body;
    char *date; /* the Date header, or NULL */
};
const struct tx_reply *tx_reply_of(struct tt_op *op);

/* Appends text, percent-encoding all but unreserved characters. */
void tx_url_escape(struct tt_buf *to, const char *text);
/* A copy of a text without the user and password that the first URL in it may have. */
char *tx_url_without_user(const char *text);

#endif
