#include "executors/k8s/login.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/env/proc.h"
#include "core/env/registry.h"
#include "executors/http/api.h"
#include "executors/k8s/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { file_age_ms = 60000, plugin_ms = 60000, early_ms = 10000, max_token = 64 << 10 };

struct waiter {
    struct tt_op op;
    struct tx_login *login;
    struct tt_error *gone; /* it was cancelled, and waits for the plugin's end alone */
    struct waiter *next;
};

struct tx_login {
    struct tt_loop *loop;
    struct tx_kube_config *config;
    struct tx_http **http;
    struct tt_scope *scope;
    struct tt_op *plugin; /* it runs */
    struct waiter *waiters;
    int64_t until; /* by tt_loop_now; what we have is good until then; 0: nothing yet */
};

/* --- plain credentials --- */

static void bearer(struct tx_login *login, const char *token)
{
    char *value = tt_format("Bearer %.*s", (int)strcspn(token, "\r\n"), token);
    tx_http_authorize(*login->http, value);
    explicit_bzero(value, strlen(value));
    free(value);
}

static void basic(struct tx_login *login)
{
    const struct tx_kube_config *config = login->config;
    char *pair = tt_format("%s:%s", config->user, config->password ? config->password : "");
    char *encoded = tt_base64_encode(pair, strlen(pair));
    char *value = tt_format("Basic %s", encoded);
    tx_http_authorize(*login->http, value);
    explicit_bzero(pair, strlen(pair));
    explicit_bzero(encoded, strlen(encoded));
    explicit_bzero(value, strlen(value));
    free(pair);
    free(encoded);
    free(value);
}

static int read_token(struct tx_login *login, struct tt_error **err)
{
    const char *path = login->config->token_file;
    char token[max_token];
    int fd = TT_FAULT("k8s_login.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, token, sizeof token - 1);
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0) {
        int rc = tt_fail_errno(err, errnum, "the token in %s", path);
        (*err)->kind = TT_AUTH;
        return rc;
    }
    token[got] = 0;
    bearer(login, token);
    explicit_bzero(token, (size_t)got);
    login->until = tt_deadline_after(tt_loop_now(login->loop), file_age_ms);
    return 0;
}

/* --- plugins --- */

static void tell_all(struct tx_login *login, struct tt_error *err)
{
    for (struct waiter *waiter; (waiter = login->waiters);) {
        login->waiters = waiter->next;
        tt_op_finish(&waiter->op, tt_error_copy(err));
    }
    tt_error_free(err);
}

static int use_certificate(struct tx_login *login, const char *certificate, const char *key,
                           struct tt_error **err)
{
    const struct tx_http_config *old = &login->config->http;
    struct tx_http_config fresh = {
        .base = tt_strdup(old->base),
        .insecure = old->insecure,
        .server_name = old->server_name ? tt_strdup(old->server_name) : NULL,
        .proxy = old->proxy ? tt_strdup(old->proxy) : NULL,
        .ca = {.file = old->ca.file ? tt_strdup(old->ca.file) : NULL, .length = old->ca.length},
        .certificate = {.data = tt_strdup(certificate), .length = strlen(certificate)},
        .key = {.data = tt_strdup(key), .length = strlen(key)}};
    if (old->ca.data)
        fresh.ca.data = tt_strndup(old->ca.data, old->ca.length);
    struct tx_http *http = NULL;
    int rc = tx_http_new(&http, login->loop, &fresh, err);
    if (rc == 0) {
        tx_http_release(*login->http);
        *login->http = http;
    }
    tx_http_config_clear(&fresh);
    return rc;
}

/* Milliseconds from now until that RFC 3339 time; 0 for what is none. */
static int64_t ms_until(const struct tx_login *login, const char *timestamp)
{
    struct tm when = {0}, ahead = {0}; /* of UTC */
    const char *zone = strptime(timestamp, "%Y-%m-%dT%H:%M:%S", &when);
    if (!zone)
        return 0;
    if (*zone == '.')
        zone += 1 + strspn(zone + 1, "0123456789");
    if (*zone && strcasecmp(zone, "Z") != 0 && !strptime(zone + 1, "%H:%M", &ahead))
        return 0;
    int64_t seconds = ahead.tm_hour * 3600 + ahead.tm_min * 60;
    return ((int64_t)timegm(&when) - (*zone == '-' ? -seconds : seconds)) * 1000 -
           tt_loop_wall(login->loop);
}

static int check_version(const struct tx_login *login, const json_t *json, struct tt_error **err)
{
    const char *want = tx_json_text(login->config->exec, "apiVersion");
    const char *got = tx_json_text(json, "apiVersion");
    if (strcmp(tx_json_text(json, "kind"), "ExecCredential") == 0 && strcmp(got, want) == 0)
        return 0;
    return tt_fail(err, TT_AUTH, "it gave no ExecCredential of %s, but '%s' of '%s'", want,
                   tx_json_text(json, "kind"), got);
}

