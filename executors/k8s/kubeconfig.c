#include "executors/k8s/kubeconfig.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/fault.h"
#include "core/base/local.h"
#include "executors/http/api.h"
#include "executors/k8s/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { max_file = 8 << 20 };

static const char account[] = "/var/run/secrets/kubernetes.io/serviceaccount";

void tx_kube_config_clear(struct tx_kube_config *config)
{
    tx_http_config_clear(&config->http);
    free(config->context);
    free(config->files);
    free(config->name_space);
    if (config->token)
        explicit_bzero(config->token, strlen(config->token));
    free(config->token);
    free(config->token_file);
    free(config->user);
    if (config->password)
        explicit_bzero(config->password, strlen(config->password));
    free(config->password);
    json_decref(config->exec);
    free(config->folder);
    *config = (struct tx_kube_config){0};
}

/* --- merging files --- */

static const json_t *named(const json_t *list, const char *name)
{
    size_t index;
    const json_t *item;
    json_array_foreach(list, index,
                       item) if (strcmp(tx_json_text(item, "name"), name) == 0) return item;
    return NULL;
}

/* Members that hold a path start at the file's folder. */
static void make_absolute(json_t *object, const char *folder)
{
    static const char *const paths[] = {"certificate-authority", "client-certificate", "client-key",
                                        "tokenFile"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *path = tx_json_text(object, paths[i]);
        if (!*path || *path == '/')
            continue;
        char *full = tt_format("%s/%s", folder, path);
        json_object_set_new(object, paths[i], json_string(full));
        free(full);
    }
}

static void merge_list(json_t *all, const json_t *file, const char *list, const char *inner,
                       const char *folder)
{
    size_t index;
    json_t *item;
    if (!json_object_get(all, list))
        json_object_set_new(all, list, json_array());
    json_t *into = json_object_get(all, list);
    json_array_foreach(json_object_get(file, list), index, item)
    {
        if (!json_is_object(item) || named(into, tx_json_text(item, "name")))
            continue;
        json_t *value = json_object_get(item, inner);
        if (json_is_object(value)) {
            make_absolute(value, folder);
            json_object_set_new(value, "tutti-folder", json_string(folder));
        }
        json_array_append(into, item);
    }
}

int tx_kube_merge(json_t *all, const char *text, size_t length, const char *path,
                  struct tt_error **err)
{
    json_t *documents = NULL;
    int rc = tx_yaml_parse(&documents, text, length, path, err);
    if (rc < 0)
        return rc;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? tt_strndup(path, (size_t)(slash - path)) : tt_strdup(".");
    size_t index;
    json_t *file;
    json_array_foreach(documents, index, file)
    {
        if (json_is_null(file))
            continue;
        if (!json_is_object(file)) {
            rc = tt_fail(err, TT_INVALID, "%s is no kubeconfig", path);
            break;
        }
        merge_list(all, file, "clusters", "cluster", folder);
        merge_list(all, file, "users", "user", folder);
        merge_list(all, file, "contexts", "context", folder);
        const char *current = tx_json_text(file, "current-context");
        if (*current && !json_object_get(all, "current-context"))
            json_object_set_new(all, "current-context", json_string(current));
    }
    free(folder);
    json_decref(documents);
    return rc;
}

/* --- choosing a context --- */

static char *text_of(const json_t *object, const char *key)
{
    const char *text = tx_json_text(object, key);
    return *text ? tt_strdup(text) : NULL;
}

static int use_pem(struct tx_pem *pem, const json_t *object, const char *file, const char *data,
                   struct tt_error **err)
{
    const char *encoded = tx_json_text(object, data);
    pem->file = text_of(object, file);
    if (!*encoded)
        return 0;
    pem->data = tt_base64_decode(encoded, &pem->length);
    return pem->data ? 0 : tt_fail(err, TT_INVALID, "kubeconfig: %s is not base64", data);
}

