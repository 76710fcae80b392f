#include "executors/k8s/api.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "executors/http/curl.h"
#include "executors/k8s/login.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct tx_kube {
    struct tt_loop *loop;
    struct tx_kube_config config;
    struct tx_http *http;
    struct tx_login *login;
    char *key; /* see key_of */
    char *identity;
    bool half_closes; /* see tx_kube_half_closes */
    struct tx_kube *next;
    unsigned refs;
};

/* The clusters that the loop speaks to. */
static struct tx_kube **clusters_of(struct tt_loop *loop)
{
    static const struct tt_slot slot = {.size = sizeof(struct tx_kube *)};
    return tt_loop_slot(loop, &slot);
}

/* --- the shared connection --- */

static char *key_of(const struct tx_kube_config *config)
{
    return tt_format("%s|%s|%s", config->files ? config->files : "",
                     config->context ? config->context : "", config->http.base);
}

/* The HTTP endpoint takes what its configuration owns; the original is kept for a plugin's new
 * certificate. */
static int open_http(struct tx_kube *kube, struct tt_error **err)
{
    const struct tx_http_config *from = &kube->config.http;
    struct tx_http_config copy = *from;
    const struct tx_pem *pems[] = {&from->ca, &from->certificate, &from->key};
    struct tx_pem *copies[] = {&copy.ca, &copy.certificate, &copy.key};
    copy.base = tt_strdup(from->base);
    copy.server_name = from->server_name ? tt_strdup(from->server_name) : NULL;
    copy.proxy = from->proxy ? tt_strdup(from->proxy) : NULL;
    for (size_t i = 0; i < 3; i++) {
        copies[i]->file = pems[i]->file ? tt_strdup(pems[i]->file) : NULL;
        copies[i]->data = pems[i]->data ? tt_strndup(pems[i]->data, pems[i]->length) : NULL;
    }
    int rc = tx_http_new(&kube->http, kube->loop, &copy, err);
    tx_http_config_clear(&copy);
    return rc;
}

int tx_kube_open(struct tx_kube **out, struct tt_loop *loop, const struct tx_kube_where *where,
                 struct tt_error **err)
{
    struct tx_kube_config config = {0};
    int rc = tx_kube_config_find(&config, where, err);
    if (rc < 0)
        return rc;
    char *key = key_of(&config);
    struct tx_kube **clusters = clusters_of(loop), *kube = *clusters;
    while (kube && strcmp(kube->key, key) != 0)
        kube = kube->next;
    if (kube) {
        kube->refs++;
        tx_kube_config_clear(&config);
        free(key);
        *out = kube;
        return 0;
    }
    kube = tt_zalloc(sizeof *kube);
    kube->refs = 1;
    kube->loop = loop;
    kube->config = config;
    kube->key = key;
    kube->identity = tx_url_without_user(key);
    kube->next = *clusters;
    *clusters = kube;
    rc = open_http(kube, err);
    if (rc == 0) {
        kube->login = tx_login_new(loop, &kube->config, &kube->http);
        *out = kube;
    } else {
        tx_kube_release(kube);
    }
    return rc;
}

void tx_kube_retain(struct tx_kube *kube)
{
    kube->refs++;
}

void tx_kube_release(struct tx_kube *kube)
{
    if (!kube || --kube->refs > 0)
        return;
    struct tx_kube **at = clusters_of(kube->loop);
    while (*at != kube)
        at = &(*at)->next;
    *at = kube->next;
    tx_login_free(kube->login);
    tx_http_release(kube->http);
    tx_kube_config_clear(&kube->config);
    free(kube->key);
    free(kube->identity);
    free(kube);
}

struct tt_loop *tx_kube_loop(const struct tx_kube *kube)
{
    return kube->loop;
}

const char *tx_kube_identity(const struct tx_kube *kube)
{
    return kube->identity;
}

const char *tx_kube_context(const struct tx_kube *kube)
{
    return kube->config.context ? kube->config.context : "";
}

const char *tx_kube_namespace(const struct tx_kube *kube)
{
    return kube->config.name_space;
}

bool tx_kube_half_closes(const struct tx_kube *kube)
{
    return kube->half_closes;
}

int tx_kube_check_name(const char *what, const char *name, struct tt_error **err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
    size_t length = strlen(name);
    if (!length || length > 253 || name[strspn(name, allowed)] || strchr("-.", *name) ||
        strchr("-.", name[length - 1]) || strstr(name, ".."))
        return tt_fail(err, TT_INVALID, "'%s' cannot be the name of a %s", name, what);
    return 0;
}

/* --- requests with credentials --- */

enum shape { CALL, EXCHANGE, SOCKET };

struct request {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_kube *kube; /* held */
    enum shape shape;
    char *method, *path, *protocols, *content_type;
    struct tt_buf body;
    bool has_body, renewed;
    struct tt_op *call; /* the finished tx_api_call; held */
    struct tx_exchange *exchange;
    struct tx_stream *stream;
    char key[32];
};

