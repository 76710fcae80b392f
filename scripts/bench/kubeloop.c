/* Runs /bin/true in a pod N times by the bare API, the least that tells its output and its exit
 * code: kubeloop POD N, in the cluster and namespace of KUBECONFIG. Each command is a WebSocket,
 * and so a connection, of its own; TLS sessions are resumed. */
#include "core/base/buf.h"
#include "executors/http/curl.h"
#include "executors/http/ws.h"
#include "executors/k8s/exec.h"
#include "executors/k8s/kubeconfig.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tx_curl *curl;
static CURLcode (*easy_perform)(CURL *easy); /* which tutti itself does not use */

static void fail(const char *what)
{
    fprintf(stderr, "kubeloop: %s\n", what);
    exit(1);
}

static void on_piece(void *arg, unsigned char channel, const char *bytes, size_t length)
{
    if (channel == 3)
        tt_buf_add(arg, bytes, length);
}

static void set_pem(CURL *easy, const struct tx_pem *pem, CURLoption file, CURLoption blob)
{
    struct curl_blob bytes = {pem->data, pem->length, CURL_BLOB_COPY};
    if (pem->data)
        curl->easy_setopt(easy, blob, &bytes);
    else if (pem->file)
        curl->easy_setopt(easy, file, pem->file);
}

static CURL *new_easy(const struct tx_kube_config *config)
{
    CURL *easy = curl->easy_init();
    curl->easy_setopt(easy, CURLOPT_URL, config->http.base);
    curl->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl->easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl->easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    set_pem(easy, &config->http.ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
    set_pem(easy, &config->http.certificate, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
    set_pem(easy, &config->http.key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
    return easy;
}

static size_t receive(CURL *easy, curl_socket_t fd, char *to, size_t room)
{
    size_t got = 0;
    CURLcode code;
    while ((code = curl->easy_recv(easy, to, room, &got)) == CURLE_AGAIN) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 30000) != 1)
            fail("nothing comes");
    }
    return code == CURLE_OK ? got : 0;
}

static void run_once(CURL *easy, const struct tt_buf *request)
{
    static char text[64 << 10];
    size_t sent = 0, got = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (easy_perform(easy) != CURLE_OK ||
        curl->easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK)
        fail("no connection");
    if (curl->easy_send(easy, request->data, request->length, &sent) != CURLE_OK ||
        sent != request->length)
        fail("cannot send");
    char *body = NULL;
    while (!body) {
        size_t more = receive(easy, fd, text + got, sizeof text - 1 - got);
        if (!more)
            fail("the connection ended");
        got += more;
        text[got] = '\0';
        body = strstr(text, "\r\n\r\n");
    }
    if (strncmp(text, "HTTP/1.1 101", 12) != 0)
        fail(text);
    struct tt_buf status = {0};
    struct tx_ws *ws;
    body += 4;
    size_t length = got - (size_t)(body - text);
    if (tx_ws_new(&ws, on_piece, &status, NULL) < 0)
        fail("no WebSocket");
    while (tx_ws_feed(ws, body, length, NULL) == 0 && !tx_ws_closed(ws) && !status.length) {
        body = text;
        if (!(length = receive(easy, fd, text, sizeof text)))
            break;
    }
    struct tx_pod_status end;
    tx_pod_status_read(&end, status.data ? status.data : "", status.length);
    if (end.code != 0)
        fail("it did not succeed");
    tx_ws_free(ws);
    tt_buf_free(&status);
}

int main(int argc, char **argv)
{
    struct tx_kube_config config = {0};
    struct tx_kube_where where = {0};
    struct tt_error *err = NULL;
    if (argc != 3)
        fail("POD N");
    if (tx_kube_config_find(&config, &where, &err) < 0 || tx_curl_load(&curl, &err) < 0)
        fail(err->message);
    easy_perform =
        (__typeof__(easy_perform))dlsym(dlopen("libcurl.so.4", RTLD_NOW), "curl_easy_perform");
    if (!easy_perform)
        fail("no libcurl");
    if (!config.token)
        fail("only tokens");
    struct tx_pod pod = {NULL, config.name_space, argv[1], NULL, NULL, NULL};
    const char *const words[] = {"/bin/true", NULL};
    char *path = tx_pod_exec_path(&pod, words, false, false);
    struct tt_buf request = {0};
    tt_buf_format(&request,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                  "Sec-WebSocket-Protocol: %s\r\nAuthorization: Bearer %s\r\n\r\n",
                  path, strstr(config.http.base, "://") + 3, tx_pod_protocols, config.token);
    CURL *easy = new_easy(&config);
    for (long n = strtol(argv[2], NULL, 10); n > 0; n--)
        run_once(easy, &request);
    curl->easy_cleanup(easy);
    tt_buf_free(&request);
    free(path);
    tx_kube_config_clear(&config);
    return 0;
}
