#include "executors/http/http.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "executors/http/internal.h"

#include <stdlib.h>
#include <string.h>

struct tx_http {
    const struct tx_curl *curl;
    struct tt_loop *loop;
    struct tx_http_config config;
    CURLM *multi;
    CURLSH *share;                 /* TLS sessions */
    struct tx_transfer *transfers; /* under way */
    struct tt_timer timer;         /* libcurl's */
    char *authorization;
    char *host;
    const char *prefix; /* inside config.base */
    bool loopback;
    bool kicking; /* inside multi_socket_action */
    unsigned refs;
};

/* One socket that libcurl waits on. Freed when libuv closed the handle. */
struct watch {
    uv_poll_t poll;
    struct tx_http *http;
    curl_socket_t fd;
};

static void pem_clear(struct tx_pem *pem)
{
    free(pem->file);
    if (pem->data)
        explicit_bzero(pem->data, pem->length);
    free(pem->data);
}

void tx_http_config_clear(struct tx_http_config *config)
{
    free(config->base);
    free(config->unix_socket);
    pem_clear(&config->ca);
    pem_clear(&config->certificate);
    pem_clear(&config->key);
    free(config->server_name);
    free(config->proxy);
    *config = (struct tx_http_config){0};
}

/* --- libcurl on the loop --- */

static void reap_done(struct tx_http *http)
{
    int left;
    for (CURLMsg *message; (message = http->curl->multi_info_read(http->multi, &left));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct tx_transfer *transfer = NULL;
        CURLcode code = message->data.result;
        http->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        transfer->done(transfer, code);
    }
}

static void kick(struct tx_http *http, curl_socket_t fd, int events)
{
    int running;
    tx_http_retain(http);
    CURLMcode code = http->curl->multi_socket_action(http->multi, fd, events, &running);
    reap_done(http);
    if (code != CURLM_OK) /* a socket could not be watched: libcurl gives everything up */
        for (struct tx_transfer *t = http->transfers; t; t = t->next)
            t->done(t, CURLE_FAILED_INIT);
    tx_http_release(http);
}