static struct request *request_of(struct tt_op *op)
{
    return (struct request *)(void *)op;
}

static void send_it(struct tt_op *op, struct tt_op *login);

static void request_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&request_of(op)->chain, why);
}

static void request_free(struct tt_op *op)
{
    struct request *request = request_of(op);
    tt_op_release(request->call);
    tx_exchange_free(request->exchange);
    tx_stream_free(request->stream);
    if (request->body.data)
        explicit_bzero(request->body.data, request->body.length);
    tt_buf_free(&request->body);
    free(request->method);
    free(request->path);
    free(request->protocols);
    free(request->content_type);
    tx_kube_release(request->kube);
    free(request);
}

/* Whether the answer was 401 and fresh credentials are worth a try; then they are being got. */
static bool renew(struct request *request, int status)
{
    if (status != 401 || request->renewed || !tx_login_renewable(request->kube->login))
        return false;
    request->renewed = true;
    tx_exchange_free(request->exchange);
    tx_stream_free(request->stream);
    request->exchange = NULL;
    request->stream = NULL;
    tt_then(&request->chain, &request->op,
            tx_login_ready(request->kube->login, request->op.scope, true), send_it);
    return true;
}

static void on_called(struct tt_op *op, struct tt_op *call)
{
    struct request *request = request_of(op);
    if (renew(request, tx_api_status(call)))
        return;
    request->call = call;
    tt_op_retain(call);
    tt_op_finish(op, tt_error_copy(call->error));
}

static void on_refusal(struct tt_op *op, struct tt_op *read)
{
    struct request *request = request_of(op);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    int status = tx_exchange_status(request->exchange);
    tt_op_finish(op, tx_api_refusal(status, read->error ? "" : bytes->data,
                                    read->error ? 0 : bytes->length));
}

static void on_head(struct tt_op *op, struct tt_op *head)
{
    struct request *request = request_of(op);
    if (head->error)
        tt_op_finish(op, tt_error_copy(head->error));
    else if (tx_exchange_status(request->exchange) < 300)
        tt_op_finish(op, NULL);
    else if (!renew(request, tx_exchange_status(request->exchange)))
        tt_then(&request->chain, op, tx_exchange_read(request->exchange, op->scope, 16 << 10),
                on_refusal);
}

/* The proof that the far side speaks WebSocket, RFC 6455 section 4.2.2. */
static int check_accept(const struct request *request, struct tt_error **err)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[20];
    const struct tx_curl *curl = NULL;
    int rc = tx_curl_load(&curl, err);
    if (rc < 0 || !curl->sha1)
        return rc;
    char *text = tt_format("%s%s", request->key, guid);
    curl->sha1((const unsigned char *)text, strlen(text), digest);
    char *expected = tt_base64_encode(digest, sizeof digest);
    char *got = tx_stream_header(request->stream, "Sec-WebSocket-Accept");
    if (!got || strcmp(got, expected) != 0)
        rc = tt_fail(err, TT_IO, "the API's WebSocket handshake is wrong");
    free(text);
    free(expected);
    free(got);
    return rc;
}

/* The sub-protocol that the API chose has to be one of ours: another one frames otherwise. */
static int check_protocol(struct request *request, struct tt_error **err)
{
    char *chosen = tx_stream_header(request->stream, "Sec-WebSocket-Protocol");
    size_t length = chosen ? strlen(chosen) : 0;
    bool offered = false;
    for (const char *at = request->protocols; *at && !offered;) {
        size_t name = strcspn(at, ",");
        offered = length && name == length && strncmp(at, chosen, length) == 0;
        at += name + strspn(at + name, ", ");
    }
    int rc = offered ? 0
                     : tt_fail(err, TT_UNSUPPORTED, "the API speaks '%s' where '%s' was offered",
                               chosen ? chosen : "", request->protocols);
    if (offered && strstr(request->protocols, "v5."))
        request->kube->half_closes = strncmp(chosen, "v5.", 3) == 0;
    free(chosen);
    return rc;
}

static void on_socket(struct tt_op *op, struct tt_op *opened)
{
    struct request *request = request_of(op);
    if (opened->error) {
        tt_op_finish(op, tt_error_copy(opened->error));
        return;
    }
    request->stream = tx_stream_of(opened);
    int status = tx_stream_status(request->stream);
    if (renew(request, status))
        return;
    const struct tt_buf *body = tx_stream_body(request->stream);
    struct tt_error *err = NULL;
    if (status == 101) {
        if (check_accept(request, &err) == 0)
            check_protocol(request, &err);
    } else if (!(err = tx_api_refusal(status, body->data, body->length))) {
        err = tt_error_new(TT_IO, "the API did not open a WebSocket");
    }
    tt_op_finish(op, err);
}

