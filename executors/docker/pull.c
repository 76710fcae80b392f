#include "executors/docker/pull.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "core/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { piece = 32 << 10, longest_line = 4 << 20 };

/* --- replies made of lines --- */

struct lines {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_exchange *exchange;
    struct tt_buf text;
    tx_docker_progress *progress;
    void *arg;
};

static struct lines *lines_of(struct tt_op *op)
{
    return (struct lines *)(void *)op;
}

static void lines_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&lines_of(op)->chain, why);
}

static void lines_free(struct tt_op *op)
{
    tx_exchange_free(lines_of(op)->exchange);
    tt_buf_free(&lines_of(op)->text);
    free(op);
}

enum tt_kind tx_docker_progress_kind(const char *message)
{
    if (strstr(message, "not found") || strstr(message, "manifest unknown") ||
        strstr(message, "does not exist"))
        return TT_NOT_FOUND;
    if (strstr(message, "unauthorized") || strstr(message, "authentication required"))
        return TT_AUTH;
    if (strstr(message, "denied"))
        return TT_PERMISSION;
    if (strstr(message, "dial tcp") || strstr(message, "i/o timeout") ||
        strstr(message, "no such host"))
        return TT_CONNECT;
    return TT_IO;
}

static int read_line(struct lines *lines, const char *text, size_t length, struct tt_error **err)
{
    json_t *line = NULL;
    int rc = tt_json_parse(&line, text, length, "the daemon's progress", err);
    if (rc < 0) {
        (*err)->kind = TT_IO;
        return -TT_IO;
    }
    const char *message = tx_json_text(line, "error");
    if (*message)
        rc = tt_fail(err, tx_docker_progress_kind(message), "%s", message);
    else if (lines->progress)
        lines->progress(lines->arg, line);
    json_decref(line);
    return rc;
}

static int read_lines(struct lines *lines, struct tt_error **err)
{
    int rc = 0;
    while (rc == 0 && lines->text.length) {
        const char *stop = memchr(lines->text.data, '\n', lines->text.length);
        if (!stop)
            return lines->text.length > longest_line
                       ? tt_fail(err, TT_IO, "the daemon's progress has too long a line")
                       : 0;
        size_t length = (size_t)(stop - lines->text.data);
        if (strspn(lines->text.data, " \r\n\t") < length)
            rc = read_line(lines, lines->text.data, length, err);
        tt_buf_drop(&lines->text, length + 1);
    }
    return rc;
}

static void on_bytes(struct tt_op *op, struct tt_op *read)
{
    struct lines *lines = lines_of(op);
    struct tt_error *err = tt_error_copy(read->error);
    const struct tt_bytes *bytes = tt_bytes_of(read);
    int status = tx_exchange_status(lines->exchange);
    if (!err && bytes->length) {
        tt_buf_add(&lines->text, bytes->data, bytes->length);
        if (status < 300)
            read_lines(lines, &err);
    }
    bool end = !err && !bytes->length;
    if (end && status >= 300) {
        err = tx_api_refusal(status, lines->text.data, lines->text.length);
        err->kind = err->kind == TT_IO ? tx_docker_progress_kind(err->message) : err->kind;
    }
    if (end && !err && lines->text.length)
        read_line(lines, lines->text.data, lines->text.length, &err);
    if (err || end)
        tt_op_finish(op, err);
    else
        tt_then(&lines->chain, op, tx_exchange_read(lines->exchange, op->scope, piece), on_bytes);
}

static void on_head(struct tt_op *op, struct tt_op *head)
{
    struct lines *lines = lines_of(op);
    if (head->error)
        tt_op_finish(op, tt_error_copy(head->error));
    else
        tt_then(&lines->chain, op, tx_exchange_read(lines->exchange, op->scope, piece), on_bytes);
}