static int use_cluster(struct tx_kube_config *config, const json_t *cluster, struct tt_error **err)
{
    const char *server = tx_json_text(cluster, "server");
    size_t scheme = strncmp(server, "https://", 8) == 0  ? 8
                    : strncmp(server, "http://", 7) == 0 ? 7
                                                         : 0;
    if (!scheme || !server[scheme] || server[scheme] == '/')
        return tt_fail(err, TT_INVALID, "kubeconfig: the cluster's server '%s' is no URL", server);
    size_t length = strlen(server);
    while (server[length - 1] == '/')
        length--;
    config->http.base = tt_strndup(server, length);
    config->http.insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    config->http.server_name = text_of(cluster, "tls-server-name");
    config->http.proxy = text_of(cluster, "proxy-url");
    return use_pem(&config->http.ca, cluster, "certificate-authority", "certificate-authority-data",
                   err);
}

/* A plugin that cannot be run as it asks to be is refused before anything is asked of the cluster.
 */
static int use_plugin(struct tx_kube_config *config, const json_t *user, struct tt_error **err)
{
    static const char group[] = "client.authentication.k8s.io/";
    const json_t *exec = json_object_get(user, "exec");
    const char *version = tx_json_text(exec, "apiVersion");
    if (!exec || json_is_null(exec))
        return 0;
    if (!json_is_object(exec) || !*tx_json_text(exec, "command"))
        return tt_fail(err, TT_INVALID, "kubeconfig: a credential plugin needs a command");
    if (strncmp(version, group, sizeof group - 1) != 0 ||
        (strcmp(version + sizeof group - 1, "v1") != 0 &&
         strcmp(version + sizeof group - 1, "v1beta1") != 0))
        return tt_fail(
            err, TT_UNSUPPORTED,
            "kubeconfig: the credential plugin %s speaks '%s', which is neither %sv1 nor "
            "v1beta1",
            tx_json_text(exec, "command"), version, group);
    if (strcmp(tx_json_text(exec, "interactiveMode"), "Always") == 0)
        return tt_fail(err, TT_UNSUPPORTED,
                       "kubeconfig: the credential plugin %s wants a terminal to ask on",
                       tx_json_text(exec, "command"));
    config->exec = json_deep_copy(exec);
    return 0;
}

static int use_user(struct tx_kube_config *config, const json_t *user, struct tt_error **err)
{
    config->token = text_of(user, "token");
    config->token_file = text_of(user, "tokenFile");
    config->user = text_of(user, "username");
    config->password = text_of(user, "password");
    config->folder = text_of(user, "tutti-folder");
    if (json_object_get(user, "auth-provider"))
        return tt_fail(err, TT_UNSUPPORTED,
                       "kubeconfig: auth-provider is no longer made; use an exec plugin");
    int rc = use_plugin(config, user, err);
    if (rc == 0)
        rc = use_pem(&config->http.certificate, user, "client-certificate",
                     "client-certificate-data", err);
    return rc < 0 ? rc : use_pem(&config->http.key, user, "client-key", "client-key-data", err);
}

int tx_kube_choose(struct tx_kube_config *config, const json_t *all, const char *name,
                   struct tt_error **err)
{
    if (!name)
        name = tx_json_text(all, "current-context");
    if (!*name)
        return tt_fail(err, TT_INVALID, "kubeconfig: no current context; name one with context=");
    const json_t *context =
        json_object_get(named(json_object_get(all, "contexts"), name), "context");
    if (!context)
        return tt_fail(err, TT_NOT_FOUND, "kubeconfig: there is no context '%s'", name);
    const char *cluster_name = tx_json_text(context, "cluster");
    const char *user_name = tx_json_text(context, "user");
    const json_t *cluster =
        json_object_get(named(json_object_get(all, "clusters"), cluster_name), "cluster");
    const json_t *user = json_object_get(named(json_object_get(all, "users"), user_name), "user");
    if (!cluster)
        return tt_fail(err, TT_NOT_FOUND, "kubeconfig: context '%s': there is no cluster '%s'",
                       name, cluster_name);
    if (*user_name && !user)
        return tt_fail(err, TT_NOT_FOUND, "kubeconfig: context '%s': there is no user '%s'", name,
                       user_name);
    config->context = tt_strdup(name);
    config->name_space = text_of(context, "namespace");
    if (!config->name_space)
        config->name_space = tt_strdup("default");
    int rc = use_cluster(config, cluster, err);
    if (rc == 0)
        rc = use_user(config, user, err);
    return rc;
}