static int use_credential(struct tx_login *login, const struct tt_buf *text, struct tt_error **err)
{
    json_t *json = NULL;
    int rc = tt_json_parse(&json, text->data ? text->data : "", text->length,
                           "the credential plugin's output", err);
    const json_t *status = json_object_get(json, "status");
    const char *token = tx_json_text(status, "token");
    const char *certificate = tx_json_text(status, "clientCertificateData");
    const char *key = tx_json_text(status, "clientKeyData");
    const char *expires = tx_json_text(status, "expirationTimestamp");
    if (rc == 0)
        rc = check_version(login, json, err);
    if (rc == 0 && !*token && !*certificate)
        rc = tt_fail(err, TT_AUTH, "it gave neither a token nor a certificate");
    if (rc == 0 && *certificate && !*key)
        rc = tt_fail(err, TT_AUTH, "it gave a certificate without its key");
    if (rc == 0 && *certificate)
        rc = use_certificate(login, certificate, key, err);
    if (rc == 0 && *token)
        bearer(login, token);
    if (rc == 0)
        login->until = *expires ? tt_deadline_after(tt_loop_now(login->loop),
                                                    ms_until(login, expires) - early_ms)
                                : TT_NEVER;
    json_decref(json);
    return rc;
}

static void run_plugin(struct tx_login *login);

/* Nobody waited any more, so the plugin was ended. Who came in the meantime gets another run. */
static void on_given_up(struct tx_login *login)
{
    struct waiter *gone = NULL;
    for (struct waiter **at = &login->waiters; *at;) {
        struct waiter *waiter = *at;
        if (waiter->gone) {
            *at = waiter->next;
            waiter->next = gone;
            gone = waiter;
        } else {
            at = &waiter->next;
        }
    }
    if (login->waiters)
        run_plugin(login);
    while (gone) {
        struct waiter *waiter = gone;
        gone = waiter->next;
        struct tt_error *why = waiter->gone;
        waiter->gone = NULL;
        tt_op_finish(&waiter->op, why);
    }
}

static void on_plugin(struct tt_op *op, void *arg)
{
    struct tx_login *login = arg;
    if (op->cancelled) {
        login->plugin = NULL;
        tt_op_release(op);
        on_given_up(login);
        return;
    }
    const struct tt_result *result = op->error ? NULL : tt_result_of(op);
    const char *command = tx_json_text(login->config->exec, "command");
    struct tt_error *err = NULL;
    login->plugin = NULL;
    if (op->error) {
        err = tt_error_copy(op->error);
    } else if (result->kind != TT_OK) {
        err = tt_result_error(result);
        if (result->err.length)
            tt_fail(&err, TT_AUTH, "%.*s", (int)strcspn(result->err.data, "\n"), result->err.data);
    } else {
        use_credential(login, &result->out, &err);
    }
    const char *hint = tx_json_text(login->config->exec, "installHint");
    if (err && err->kind == TT_NOT_FOUND && *hint)
        tt_fail(&err, TT_AUTH, "%s", hint);
    if (err)
        tt_fail(&err, TT_AUTH, "the credential plugin %s", command);
    tt_op_release(op);
    tell_all(login, err);
}

static json_t *cluster_info(const struct tx_http_config *http)
{
    json_t *cluster =
        json_pack("{s:s, s:b, s:s*, s:s*}", "server", http->base, "insecure-skip-tls-verify",
                  http->insecure, "tls-server-name", http->server_name, "proxy-url", http->proxy);
    struct tt_buf ca = {0};
    if (http->ca.data)
        tt_buf_add(&ca, http->ca.data, http->ca.length);
    else if (http->ca.file)
        tx_kube_read_file(http->ca.file, &ca, NULL); /* the cluster's own calls say what is wrong */
    if (ca.length) {
        char *encoded = tt_base64_encode(ca.data, ca.length);
        json_object_set_new(cluster, "certificate-authority-data", json_string(encoded));
        free(encoded);
    }
    tt_buf_free(&ca);
    return cluster;
}

/* KUBERNETES_EXEC_INFO: what the plugin is told. */
static char *exec_info(const struct tx_login *login)
{
    const json_t *exec = login->config->exec;
    const struct tx_http_config *http = &login->config->http;
    json_t *spec = json_pack("{s:b}", "interactive", 0);
    if (json_is_true(json_object_get(exec, "provideClusterInfo")))
        json_object_set_new(spec, "cluster", cluster_info(http));
    json_t *info = json_pack("{s:s, s:s, s:o}", "apiVersion", tx_json_text(exec, "apiVersion"),
                             "kind", "ExecCredential", "spec", spec);
    char *text = json_dumps(info, JSON_COMPACT);
    json_decref(info);
    return text;
}