struct tt_op *tx_docker_lines(struct tx_docker *docker, struct tt_scope *scope, const char *path,
                              const char *const *headers, const void *body, size_t length,
                              tx_docker_progress *progress, void *arg)
{
    static const struct tt_op_class class_ = {"docker", lines_cancel, lines_free};
    struct lines *lines = tt_zalloc(sizeof *lines);
    lines->progress = progress;
    lines->arg = arg;
    tt_op_init(&lines->op, &class_, scope);
    if (tt_op_finished(&lines->op))
        return &lines->op;
    struct tx_http_request request = {.method = "POST",
                                      .path = path,
                                      .headers = headers,
                                      .body = body,
                                      .length = length,
                                      .patience = TT_NEVER};
    struct tt_error *err = NULL;
    if (tx_exchange_start(&lines->exchange, tx_docker_http(docker), &request, &err) < 0)
        tt_op_finish(&lines->op, err);
    else
        tt_then(&lines->chain, &lines->op, tx_exchange_head(lines->exchange, scope), on_head);
    return &lines->op;
}

/* --- pull --- */

/* The registry's name in an image's: "ghcr.io/x/y:z" has one, "library/x" has not. */
static char *registry_of(const char *image)
{
    size_t length = strcspn(image, "/");
    bool named = image[length] && (memchr(image, '.', length) || memchr(image, ':', length) ||
                                   strncmp(image, "localhost/", 10) == 0);
    return named ? tt_strndup(image, length) : tt_strdup("https://index.docker.io/v1/");
}

/* The X-Registry-Auth header from the configuration's `auths`; NULL: none. */
static char *registry_auth(const char *image)
{
    const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
    char *path = folder && *folder ? tt_format("%s/config.json", folder)
                                   : tt_format("%s/.docker/config.json", home ? home : "");
    json_error_t ignored;
    json_t *config = json_load_file(path, 0, &ignored);
    char *registry = registry_of(image), *header = NULL;
    const json_t *auth = json_object_get(json_object_get(config, "auths"), registry);
    size_t length = 0;
    char *pair =
        *tx_json_text(auth, "auth") ? tt_base64_decode(tx_json_text(auth, "auth"), &length) : NULL;
    char *colon = pair ? strchr(pair, ':') : NULL;
    if (colon) {
        *colon = 0;
        json_t *value = json_pack("{s:s, s:s, s:s}", "username", pair, "password", colon + 1,
                                  "serveraddress", registry);
        char *text = json_dumps(value, JSON_COMPACT);
        char *encoded = text ? tt_base64_encode(text, strlen(text)) : NULL;
        for (char *c = encoded; c && *c; c++) /* the daemon wants the URL's alphabet */
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        header = encoded ? tt_format("X-Registry-Auth: %s", encoded) : NULL;
        free(encoded);
        free(text);
        json_decref(value);
    }
    if (pair)
        explicit_bzero(pair, length);
    free(pair);
    free(registry);
    free(path);
    json_decref(config);
    return header;
}

/* A digest or a tag after the last slash; without one "latest", or the daemon would get them all.
 */
static bool has_tag(const char *image)
{
    const char *slash = strrchr(image, '/');
    return strpbrk(slash ? slash : image, ":@") != NULL;
}

char *tx_docker_pull_request(const char *image, const char *platform, char **header)
{
    struct tt_buf path = {0};
    tt_buf_text(&path, "/images/create?fromImage=");
    tx_url_escape(&path, image);
    if (!has_tag(image))
        tt_buf_text(&path, "&tag=latest");
    if (platform) {
        tt_buf_text(&path, "&platform=");
        tx_url_escape(&path, platform);
    }
    *header = registry_auth(image);
    return tt_buf_take(&path);
}

struct tt_op *tx_docker_pull(struct tx_docker *docker, struct tt_scope *scope, const char *image,
                             const char *platform, tx_docker_progress *progress, void *arg)
{
    char *auth, *path = tx_docker_pull_request(image, platform, &auth);
    const char *headers[] = {auth, NULL};
    struct tt_op *op = tx_docker_lines(docker, scope, path, headers, NULL, 0, progress, arg);
    if (auth)
        explicit_bzero(auth, strlen(auth));
    free(auth);
    free(path);
    return op;
}