/* --- finding files --- */

int tx_kube_read_file(const char *path, struct tt_buf *text, struct tt_error **err)
{
    struct tt_error *why = NULL;
    int rc = tt_read_whole(path, max_file, text, &why);
    if (rc < 0 && why->errnum == ENOENT) {
        tt_error_free(why);
        return 0;
    }
    if (rc < 0 && err)
        *err = why;
    else
        tt_error_free(why);
    return rc < 0 ? rc : 1;
}

static int merge_files(json_t *all, const char *paths, struct tt_error **err)
{
    int rc = 0;
    for (const char *at = paths; *at && rc >= 0;) {
        size_t length = strcspn(at, ":");
        char *path = tt_strndup(at, length);
        struct tt_buf text = {0};
        if (length)
            rc = tx_kube_read_file(path, &text, err);
        if (rc > 0) {
            json_object_set_new(all, "found", json_true());
            rc = tx_kube_merge(all, text.data ? text.data : "", text.length, path, err);
        }
        if (text.data)
            explicit_bzero(text.data, text.length);
        tt_buf_free(&text);
        free(path);
        at += length + (at[length] == ':');
    }
    return rc < 0 ? rc : 0;
}

static int use_service_account(struct tx_kube_config *config, struct tt_error **err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    char *ca = tt_format("%s/ca.crt", account);
    if (!host || !port || access(ca, R_OK) != 0) {
        free(ca);
        return tt_fail(err, TT_NOT_FOUND,
                       "no cluster: no KUBECONFIG, no ~/.kube/config, and not inside a cluster");
    }
    struct tt_buf name = {0};
    char *path = tt_format("%s/namespace", account);
    int rc = tx_kube_read_file(path, &name, err);
    free(path);
    config->http.base = strchr(host, ':') ? tt_format("https://[%s]:%s", host, port)
                                          : tt_format("https://%s:%s", host, port);
    config->http.ca.file = ca;
    config->token_file = tt_format("%s/token", account);
    config->name_space = name.length ? tt_strdup(name.data) : tt_strdup("default");
    tt_buf_free(&name);
    return rc < 0 ? rc : 0;
}

/* "a:/b" as "/here/a:/b": what a process in another folder understands. */
static char *absolute_paths(const char *paths)
{
    struct tt_buf all = {0};
    char *here = getcwd(NULL, 0);
    for (const char *at = paths; *at;) {
        size_t length = strcspn(at, ":");
        if (length && *at != '/' && here)
            tt_buf_format(&all, "%s/", here);
        tt_buf_add(&all, at, length + (at[length] == ':'));
        at += length + (at[length] == ':');
    }
    free(here);
    return tt_buf_take(&all);
}

int tx_kube_config_find(struct tx_kube_config *config, const struct tx_kube_where *where,
                        struct tt_error **err)
{
    const char *named_paths = where->kubeconfig ? where->kubeconfig : getenv("KUBECONFIG");
    const char *home = getenv("HOME");
    char *paths = named_paths && *named_paths ? tt_strdup(named_paths)
                                              : tt_format("%s/.kube/config", home ? home : "");
    json_t *all = json_object();
    int rc = merge_files(all, paths, err);
    if (rc == 0 && json_object_get(all, "found"))
        rc = tx_kube_choose(config, all, where->context, err);
    else if (rc == 0 && (where->context || where->kubeconfig))
        rc = tt_fail(err, TT_NOT_FOUND, "there is no kubeconfig at %s", paths);
    else if (rc == 0)
        rc = use_service_account(config, err);
    if (rc == 0 && config->context)
        config->files = absolute_paths(paths);
    if (rc < 0)
        tx_kube_config_clear(config);
    json_decref(all);
    free(paths);
    return rc;
}
