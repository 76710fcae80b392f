#include "executors/docker/api.h"

#include "core/base/alloc.h"
#include "core/base/digest.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/local.h"
#include "executors/docker/events.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { max_config = 1 << 20 };

/* --- finding the daemon --- */

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *config_folder(void)
{
    const char *folder = setting("DOCKER_CONFIG");
    const char *home = setting("HOME");
    return folder ? tt_strdup(folder) : tt_format("%s/.docker", home ? home : "");
}

static char *regular(char *path)
{
    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static void use_certificates(struct tx_http_config *config, const char *folder)
{
    config->ca.file = regular(tt_format("%s/ca.pem", folder));
    config->certificate.file = regular(tt_format("%s/cert.pem", folder));
    config->key.file = regular(tt_format("%s/key.pem", folder));
}

static char *replace_scheme(const char *host, const char *scheme)
{
    const char *rest = strstr(host, "://") + 3;
    size_t length = strlen(rest);
    while (length && rest[length - 1] == '/')
        length--;
    return tt_format("%s://%.*s", scheme, (int)length, rest);
}

/* Understands a host's text; TLS when `tls` asks for it or the scheme is https. */
static int use_host(const char *host, bool tls, struct tx_http_config *config, char **address,
                    struct tt_error **err)
{
    if (strncmp(host, "unix://", 7) == 0 && host[7] == '/') {
        config->base = tt_strdup("http://docker");
        config->unix_socket = tt_strdup(host + 7);
    } else if (strncmp(host, "tcp://", 6) == 0 && host[6]) {
        config->base = replace_scheme(host, tls ? "https" : "http");
    } else if (strncmp(host, "http://", 7) == 0 || strncmp(host, "https://", 8) == 0) {
        config->base = replace_scheme(host, host[4] == 's' || tls ? "https" : "http");
    } else if (strncmp(host, "ssh://", 6) == 0 || strncmp(host, "npipe://", 8) == 0) {
        return tt_fail(err, TT_UNSUPPORTED, "the Docker host %s: only unix:// and tcp://", host);
    } else {
        return tt_fail(err, TT_INVALID, "'%s' is no Docker host: unix:///PATH or tcp://HOST:PORT",
                       host);
    }
    *address = tt_strdup(host);
    return 0;
}

static bool wants_tls(void)
{
    return setting("DOCKER_TLS_VERIFY") || setting("DOCKER_TLS");
}

static int use_environment(const char *host, const char *cert_path, struct tx_http_config *config,
                           char **address, struct tt_error **err)
{
    bool tls = cert_path || wants_tls();
    int rc = use_host(host, tls, config, address, err);
    if (rc < 0 || !config->base || config->unix_socket || strncmp(config->base, "https:", 6) != 0)
        return rc;
    char *folder = cert_path                     ? tt_strdup(cert_path)
                   : setting("DOCKER_CERT_PATH") ? tt_strdup(setting("DOCKER_CERT_PATH"))
                                                 : config_folder();
    use_certificates(config, folder);
    config->insecure = !cert_path && !setting("DOCKER_TLS_VERIFY") && setting("DOCKER_TLS");
    free(folder);
    return 0;
}

/* The JSON in a file; NULL without an error when there is no such file. */
static json_t *read_json(const char *path, struct tt_error **err)
{
    struct tt_buf text = {0};
    json_t *json = NULL;
    if (tt_read_whole(path, max_config, &text, NULL) == 0)
        tt_json_parse(&json, text.data ? text.data : "", text.length, path, err);
    tt_buf_free(&text);
    return json;
}

static int use_context(const char *name, struct tx_http_config *config, char **address,
                       struct tt_error **err)
{
    char id[tt_digest_hex_size];
    int rc = tt_digest_bytes(name, strlen(name), id, err);
    if (rc < 0)
        return rc;
    char *folder = config_folder();
    char *path = tt_format("%s/contexts/meta/%s/meta.json", folder, id);
    char *certificates = tt_format("%s/contexts/tls/%s/docker", folder, id);
    json_t *meta = read_json(path, err);
    const json_t *endpoint = tx_json_at(meta, "Endpoints.docker");
    const char *host = tx_json_text(endpoint, "Host");
    if (err && *err) {
        rc = -(int)(*err)->kind;
    } else if (!meta) {
        rc = tt_fail(err, TT_NOT_FOUND, "there is no Docker context '%s' (%s)", name, path);
    } else {
        rc = use_host(host, access(certificates, R_OK) == 0, config, address, err);
        if (rc == 0 && !config->unix_socket)
            use_certificates(config, certificates);
        config->insecure = json_is_true(json_object_get(endpoint, "SkipTLSVerify"));
    }
    json_decref(meta);
    free(certificates);
    free(path);
    free(folder);
    return rc;
}

/* The context that the configuration names; NULL: none. */
static char *current_context(struct tt_error **err)
{
    char *folder = config_folder();
    char *path = tt_format("%s/config.json", folder);
    json_t *json = read_json(path, err);
    const char *name = tx_json_text(json, "currentContext");
    char *copy = *name ? tt_strdup(name) : NULL;
    json_decref(json);
    free(path);
    free(folder);
    return copy;
}

static char *default_socket(void)
{
    static const char docker[] = "/var/run/docker.sock";
    const char *runtime = setting("XDG_RUNTIME_DIR");
    if (access(docker, F_OK) != 0) {
        char *mine = regular(tt_format("%s/podman/podman.sock", runtime ? runtime : "/run"));
        if (!mine)
            mine = regular(tt_strdup("/run/podman/podman.sock"));
        if (mine) {
            char *host = tt_format("unix://%s", mine);
            free(mine);
            return host;
        }
    }
    return tt_format("unix://%s", docker);
}

int tx_docker_find(const struct tx_docker_where *where, struct tx_http_config *config,
                   char **address, struct tt_error **err)
{
    struct tt_error *wrong = NULL;
    int rc;
    const char *host = where->host ? where->host : where->context ? NULL : setting("DOCKER_HOST");
    if (host)
        return use_environment(host, where->cert_path, config, address, err);
    char *name = where->context              ? tt_strdup(where->context)
                 : setting("DOCKER_CONTEXT") ? tt_strdup(setting("DOCKER_CONTEXT"))
                                             : current_context(&wrong);
    if (wrong) {
        rc = -(int)wrong->kind;
        if (err)
            *err = wrong;
        else
            tt_error_free(wrong);
    } else if (name && strcmp(name, "default") != 0) {
        rc = use_context(name, config, address, err);
    } else {
        char *standard = default_socket();
        rc = use_environment(standard, where->cert_path, config, address, err);
        free(standard);
    }
    free(name);
    return rc;
}

/* --- the shared connection --- */

struct tx_docker {
    struct tt_loop *loop;
    struct tx_http *http;
    char *address;
    char *key; /* address and certificates */
    char *identity;
    struct tx_docker_events *events;
    struct tx_docker *next;
    unsigned refs;
};

/* The daemons that the loop speaks to. */
static struct tx_docker **daemons_of(struct tt_loop *loop)
{
    static const struct tt_slot slot = {.size = sizeof(struct tx_docker *)};
    return tt_loop_slot(loop, &slot);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

int tx_docker_open(struct tx_docker **out, struct tt_loop *loop,
                   const struct tx_docker_where *where, struct tt_error **err)
{
    struct tx_http_config config = {0};
    char *address = NULL;
    int rc = tx_docker_find(where, &config, &address, err);
    if (rc < 0) {
        tx_http_config_clear(&config);
        return rc;
    }
    char *key =
        tt_format("%s|%s|%s|%s|%d", address, or_empty(config.ca.file),
                  or_empty(config.certificate.file), or_empty(config.key.file), config.insecure);
    struct tx_docker **daemons = daemons_of(loop), *docker = *daemons;
    while (docker && strcmp(docker->key, key) != 0)
        docker = docker->next;
    if (docker) {
        docker->refs++;
    } else {
        docker = tt_zalloc(sizeof *docker);
        docker->refs = 1;
        docker->loop = loop;
        docker->address = tt_strdup(address);
        docker->key = tt_strdup(key);
        docker->identity = tx_url_without_user(key);
        docker->next = *daemons;
        *daemons = docker;
        rc = tx_http_new(&docker->http, loop, &config, err);
    }
    tx_http_config_clear(&config);
    free(address);
    free(key);
    if (rc < 0)
        tx_docker_release(docker);
    else
        *out = docker;
    return rc;
}

void tx_docker_retain(struct tx_docker *docker)
{
    docker->refs++;
}

void tx_docker_release(struct tx_docker *docker)
{
    if (!docker || --docker->refs > 0)
        return;
    struct tx_docker **at = daemons_of(docker->loop);
    while (*at != docker)
        at = &(*at)->next;
    *at = docker->next;
    tx_docker_events_free(docker->events);
    tx_http_release(docker->http);
    free(docker->address);
    free(docker->key);
    free(docker->identity);
    free(docker);
}

struct tx_http *tx_docker_http(const struct tx_docker *docker)
{
    return docker->http;
}

const char *tx_docker_address(const struct tx_docker *docker)
{
    return docker->address;
}

const char *tx_docker_identity(const struct tx_docker *docker)
{
    return docker->identity;
}

bool tx_docker_is_local(const struct tx_docker *docker)
{
    return strncmp(docker->address, "unix://", 7) == 0;
}

struct tx_docker_events **tx_docker_events_place(struct tx_docker *docker)
{
    return &docker->events;
}