static void on_timer(struct tt_timer *timer)
{
    struct tx_http *http = tt_owner(timer, struct tx_http, timer);
    kick(http, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct tx_http *http = arg;
    if (ms < 0)
        tt_timer_stop(http->loop, &http->timer);
    else
        tt_timer_start(http->loop, &http->timer, tt_deadline_after(tt_loop_now(http->loop), ms),
                       on_timer);
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    kick(watch->http, watch->fd, flags);
}

static void watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void watch_end(struct watch *watch)
{
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    (void)easy;
    struct tx_http *http = arg;
    struct watch *watch = socket;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            watch_end(watch);
        http->curl->multi_assign(http->multi, fd, NULL);
        return 0;
    }
    if (!watch) {
        watch = tt_zalloc(sizeof *watch);
        watch->http = http;
        watch->fd = fd;
        if (TT_FAULT("http.poll") ||
            uv_poll_init_socket(tt_loop_uv(http->loop), &watch->poll, fd) < 0) {
            free(watch);
            return -1;
        }
        watch->poll.data = watch;
        http->curl->multi_assign(http->multi, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

/* --- the endpoint --- */

static bool is_loopback(const char *host)
{
    return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

static int split_base(struct tx_http *http, struct tt_error **err)
{
    const char *scheme = strstr(http->config.base, "://");
    if (!scheme)
        return tt_fail(err, TT_INVALID, "'%s' is no URL", http->config.base);
    const char *host = scheme + 3;
    http->prefix = host + strcspn(host, "/");
    http->host = tt_strndup(host, (size_t)(http->prefix - host));
    http->loopback = is_loopback(http->host);
    return 0;
}

static int make_multi(struct tx_http *http, struct tt_error **err)
{
    http->multi = TT_FAULT("http.multi") ? NULL : http->curl->multi_init();
    if (!http->multi)
        return tt_fail(err, TT_IO, "libcurl has no memory");
    http->curl->multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    http->curl->multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    http->curl->multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    http->curl->multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    http->curl->multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    http->curl->multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 8L);
    /* streams have connections of their own: they resume the TLS session of the ones before */
    http->share = TT_FAULT("http.share") ? NULL : http->curl->share_init();
    if (!http->share)
        return tt_fail(err, TT_IO, "libcurl has no memory");
    http->curl->share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return 0;
}

int tx_http_new(struct tx_http **out, struct tt_loop *loop, struct tx_http_config *config,
                struct tt_error **err)
{
    struct tx_http *http = tt_zalloc(sizeof *http);
    http->refs = 1;
    http->loop = loop;
    http->config = *config;
    *config = (struct tx_http_config){0};
    int rc = tx_curl_load(&http->curl, err);
    if (rc == 0)
        rc = split_base(http, err);
    if (rc == 0)
        rc = make_multi(http, err);
    if (rc == 0)
        *out = http;
    else
        tx_http_release(http);
    return rc;
}

void tx_http_retain(struct tx_http *http)
{
    http->refs++;
}

void tx_http_release(struct tx_http *http)
{
    if (!http || --http->refs > 0)
        return;
    if (http->multi)
        http->curl->multi_cleanup(http->multi);
    if (http->share)
        http->curl->share_cleanup(http->share);
    tt_timer_stop(http->loop, &http->timer);
    tx_http_config_clear(&http->config);
    if (http->authorization)
        explicit_bzero(http->authorization, strlen(http->authorization));
    free(http->authorization);
    free(http->host);
    free(http);
}

void tx_http_authorize(struct tx_http *http, const char *value)
{
    free(http->authorization);
    http->authorization = value ? tt_strdup(value) : NULL;
}

const struct tx_curl *tx_http_curl(const struct tx_http *http)
{
    return http->curl;
}

struct tt_loop *tx_http_loop(const struct tx_http *http)
{
    return http->loop;
}

const char *tx_http_authorization(const struct tx_http *http)
{
    return http->authorization;
}

const char *tx_http_host(const struct tx_http *http)
{
    return http->host;
}

const char *tx_http_prefix(const struct tx_http *http)
{
    return http->prefix;
}

/* --- transfers --- */

static void set_pem(const struct tx_curl *curl, CURL *easy, const struct tx_pem *pem,
                    CURLoption file, CURLoption blob)
{
    struct curl_blob bytes = {pem->data, pem->length, CURL_BLOB_COPY};
    if (pem->data)
        curl->easy_setopt(easy, blob, &bytes);
    else if (pem->file)
        curl->easy_setopt(easy, file, pem->file);
}

/* A certificate made for another name: the URL carries that name, the connection goes to ours. */
static char *url_of(const struct tx_http *http, const char *path)
{
    const struct tx_http_config *config = &http->config;
    if (!config->server_name)
        return tt_format("%s%s", config->base, path);
    const char *port = strrchr(http->host, ':');
    if (port && strchr(port, ']'))
        port = NULL;
    return tt_format("https://%s%s%s%s", config->server_name, port ? port : "", http->prefix, path);
}

static void set_tls(struct tx_transfer *transfer)
{
    const struct tx_http *http = transfer->http;
    const struct tx_http_config *config = &http->config;
    CURL *easy = transfer->easy;
    if (config->server_name) {
        char *route = tt_format("::%s", http->host);
        transfer->route = http->curl->slist_append(NULL, route);
        http->curl->easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->route);
        free(route);
    }
    set_pem(http->curl, easy, &config->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
    set_pem(http->curl, easy, &config->certificate, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
    set_pem(http->curl, easy, &config->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
    if (config->insecure) {
        http->curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        http->curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

int tx_transfer_init(struct tx_transfer *transfer, struct tx_http *http, const char *path,
                     struct tt_error **err)
{
    const struct tx_curl *curl = http->curl;
    CURL *easy = TT_FAULT("http.easy") ? NULL : curl->easy_init();
    if (!easy)
        return tt_fail(err, TT_IO, "libcurl has no memory");
    transfer->easy = easy;
    transfer->http = http;
    tx_http_retain(http);
    char *url = url_of(http, path);
    curl->easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    curl->easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl->easy_setopt(easy, CURLOPT_SHARE, http->share);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 15000L);
    curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl->easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl->easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    if (http->config.unix_socket)
        curl->easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->config.unix_socket);
    if (http->config.proxy)
        curl->easy_setopt(easy, CURLOPT_PROXY, http->config.proxy);
    else if (http->loopback || http->config.unix_socket)
        curl->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    set_tls(transfer);
    return 0;
}

int tx_transfer_begin(struct tx_transfer *transfer, struct tt_error **err)
{
    struct tx_http *http = transfer->http;
    CURLMcode code = TT_FAULT("http.add")
                         ? CURLM_OUT_OF_MEMORY
                         : http->curl->multi_add_handle(http->multi, transfer->easy);
    if (code != CURLM_OK)
        return tt_fail(err, TT_IO, "libcurl: %s", http->curl->multi_strerror(code));
    transfer->added = true;
    transfer->next = http->transfers;
    if (transfer->next)
        transfer->next->previous = transfer;
    http->transfers = transfer;
    return 0;
}

void tx_transfer_clear(struct tx_transfer *transfer)
{
    struct tx_http *http = transfer->http;
    if (!http)
        return;
    if (transfer->added) {
        if (transfer->previous)
            transfer->previous->next = transfer->next;
        else
            http->transfers = transfer->next;
        if (transfer->next)
            transfer->next->previous = transfer->previous;
        http->curl->multi_remove_handle(http->multi, transfer->easy);
    }
    http->curl->easy_cleanup(transfer->easy);
    http->curl->slist_free_all(transfer->route);
    transfer->http = NULL;
    transfer->easy = NULL;
    tx_http_release(http);
}

static bool was_sent(const struct tx_transfer *transfer)
{
    curl_off_t before = 0;
    transfer->http->curl->easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &before);
    return before > 0;
}

static const char *place(const struct tx_http *http)
{
    return http->config.unix_socket ? http->config.unix_socket : http->config.base;
}

struct tt_error *tx_transfer_error(const struct tx_transfer *transfer, CURLcode code)
{
    const char *text =
        transfer->curl_text[0] ? transfer->curl_text : transfer->http->curl->easy_strerror(code);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return tt_error_new(TT_HOST_KEY, "%s: certificate not accepted: %s", place(transfer->http),
                            text);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return tt_error_new(TT_AUTH, "%s: %s", place(transfer->http), text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return tt_error_new(TT_INVALID, "%s: %s", place(transfer->http), text);
    default:
        return tt_error_new(was_sent(transfer) ? TT_LOST : TT_CONNECT, "%s: %s",
                            place(transfer->http), text);
    }
}

struct tt_error *tx_transfer_silence(const struct tx_transfer *transfer, int64_t ms)
{
    return tt_error_new(was_sent(transfer) ? TT_LOST : TT_CONNECT, "%s: no answer within %gs",
                        place(transfer->http), (double)ms / 1000);
}

void tx_url_escape(struct tt_buf *to, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            tt_buf_add(to, text, 1);
        else
            tt_buf_format(to, "%%%02X", (unsigned char)*text);
    }
}

char *tx_url_without_user(const char *text)
{
    const char *slashes = strstr(text, "://");
    size_t before = slashes ? (size_t)(slashes - text) + 3 : 0;
    size_t authority = slashes ? strcspn(text + before, "/?#|") : 0;
    const char *at = slashes ? memrchr(text + before, '@', authority) : NULL;
    return at ? tt_format("%.*s%s", (int)before, text, at + 1) : tt_strdup(text);
}
