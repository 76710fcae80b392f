/* kubeconfig files: whatever stands in them, merging ends, a file that was merged changes nothing
 * when it comes again, and each context either can be used or is refused by name. */
#include "executors/k8s/kubeconfig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int merge(json_t *all, const uint8_t *data, size_t size)
{
    struct tt_error *err = NULL;
    int rc = tx_kube_merge(all, (const char *)data, size, "folder/config", &err);
    if ((rc < 0) != (err != NULL))
        abort();
    tt_error_free(err);
    return rc;
}

static void check_pem(const struct tx_pem *pem)
{
    if (pem->data ? pem->data[pem->length] != '\0' : pem->length > 0)
        abort();
    if (pem->file && strncmp(pem->file, "/", 1) != 0 && strncmp(pem->file, "folder/", 7) != 0)
        abort();
}

static void choose(const json_t *all, const char *name)
{
    struct tx_kube_config config = {0};
    struct tt_error *err = NULL;
    int rc = tx_kube_choose(&config, all, name, &err);
    if ((rc < 0) != (err != NULL))
        abort();
    if (rc == 0) {
        const char *host = config.http.base ? strstr(config.http.base, "://") : NULL;
        if (!host || !host[3] || host[3] == '/' || host[strlen(host) - 1] == '/')
            abort();
        if (!config.context || (name && strcmp(config.context, name) != 0) || !config.name_space ||
            !*config.name_space)
            abort();
        if (config.exec && !json_is_object(config.exec))
            abort();
        check_pem(&config.http.ca);
        check_pem(&config.http.certificate);
        check_pem(&config.http.key);
    }
    tt_error_free(err);
    tx_kube_config_clear(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *all = json_object();
    if (merge(all, data, size) == 0) {
        json_t *before = json_deep_copy(all), *context;
        size_t index;
        if (merge(all, data, size) < 0 || !json_equal(all, before))
            abort();
        choose(all, NULL);
        json_array_foreach(json_object_get(all, "contexts"), index, context)
        {
            const char *name = json_string_value(json_object_get(context, "name"));
            if (name)
                choose(all, name);
        }
        json_decref(before);
    }
    json_decref(all);
    return 0;
}