static struct tt_op *open_socket(struct request *request)
{
    unsigned char random[16];
    struct tt_error *err = NULL;
    /* the system's numbers, for nobody may guess them: RFC 6455 wants that of keys and masks */
    if (TT_FAULT("k8s_api.random") || getrandom(random, sizeof random, 0) != sizeof random) {
        err = tt_error_new(TT_IO, "the system has no random numbers");
        return tt_op_finished_new(request->op.scope, err);
    }
    char *key = tt_base64_encode(random, sizeof random);
    snprintf(request->key, sizeof request->key, "%s", key);
    free(key);
    char *key_line = tt_format("Sec-WebSocket-Key: %s", request->key);
    char *protocol_line = tt_format("Sec-WebSocket-Protocol: %s", request->protocols);
    const char *headers[] = {"Connection: Upgrade",
                             "Upgrade: websocket",
                             "Sec-WebSocket-Version: 13",
                             key_line,
                             protocol_line,
                             NULL};
    struct tx_http_request get = {.method = "GET", .path = request->path, .headers = headers};
    struct tt_op *op = tx_stream_open(request->kube->http, request->op.scope, &get);
    free(key_line);
    free(protocol_line);
    return op;
}

static void send_it(struct tt_op *op, struct tt_op *login)
{
    struct request *request = request_of(op);
    struct tx_http *http = request->kube->http;
    struct tt_error *err = NULL;
    if (login->error) {
        tt_op_finish(op, tt_error_copy(login->error));
    } else if (request->shape == CALL) {
        struct tx_api_options options = {.content_type = request->content_type};
        tt_then(&request->chain, op,
                tx_api_send(http, op->scope, request->method, request->path,
                            request->has_body ? request->body.data : NULL, request->body.length,
                            &options),
                on_called);
    } else if (request->shape == SOCKET) {
        tt_then(&request->chain, op, open_socket(request), on_socket);
    } else {
        struct tx_http_request get = {.method = "GET", .path = request->path};
        if (tx_exchange_start(&request->exchange, http, &get, &err) < 0)
            tt_op_finish(op, err);
        else
            tt_then(&request->chain, op, tx_exchange_head(request->exchange, op->scope), on_head);
    }
}

static struct request *new_request(struct tx_kube *kube, struct tt_scope *scope, enum shape shape,
                                   const char *method, const char *path)
{
    static const struct tt_op_class class_ = {"Kubernetes API", request_cancel, request_free};
    struct request *request = tt_zalloc(sizeof *request);
    request->kube = kube;
    tx_kube_retain(kube);
    request->shape = shape;
    request->method = tt_strdup(method);
    request->path = tt_strdup(path);
    tt_op_init(&request->op, &class_, scope);
    return request;
}

static struct tt_op *begin(struct request *request)
{
    if (!tt_op_finished(&request->op))
        tt_then(&request->chain, &request->op,
                tx_login_ready(request->kube->login, request->op.scope, false), send_it);
    return &request->op;
}

struct tt_op *tx_kube_call(struct tx_kube *kube, struct tt_scope *scope, const char *method,
                           const char *path, json_t *body, const char *content_type)
{
    struct request *request = new_request(kube, scope, CALL, method, path);
    struct tt_error *err = NULL;
    request->content_type = content_type ? tt_strdup(content_type) : NULL;
    request->has_body = body != NULL;
    if (body && tt_json_dump(&request->body, body, 0, &err) < 0 && !tt_op_finished(&request->op))
        tt_op_finish(&request->op, err);
    json_decref(body);
    return begin(request);
}

const json_t *tx_kube_json(struct tt_op *op)
{
    struct request *request = request_of(op);
    return request->call ? tx_api_json(request->call) : NULL;
}

int tx_kube_status(struct tt_op *op)
{
    struct request *request = request_of(op);
    return request->call ? tx_api_status(request->call) : 0;
}

struct tt_op *tx_kube_open_exchange(struct tx_kube *kube, struct tt_scope *scope, const char *path)
{
    return begin(new_request(kube, scope, EXCHANGE, "GET", path));
}

struct tx_exchange *tx_kube_exchange_of(struct tt_op *op)
{
    struct tx_exchange *exchange = op->error ? NULL : request_of(op)->exchange;
    if (exchange)
        request_of(op)->exchange = NULL;
    return exchange;
}

struct tt_op *tx_kube_open_socket(struct tx_kube *kube, struct tt_scope *scope, const char *path,
                                  const char *protocols)
{
    struct request *request = new_request(kube, scope, SOCKET, "GET", path);
    request->protocols = tt_strdup(protocols);
    return begin(request);
}

struct tx_stream *tx_kube_socket_of(struct tt_op *op)
{
    struct tx_stream *stream = op->error ? NULL : request_of(op)->stream;
    if (stream)
        request_of(op)->stream = NULL;
    return stream;
}