static void fill_command(const struct tx_login *login, struct tt_command *command)
{
    const json_t *exec = login->config->exec;
    const json_t *args = json_object_get(exec, "args");
    const char *program = tx_json_text(exec, "command");
    size_t index;
    json_t *item;
    command->argv = tt_reallocarray(NULL, json_array_size(args) + 2, sizeof *command->argv);
    size_t at = 0;
    bool relative = *program != '/' && strchr(program, '/') && login->config->folder;
    command->argv[at++] =
        relative ? tt_format("%s/%s", login->config->folder, program) : tt_strdup(program);
    json_array_foreach(args, index, item)
    {
        const char *word = json_string_value(item);
        command->argv[at++] = tt_strdup(word ? word : "");
    }
    command->argv[at] = NULL;
    json_array_foreach(json_object_get(exec, "env"), index, item)
        tt_command_set_var(command, tx_json_text(item, "name"), tx_json_text(item, "value"));
    char *info = exec_info(login);
    tt_command_set_var(command, "KUBERNETES_EXEC_INFO", info);
    free(info);
}

static void run_plugin(struct tx_login *login)
{
    struct tt_env *here = NULL; /* a plugin is a program of this machine */
    if (!*tx_json_text(login->config->exec, "command") ||
        tt_env_here(&here, login->loop, NULL) < 0) {
        tell_all(login, tt_error_new(TT_UNSUPPORTED, "the kubeconfig's credential plugin cannot be "
                                                     "run here"));
        return;
    }
    struct tt_command command = {0};
    struct tt_capture_options options;
    fill_command(login, &command);
    tt_capture_defaults(&options);
    options.proc.timeout = plugin_ms;
    options.max_output = 1 << 20;
    login->plugin = tt_capture(here, login->scope, &command, &options);
    tt_op_await(login->plugin, on_plugin, login);
    tt_command_clear(&command);
    tt_env_release(here); /* the command holds it */
}

/* --- the interface --- */

struct tx_login *tx_login_new(struct tt_loop *loop, struct tx_kube_config *config,
                              struct tx_http **http)
{
    struct tx_login *login = tt_zalloc(sizeof *login);
    login->loop = loop;
    login->config = config;
    login->http = http;
    login->scope = tt_scope_new(loop, NULL);
    if (config->token)
        bearer(login, config->token);
    else if (config->user)
        basic(login);
    if (config->token || (!config->token_file && !config->exec))
        login->until = TT_NEVER;
    return login;
}

void tx_login_free(struct tx_login *login)
{
    if (!login)
        return;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "the cluster is no longer used");
    tt_op_drop(&login->plugin, why);
    tell_all(login, why);
    tt_scope_release(login->scope);
    free(login);
}

bool tx_login_renewable(const struct tx_login *login)
{
    return !login->config->token && (login->config->token_file || login->config->exec);
}

/* The last one who waits takes the plugin along, and ends when that has ended. */
static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct waiter *waiter = (struct waiter *)(void *)op;
    struct tx_login *login = waiter->login;
    struct waiter **at = &login->waiters;
    while (*at && *at != waiter)
        at = &(*at)->next;
    if (login->plugin && login->waiters == waiter && !waiter->next) {
        waiter->gone = tt_error_copy(why);
        tt_op_cancel(login->plugin, why);
        return;
    }
    if (*at)
        *at = waiter->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void waiter_free(struct tt_op *op)
{
    tt_error_free(((struct waiter *)(void *)op)->gone);
    free(op);
}

struct tt_op *tx_login_ready(struct tx_login *login, struct tt_scope *scope, bool refused)
{
    static const struct tt_op_class class_ = {"login", waiter_cancel, waiter_free};
    struct waiter *waiter = tt_zalloc(sizeof *waiter);
    waiter->login = login;
    tt_op_init(&waiter->op, &class_, scope);
    if (tt_op_finished(&waiter->op))
        return &waiter->op;
    bool fresh = login->until > tt_loop_now(login->loop) && !(refused && tx_login_renewable(login));
    if (fresh && !login->plugin) {
        tt_op_finish(&waiter->op, NULL);
    } else if (login->config->exec) {
        waiter->next = login->waiters;
        login->waiters = waiter;
        if (!login->plugin)
            run_plugin(login);
    } else {
        struct tt_error *err = NULL;
        read_token(login, &err);
        tt_op_finish(&waiter->op, err);
    }
    return &waiter->op;
}
